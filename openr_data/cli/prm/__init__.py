"""`openr-data prm`: train, score and judge process reward models."""
