"""Beam search over steps, guided by a process reward model (Snell et al., arXiv 2408.03314, section 5; OpenR, 2410.09671)."""

from __future__ import annotations

from collections.abc import Sequence

from openr_data.search.base import Path
from openr_data.search.explorer import Explorer, Want

_GOOD = frozenset({"", "finished"})
"""Ends of candidates that may have a beam's place: what was cut or lost is no solution, and goes nowhere."""


async def beam(x: Explorer) -> list[Path]:
    """Of n first steps, and then of each round's candidates, the best n/width go on, and each is continued `width` times.

    A candidate that ends leaves the frontier. Those among the best take their place with them (`refill` none) or leave it to the
    others, which are then continued more often, so that each round draws n samples (`copy`). Every solution that ended is a
    result, each once: copies of a step are merged before they are scored and never vote.
    """
    config, results, places = x.config, [], x.config.trees
    children = await x.scored(_flat(await x.next_steps([Want(x.root, config.n)])))
    for _ in range(config.depth - 1):
        best = x.best((path for path in children if path.end in _GOOD), places)
        results += [path for path in children if path.end]
        frontier = [path for path in best if not path.end]
        if config.refill == "none":
            places -= len(best) - len(frontier)
        elif len(frontier) < places:
            frontier = x.best((path for path in children if not path.end), places)
        if not frontier:
            return results
        children = await x.scored(_flat(await x.next_steps(_wants(frontier, config.width, places))))
    ended = [path for path in children if path.end]
    return results + ended + x.best((path for path in children if not path.end), max(1, places))


def _wants(frontier: Sequence[Path], width: int, places: int) -> list[Want]:
    """`width` continuations for each place; places without a path of their own go to the first paths, in turn."""
    times = [places // len(frontier) + (number < places % len(frontier)) for number in range(len(frontier))]
    return [Want(path, width * max(1, each)) for path, each in zip(frontier, times, strict=True)]


def _flat(groups: Sequence[Sequence[Path]]) -> list[Path]:
    return [path for group in groups for path in group]
