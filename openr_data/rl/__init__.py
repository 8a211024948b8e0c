"""Learning from step rewards. Knows policies, scorers and graders by their protocols only."""
