"""How many threads of a CPU learn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from openr_data.models.devices import cpu_count


@contextmanager
def threads(count: int, processes: int = 1) -> Iterator[None]:
    """`count` of them within the block, or for 0 the share that each of `processes` has of all: an engine for a small model
    leaves one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count or max(1, cpu_count() // processes))
    try:
        yield
    finally:
        torch.set_num_threads(before)
