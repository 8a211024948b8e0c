"""`openr-data rl`: policies that learn from the rewards of their own solutions."""
