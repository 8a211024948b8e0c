"""Where records live: the rollout journal, sealed Parquet shards, the run directory, and how to check and read them."""
