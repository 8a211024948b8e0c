"""What an evaluation is: the questions, the policy, and the searches that every question goes through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from openr_data.engines import EngineSpec
from openr_data.errors import UsageError
from openr_data.pipelines.config import SecondEngine, check_sampling
from openr_data.problems import ProblemSource
from openr_data.search.config import GUIDED, SearchConfig
from openr_data.types import Sampling

SUMMARISER = "summariser"
ALONE = ("greedy", "best_of_n", "forcing")
"""Strategies whose smaller budgets are subsets of the largest one's candidates (or that have one budget only)."""


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """`openr-data evaluate`. `prm` names the process reward model; who it is in truth stands in the run's identity.

    `engines` holds the summariser, where there is one.
    """

    source: ProblemSource
    engine: EngineSpec
    sampling: Sampling
    searches: tuple[SearchConfig, ...]
    prm: str = ""
    grader: str = "math"
    shard_size: int = 100
    format: str = "parquet"
    engines: Mapping[str, SecondEngine] = field(default_factory=dict)

    def checked(self) -> EvaluateConfig:
        """Raises `UsageError`."""
        check_sampling(self.sampling)
        for each in self.searches:
            each.checked()
            if each.strategy in GUIDED and not self.prm:
                raise UsageError(f"{each.strategy} is guided by a process reward model: name one with --prm")
        twice = [name for name, count in Counter(map(search_name, self.searches)).items() if count > 1]
        if twice or not self.searches:
            raise UsageError(f"the same search stands there twice: {twice[0]}" if twice else "name a --strategy")
        return self


def search_name(config: SearchConfig) -> str:
    """The strategy and its budget.

    >>> search_name(SearchConfig("beam", n=16))
    'beam-16'
    """
    return config.strategy if config.strategy == "greedy" else f"{config.strategy}-{config.n}"


def sweep(strategies: Sequence[str], budgets: Sequence[int], base: SearchConfig) -> tuple[SearchConfig, ...]:
    """Every strategy at every budget that it can have. Those whose smaller budgets are subsets are run once, at the largest.

    Independent samples are always among them: majority and pass@n are what the others are compared with.

    >>> [search_name(each) for each in sweep(["beam", "mcts"], [2, 4, 8], SearchConfig(width=4))]
    ['best_of_n-8', 'beam-4', 'beam-8', 'mcts-2', 'mcts-4', 'mcts-8']
    """
    if not budgets or min(budgets) < 1:
        raise UsageError("--budgets are numbers from 1 on, such as 1,2,4,8,16")
    found = []
    for name in dict.fromkeys(("best_of_n", *strategies)):
        sizes = [max(budgets)] if name in ALONE else [n for n in sorted(set(budgets)) if _possible(name, n, base)]
        if not sizes:
            raise UsageError(f"none of the budgets suits {name} with --width {base.width}")
        found += [replace(base, strategy=name, n=1 if name == "greedy" else n) for n in sizes]
    return tuple(found)


def _possible(strategy: str, n: int, base: SearchConfig) -> bool:
    if strategy in {"beam", "dvts"}:
        return n % base.width == 0
    return strategy != "revision" or not base.chains or n % base.chains == 0
