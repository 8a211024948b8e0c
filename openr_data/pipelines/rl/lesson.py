"""What one update is made of, whoever teaches: samples to learn from, and the groups they came from where some were sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from openr_data.pipelines.rl.rollouts import Rollouts
from openr_data.rl.batches import Sample
from openr_data.rl.preferences import Pair
from openr_data.rl.trajectory import Group


@dataclass(frozen=True, slots=True)
class Lesson:
    """Either `samples` or `pairs`. `groups` are what the present policy wrote for this update (none: it was not asked), and
    `tokens` how many tokens that took. The guards look at them.
    """

    samples: Sequence[Sample]
    groups: Sequence[Group] = ()
    tokens: int = 0
    pairs: Sequence[Pair] = ()


class Teacher(Protocol):
    """Where lessons come from. The same run gives the same lessons, wherever it was interrupted."""

    @property
    def updates(self) -> int:
        """How many there will be."""
        ...

    async def lesson(self, update: int, rollouts: Rollouts, /) -> Lesson:
        """Of update number `update`, counted from 0. Raises `EngineError` where there is nothing to learn from."""
        ...
