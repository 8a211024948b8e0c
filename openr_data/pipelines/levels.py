"""The order of difficulties, whatever a source calls them."""

from __future__ import annotations


def natural(name: str) -> tuple[bool, float, str]:
    """Numbers by their size.

    >>> sorted(["10", "9", "Level 5"], key=natural)
    ['9', '10', 'Level 5']
    """
    return (not name.replace(".", "", 1).isdigit(), float(name) if name.replace(".", "", 1).isdigit() else 0.0, name)
