"""openr-data: the open toolkit for process-supervision data."""

from importlib.metadata import version

__version__ = version("openr-data")
