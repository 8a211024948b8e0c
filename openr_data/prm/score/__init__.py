"""Step scores from a model: one pass for all steps of a solution, the same from every backend."""
