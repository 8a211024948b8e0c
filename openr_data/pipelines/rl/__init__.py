"""The RL stage: a policy that learns from the rewards of its own solutions. Puts engine, grader, scorer and `rl` together."""
