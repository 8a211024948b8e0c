"""Trackers of experiments: which are known, and whether they are installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from openr_data.errors import UsageError

TRACKERS: Mapping[str, tuple[str, ...]] = {
    "trackio": ("trackio",),
    "wandb": ("wandb",),
    "tensorboard": ("tensorboard", "tensorboardX"),
}
"""The packages of which one is needed."""


def check_trackers(names: Sequence[str]) -> None:
    """Raises `UsageError` for one that is unknown or not installed."""
    for name in names:
        if name not in TRACKERS:
            raise UsageError(f"there is no tracker '{name}'; choose among: {', '.join(TRACKERS)}")
        if not any(find_spec(package) for package in TRACKERS[name]):
            raise UsageError(f"the tracker '{name}' is not installed here: pip install {TRACKERS[name][0]}")
