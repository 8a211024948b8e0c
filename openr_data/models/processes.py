"""Which process of a distributed run this one is. Loads no library: launchers say it in the environment."""

from __future__ import annotations

import os


def processes() -> tuple[int, int]:
    """Which one, of how many that `accelerate launch` or `torchrun` began; (0, 1) alone."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """Its number among those of its machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))
