"""Independent solutions: greedy decoding, and the candidates of best-of-N and majority voting."""

from __future__ import annotations

from dataclasses import replace

from openr_data.search.base import Path
from openr_data.search.explorer import Explorer, Want


async def greedy(x: Explorer) -> list[Path]:
    """The one solution of temperature 0."""
    (paths,) = await x.solutions([Want(x.root, 1)], replace(x.use.sampling, temperature=0.0))
    return await x.scored(paths)


async def best_of_n(x: Explorer) -> list[Path]:
    """Solutions with the sample indices 0..n-1: those of a smaller n are the first of a larger one."""
    (paths,) = await x.solutions([Want(x.root, x.config.n)])
    return await x.scored(paths)
