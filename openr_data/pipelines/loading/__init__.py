"""Load: runs, published data sets, exports and published files as records and frames."""
