"""What a guided search is made of: solutions under way, what it leaves behind, and whom it asks for scores."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from openr_data.search.ledger import Bill
from openr_data.search.tree import Node
from openr_data.types import Steps

End = Literal["", "finished", "cut", "lost"]
"""`finished`: the model ended it; `cut`: a limit did; `lost`: the engine gave up on it; empty while it can be continued."""


class StepScores(Protocol):
    """What a process reward model says of the steps of a solution: see `openr_data.prm.scores`."""

    @property
    def margins(self) -> tuple[float, ...]:
        """Log odds of each step; empty where the solution could not be scored."""
        ...

    @property
    def reason(self) -> str: ...

    @property
    def tokens(self) -> int:
        """How many the model read."""
        ...


Scorer = Callable[[str, Sequence[Steps]], Awaitable[Sequence[StepScores]]]
"""Scores prefixes of solutions of a question, in order. One that cannot be scored has a reason, and never a low score."""


@dataclass(frozen=True, slots=True)
class Path:
    """A solution, or the beginning of one. `node` is its end in the tree.

    `margins` are the model's log odds of the steps (empty: not scored, and `unscored` says why if that was tried); `tokens` were
    generated along it and `logprob` is their sum, where the engine tells. `chain` is its chain in sequential revision. `forced`
    is text that was put into it and not generated; `summary` what a summariser made of it, whose answer counts in its place.
    """

    steps: Steps = ()
    node: int = 0
    end: End = ""
    margins: tuple[float, ...] = ()
    unscored: str = ""
    tokens: int = 0
    logprob: float | None = 0.0
    chain: int = 0
    forced: str = ""
    summary: str | None = None

    @property
    def blank(self) -> bool:
        """Nothing was written yet: no step, or the blank lines before the first one."""
        return not any(step.strip() for step in self.steps)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search of one question leaves: its candidates in the order in which they were found, its tree and its bill.

    `lost` counts samples that the engine gave up on. `stopped` is `budget` where the token cap ended the search early.
    """

    candidates: tuple[Path, ...]
    tree: tuple[Node, ...]
    bill: Bill
    lost: int = 0
    stopped: str = ""
