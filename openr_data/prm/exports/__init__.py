"""A process reward model in the layouts that other programs load: the same scores from another head."""
