"""Publish: a finished run, or an export, as one commit of a Hub repository or as a folder anywhere."""
