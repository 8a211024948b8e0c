"""What a round was and brought: one file in its folder, written last. A round with a manifest is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from openr_data.prm.intervals import Interval
from openr_data.store.atomic import read_checked_json, write_checked_json

NAME = "manifest.json"
_INTERVALS = ("greedy_before", "greedy_after", "greedy_gain", "sampled_before", "sampled_after", "sampled_gain")


@dataclass(frozen=True, slots=True)
class RoundManifest:
    """`policy_in`, `policy_out` and `prm` are digests of the models. `tokens` are generated ones, by what they were for, and
    `seconds` those of the stages, whatever interrupted them. `auroc` and `ece` are the process reward model's on its validation
    questions: other ones in every round, answered by that round's policy, so they do not compare rounds. Accuracies are of the
    confirming questions, gains paired. `stopped` is the reason for which a guard ended the learning.
    """

    round: int
    policy_in: str
    policy_out: str
    prm: str
    tokens: Mapping[str, int]
    seconds: Mapping[str, float]
    labelled: int
    auroc: float | None
    ece: float | None
    greedy_before: Interval
    greedy_after: Interval
    greedy_gain: Interval
    sampled_before: Interval
    sampled_after: Interval
    sampled_gain: Interval
    stopped: str = ""

    @property
    def gained(self) -> bool:
        """Whether the interval of a paired gain lies above 0."""
        return any(each.low is not None and each.low > 0 for each in (self.greedy_gain, self.sampled_gain))

    def save(self, folder: Path) -> None:
        write_checked_json(folder / NAME, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> RoundManifest:
        """Raises `RunDirError` for a damaged one."""
        body: dict[str, Any] = read_checked_json(folder / NAME, "begin the loop again in another directory")
        return cls(**{**body, **{name: Interval(**body[name]) for name in _INTERVALS}})
