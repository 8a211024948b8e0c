"""Search one question by the name of a strategy, from its first sample to its candidates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from openr_data.errors import UsageError
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

    Raises `UsageError` for a guided strategy without a scorer, and `EngineError` where policy or scorer cannot go on.
    """
    if config.strategy in GUIDED and use.scorer is None:
        raise UsageError(f"--strategy {config.strategy} is guided by a process reward model: name one with --prm")
    x = Explorer(question, use, config)
    paths = [path if path.end == "finished" else replace(path, end="cut") for path in await RUNNERS[config.strategy](x)]
    if config.force and config.strategy != "forcing":
        paths = await x.scored(await answered(x, paths))
    if summariser is not None:
        paths = await summarised(x, paths, summariser)
    return x.found(paths)
