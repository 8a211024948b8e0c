"""`python -m openr_data` is `openr-data`."""

from openr_data.cli import main

main()
