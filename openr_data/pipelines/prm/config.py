"""The one configuration of a training of a process reward model: which data sets, how they are read, and how is trained."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

from openr_data.errors import UsageError
from openr_data.layouts.base import Neutral
from openr_data.pipelines.splits import Splits
from openr_data.prm.train_config import TrainConfig
from openr_data.store.codecs import plain_config

ONLY_HOW = ("device", "report_to")
"""Settings of the trainer that change no weight."""


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One data set: a run, a file or folder of a known layout, a published or exported folder, or a data set on the Hub.

    `weight` is how often its rows are seen in training, relative to their number: 2 shows every row twice, .5 every other one.
    """

    location: str
    revision: str = ""
    weight: float = 1.0

    @property
    def shown(self) -> str:
        return f"{self.location}@{self.revision}" if self.revision else self.location


def parse_source(text: str) -> SourceSpec:
    """`LOCATION`, `LOCATION=WEIGHT`, and for a data set on the Hub also `OWNER/NAME@REVISION` and `OWNER/NAME@REVISION=WEIGHT`.

    What exists as a path is one, whatever signs are in its name. Raises `UsageError` for a weight that is none.

    >>> parse_source("owner/name@v1=.5")
    SourceSpec(location='owner/name', revision='v1', weight=0.5)
    """
    if _exists(text):
        return SourceSpec(text)
    location, found, weight = text.rpartition("=")
    if found:
        return replace(parse_source(location), weight=_weight(weight, text))
    location, found, revision = text.rpartition("@")
    if found and location and revision:
        return SourceSpec(location, revision)
    return SourceSpec(text)


def _exists(text: str) -> bool:
    try:
        return Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _weight(text: str, whole: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < inf:
        raise UsageError(f"the weight of a data set is a positive number, not '{text}' (in '{whole}')")
    return weight


@dataclass(frozen=True, slots=True)
class PRMRunConfig:
    """Everything that the weights depend on. `against` are the evaluation sets whose questions must not be trained on: a question
    that holds the share `overlap` of the `ngram`-grams of one of theirs is left out.

    `neutral` reads PRM800K's neutral ratings. `keep_uncertain` takes solutions whose first error is only the likeliest one,
    `min_confidence` is asked of those that have a confidence. `validation_rows` bounds the rows of every evaluation during
    training (0: all). `limit` is of solutions of each data set (0: none).
    """

    sources: tuple[SourceSpec, ...]
    train: TrainConfig = field(default_factory=TrainConfig)
    splits: Splits = field(default_factory=Splits)
    against: tuple[str, ...] = ()
    ngram: int = 8
    overlap: float = 0.5
    neutral: Neutral = "good"
    keep_uncertain: bool = False
    min_confidence: float = 0.0
    validation_rows: int = 4096
    limit: int = 0

    def checked(self) -> PRMRunConfig:
        """Itself; raises `UsageError` naming the first value that cannot be used."""
        if not self.sources:
            raise UsageError("name at least one labelled data set")
        names = [source.shown for source in self.sources]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"{twice} is given twice; a weight shows its rows more often, such as {twice}=2")
        if not 0 <= self.train.labels.threshold < 1:
            raise UsageError(f"a threshold of values lies from 0 up to but not at 1, not at {self.train.labels.threshold}")
        if self.train.labels.kind == "soft" and self.train.labels.threshold:
            raise UsageError("a threshold makes hard labels of values; soft ones are the values themselves")
        if not self.splits.train:
            raise UsageError("the splits leave nothing for training")
        return self

    def plain(self) -> dict[str, Any]:
        """As JSON, without what only says how it is computed."""
        values: dict[str, Any] = plain_config(self)
        for name in ONLY_HOW:
            del values["train"][name]
        return values
