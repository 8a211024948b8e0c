"""Which search, and how large: one frozen value per strategy and budget, checked before a model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from openr_data.aggregate import RANKINGS
from openr_data.errors import UsageError

CUE = "\n Therefore the answer is "
"""What is put behind a solution whose budget is out (open-m1)."""

STRATEGIES: Mapping[str, str] = {
    "greedy": "the one most likely solution",
    "best_of_n": "n independent solutions; how one is chosen is the selector's matter (majority, reward, weighted vote)",
    "beam": "n continuations a step, of which the best n/width go on (Snell et al., arXiv 2408.03314)",
    "dvts": "n/width independent trees, each following its best step (diverse verifier tree search, Beeching et al. 2024)",
    "mcts": "n walks through one tree by PUCT (Silver et al. 2017, as in OpenR, arXiv 2410.09671)",
    "revision": "chains of attempts, each shown the ones before it (Snell et al., arXiv 2408.03314)",
    "forcing": "n solutions that are made to go on, or to answer, by appended words (s1, arXiv 2501.19393)",
}
GUIDED = frozenset({"beam", "dvts", "mcts"})
"""They decide by a process reward model while they generate."""
ROLLING = frozenset({"min", "last", "product", "mean"})
"""Aggregations by which prefixes can be ranked, whatever their length."""


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """`n` is the budget of the strategy in its own unit (see `STRATEGIES`); `width` the continuations of one prefix.

    `depth` bounds the steps of a solution and `step_tokens` those of one step (0: as the whole solution). `rank` aggregates the
    scores of a prefix. `refill` says what becomes of a beam's place whose solution is finished: `none` draws fewer samples from
    then on, `copy` as many as before from those that are left. `cap` bounds the generated tokens of a question (0: no bound);
    with `force` a solution that is cut gets `cue` and at most `answer_tokens` greedy tokens to answer.
    `formula`, `backup`, `c_base`, `c_init`, `c_uct` and `noise` (the share of Dirichlet noise at the root, for data generation)
    are of MCTS; `chains` (0: as near to the square root of n as divides it) and `shown` of revision; `think_end`, `min_tokens`,
    `wait` and `waits` of forcing: thinking that ends before `min_tokens` gets `wait` appended, at most `waits` times.
    """

    strategy: str = "best_of_n"
    n: int = 16
    width: int = 4
    depth: int = 64
    step_tokens: int = 0
    rank: str = "last"
    refill: Literal["none", "copy"] = "none"
    cap: int = 0
    force: bool = False
    cue: str = CUE
    answer_tokens: int = 32
    formula: Literal["puct", "uct"] = "puct"
    backup: Literal["mean", "max"] = "mean"
    c_base: float = 19652.0
    c_init: float = 1.25
    c_uct: float = 2.0
    noise: float = 0.0
    chains: int = 0
    shown: int = 4
    think_end: str = ""
    min_tokens: int = 0
    wait: str = "Wait"
    waits: int = 1

    @property
    def trees(self) -> int:
        """Independent parts: beams that are kept, trees of DVTS."""
        return self.n // self.width

    def checked(self) -> SearchConfig:
        """Raises `UsageError`: one sentence that says what to change."""
        _one_of("--strategy", self.strategy, STRATEGIES)
        _one_of("--rank-by", self.rank, sorted(ROLLING & RANKINGS.keys()))
        _one_of("--refill", self.refill, ("none", "copy"))
        _one_of("--formula", self.formula, ("puct", "uct"))
        _one_of("--backup", self.backup, ("mean", "max"))
        _at_least_one(n=self.n, width=self.width, depth=self.depth, answer_tokens=self.answer_tokens, shown=self.shown)
        if self.strategy in {"beam", "dvts"} and self.n % self.width:
            raise UsageError(f"--strategy {self.strategy} needs a budget that --width {self.width} divides, not {self.n}")
        if self.strategy == "revision" and self.chains and self.n % self.chains:
            raise UsageError(f"--chains {self.chains} does not divide the {self.n} attempts")
        if not (isfinite(self.c_base) and isfinite(self.c_init) and isfinite(self.c_uct)):
            raise UsageError("--c-base, --c-init and --c-uct are finite numbers")
        if self.c_base <= 0 or self.c_init < 0 or self.c_uct < 0:
            raise UsageError("--c-base is above 0, and --c-init and --c-uct are not below it")
        if not 0 <= self.noise <= 1:
            raise UsageError(f"--noise is a share from 0 to 1, not {self.noise}")
        if self.cap and self.cap < self._least:
            raise UsageError(f"--max-question-tokens {self.cap} is too small for one answer: give at least {self._least}")
        return self

    @property
    def reserve(self) -> int:
        """Tokens of the cap that are kept for a forced answer."""
        return self.answer_tokens if self.force or self.strategy == "forcing" else 0

    @property
    def _least(self) -> int:
        return self.reserve + 1

    @property
    def revision_chains(self) -> int:
        """S of S chains of n/S attempts.

        >>> SearchConfig(n=8).revision_chains, SearchConfig(n=16).revision_chains, SearchConfig(n=16, chains=2).revision_chains
        (2, 4, 2)
        """
        if self.chains:
            return self.chains
        return max(each for each in range(1, self.n + 1) if self.n % each == 0 and each * each <= self.n)


def _one_of(option: str, value: str, allowed: object) -> None:
    names = list(allowed)  # type: ignore[call-overload]  # mappings and sequences of names alike
    if value not in names:
        raise UsageError(f"{option} is one of {', '.join(names)}, not '{value}'")


def _at_least_one(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise UsageError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
