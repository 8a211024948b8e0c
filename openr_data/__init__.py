"""openr-data: the open toolkit for process-supervision data."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """`__version__`, looked up on use: reading package metadata costs more than the rest of a `--help`."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("openr-data")
