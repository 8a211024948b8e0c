"""The data set card: what a run made, for the Hub, for `datasets` and for people."""
