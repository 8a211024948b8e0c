"""What one update is made of, whoever teaches: samples to learn from, and the groups they came from where some were sampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from openr_data.pipelines.rl.rollouts import Rollouts
from openr_data.rl.batches import Sample
from openr_data.rl.preferences import Pair
from openr_data.rl.trajectory import Group


@dataclass(frozen=True, slots=True)
class Lesson:
    """Either `samples` or `pairs`. `groups` are what the present policy wrote for this update (none: it was not asked), and
    `tokens` how many tokens that took. The guards look at them; `level` is that of a curriculum.
    """

    samples: Sequence[Sample]
    groups: Sequence[Group] = ()
    tokens: int = 0
    pairs: Sequence[Pair] = ()
    level: int = 0


Past = Sequence[Mapping[str, Any]]
"""What was logged of the updates before: one entry each."""


class Teacher(Protocol):
    """Where lessons come from. The same run gives the same lessons, wherever it was interrupted."""

    @property
    def updates(self) -> int:
        """How many there will be."""
        ...

    @property
    def content(self) -> str:
        """A digest of what is taught, where configuration and questions do not say it."""
        ...

    async def lesson(self, past: Past, rollouts: Rollouts, /) -> Lesson:
        """Of the update behind those. Raises `EngineError` where there is nothing to learn from."""
        ...
