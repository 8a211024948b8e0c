"""Import: a published file becomes a run."""
