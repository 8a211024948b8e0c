"""What a policy is trained on: solutions as token ids, cut into steps, with what was said of them. Knows no models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from openr_data.types import Steps


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One sampled solution. `tokens` are the generated ids, an end token included, and `lengths` how many of them each step has.

    `scores` are p(+) of the steps, or empty: nobody was asked. `outcome` is 1 for a right answer and 0 for a wrong one. `None` is
    what is not known, in both. `cut`: it did not end by itself. A solution without a step has one blank one.
    """

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    steps: Steps
    lengths: tuple[int, ...]
    outcome: float | None
    scores: tuple[float | None, ...] = ()
    cut: bool = False

    def __post_init__(self) -> None:
        if not self.steps or len(self.lengths) != len(self.steps) or sum(self.lengths) != len(self.tokens):
            raise ValueError(f"{self.lengths} are not the lengths of {len(self.steps)} steps of {len(self.tokens)} tokens")
        if len(self.scores) not in {0, len(self.steps)}:
            raise ValueError(f"{len(self.scores)} scores for {len(self.steps)} steps")


@dataclass(frozen=True, slots=True)
class Group:
    """The solutions that were sampled of one question."""

    question: str
    trajectories: tuple[Trajectory, ...]


def step_lengths(ids: Sequence[int], steps: Steps, separator: str, text_of: Callable[[Sequence[int]], str]) -> tuple[int, ...]:
    """How many of the tokens `ids` belong to each step. `text_of` is the text of the first tokens.

    A token belongs to the step in which its text begins; a separator to the step before it, and an end token to the last one. A
    step has no token where one token holds it and more.

    >>> step_lengths([1, 2, 3, 4], ("ab", "c"), "/", lambda ids: "ab/c"[: len(ids)])
    (3, 1)
    """
    ends, place = [0], 0
    for step in steps[:-1]:
        place += len(step) + len(separator)
        ends.append(_tokens_of(place, ids, ends[-1], text_of))
    return tuple(end - start for start, end in pairwise([*ends, len(ids)])) if steps else ()


def _tokens_of(place: int, ids: Sequence[int], low: int, text_of: Callable[[Sequence[int]], str]) -> int:
    """How many tokens the first `place` characters take: at least `low`, and all of them where the text is shorter."""
    high = len(ids)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(text_of(ids[:middle])) >= place else (middle + 1, high)
    return low
