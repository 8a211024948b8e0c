"""Where lessons come from: one file for each way of teaching."""
