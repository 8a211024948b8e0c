"""Process reward models: how steps become tokens, how they are trained, scored and judged. Knows neither runs nor the Hub."""
