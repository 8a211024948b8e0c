"""View: what of a run goes into its HTML page."""
