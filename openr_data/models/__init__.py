"""Where the files of a model lie, what they are, and which device runs it. Knows neither prompts nor heads."""
