"""Guided decoding: ways to search for a solution, and to choose among what was found. Knows neither runs nor graders."""
