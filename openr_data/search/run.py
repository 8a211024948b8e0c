"""Search one question by the name of a strategy, from its first sample to its candidates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from openr_data.errors import ContextOverflow, EngineError, UsageError
from openr_data.search.base import Found, Path
from openr_data.search.config import GUIDED, SearchConfig
from openr_data.search.explorer import Explorer, Resources
from openr_data.search.strategies.beam import beam
from openr_data.search.strategies.dvts import dvts
from openr_data.search.strategies.forcing import answered, forcing
from openr_data.search.strategies.mcts import mcts
from openr_data.search.strategies.revision import revision
from openr_data.search.strategies.sampling import best_of_n, greedy
from openr_data.search.summary import Summariser, summarised

Strategy = Callable[[Explorer], Awaitable[list[Path]]]

RUNNERS: Mapping[str, Strategy] = {
    "greedy": greedy,
    "best_of_n": best_of_n,
    "beam": beam,
    "dvts": dvts,
    "mcts": mcts,
    "revision": revision,
    "forcing": forcing,
}


async def search(question: str, use: Resources, config: SearchConfig, summariser: Summariser | None = None) -> Found:
    """The candidates of one question. Deterministic: the same samples give the same tree, whatever else runs.

    Raises `UsageError` for a guided strategy without a scorer, `EngineError` where policy or scorer cannot go on or every sample
    was lost, and `ContextOverflow` where the question leaves no room for a token.
    """
    if config.strategy in GUIDED and use.scorer is None:
        raise UsageError(f"--strategy {config.strategy} is guided by a process reward model: name one with --prm")
    x = Explorer(question, use, config)
    found = await RUNNERS[config.strategy](x)
    _refuse_failure(x, found)
    paths = [path if path.end == "finished" else replace(path, end="cut") for path in found]
    if config.force and config.strategy != "forcing":
        paths = await x.scored(await answered(x, paths))
    if summariser is not None:
        paths = await summarised(x, paths, summariser)
    return x.found(paths)


def _refuse_failure(x: Explorer, paths: Sequence[Path]) -> None:
    """That the engine wrote nothing is no wrong answer."""
    if any(not path.blank for path in paths):
        return
    if x.no_room:
        raise ContextOverflow(x.no_room)
    if x.lost:
        raise EngineError(f"the engine lost every sample of the question ({x.lost})", retryable=True)
