"""From a mixture to rows on disk, in one reading of the data sets, with everything that is told of them before training."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from openr_data.errors import InputError
from openr_data.pipelines.prm.config import PRMRunConfig
from openr_data.pipelines.prm.mixing import TRAIN, VALIDATION, Drawn, Dropped, Mixture, SourceTally
from openr_data.prm.encode import Encoder
from openr_data.prm.examples import Example
from openr_data.prm.rows import TOO_LONG, tokenised
from openr_data.problems.digests import digest
from openr_data.problems.reject import printable
from openr_data.store.codecs import plain_config

REJECTS = "rejects.jsonl"
MOST_DROPPED = 0.01
"""Share of the rows that may be too long or not encodable without being asked about."""
TOO_LONG_CODE, NOT_ENCODABLE = "too_long", "not_encodable"


@dataclass(frozen=True, slots=True)
class Lengths:
    """Of the training rows as they are seen: tokens over all, and of one row; steps of one row."""

    rows: int
    tokens: int
    median: int
    p95: int
    longest: int
    steps: float


@dataclass(frozen=True, slots=True)
class DataReport:
    """What became of the data sets. `contaminated` are solutions by evaluation set, `compared` the questions of those sets.

    `held_out` are the rows that evaluations during training look at. `first_dropped` names a row that could not be encoded.
    """

    sources: Mapping[str, SourceTally]
    contaminated: Mapping[str, int]
    compared: Mapping[str, int]
    lengths: Lengths
    held_out: int
    context: int
    first_dropped: str = ""

    @property
    def encoded(self) -> int:
        """Solutions that were to become tokens, whether they could or not."""
        return self.lost + sum(tally.splits[split] for tally in self.sources.values() for split in (TRAIN, VALIDATION))

    @property
    def lost(self) -> int:
        return sum(tally.dropped[code] for tally in self.sources.values() for code in (TOO_LONG_CODE, NOT_ENCODABLE))

    def counts(self) -> tuple[int, int]:
        """Good and bad steps of the training rows."""
        return sum(tally.good for tally in self.sources.values()), sum(tally.bad for tally in self.sources.values())

    def plain(self) -> dict[str, Any]:
        found: dict[str, Any] = plain_config(self)
        return found


@dataclass(frozen=True, slots=True)
class Collected:
    """`validation` is `None` where no question falls there."""

    train: Any
    validation: Any | None
    report: DataReport


def collect(
    mixture: Mixture,
    config: PRMRunConfig,
    encoder: Encoder,
    folder: Path,
    compared: Mapping[str, int],
    on_row: Callable[[int], None] = lambda _: None,
) -> Collected:
    """Rows of training and validation, and `rejects.jsonl`, in `folder`, which is made. Memory holds the held-out rows alone."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / REJECTS).open("w", encoding="utf-8") as file:
        rows = _Rows(mixture, config, file, on_row)
        train = tokenised(rows.training(), encoder, folder / TRAIN, on_drop=rows.refuse)
        held_out = tokenised(rows.validation(), encoder, folder / VALIDATION, on_drop=rows.refuse)
    report = DataReport(
        sources=mixture.tallies,
        contaminated=mixture.contaminated,
        compared=compared,
        lengths=_lengths(train.dataset),
        held_out=len(held_out.dataset),
        context=encoder.config.context,
        first_dropped=rows.first_refused,
    )
    return Collected(train.dataset, held_out.dataset if len(held_out.dataset) else None, report)


class _Rows:
    """Hands examples to the encoder one by one, and hears of those that it refuses before the next one is asked for."""

    def __init__(self, mixture: Mixture, config: PRMRunConfig, rejects: TextIO, on_row: Callable[[int], None]) -> None:
        self.first_refused = ""
        self._mixture, self._rejects, self._on_row = mixture, rejects, on_row
        self._most = config.validation_rows
        self._held_out: list[tuple[int, int, Drawn]] = []
        self._current: Drawn | None = None
        self._refused = False

    def training(self) -> Iterator[Example]:
        for number, found in enumerate(self._mixture.draw()):
            self._on_row(1)
            if isinstance(found, Dropped):
                self._reject(found)
            elif found.split == VALIDATION:
                self._hold_out(found, number)
            elif found.split == TRAIN:
                yield from self._copies(found)

    def validation(self) -> Iterator[Example]:
        for _, _, found in sorted(self._held_out, key=lambda each: each[1]):
            yield from self._copies(found)

    def refuse(self, example: Example, reason: str, detail: str) -> None:
        if self._current is None:
            raise ValueError(f"row {example.id} was refused, and not asked for")
        code = TOO_LONG_CODE if reason == TOO_LONG else NOT_ENCODABLE
        self._mixture.tallies[example.source].refuse(self._current, code)
        self._reject(Dropped(example.source, example.id, code, detail))
        self.first_refused = self.first_refused or f"row {printable(example.id)} of {example.source}: {detail}"
        self._refused = True

    def _copies(self, found: Drawn) -> Iterator[Example]:
        self._current, self._refused = found, False
        for _ in range(found.copies):
            yield found.example
            if self._refused:
                return

    def _hold_out(self, found: Drawn, number: int) -> None:
        """Those whose hashes are lowest, where there are more than are asked for."""
        entry = (-digest("validation", found.example.source, found.example.id), number, found)
        if not self._most or len(self._held_out) < self._most:
            heapq.heappush(self._held_out, entry)
        else:
            heapq.heappushpop(self._held_out, entry)

    def _reject(self, found: Dropped) -> None:
        values = {name: printable(value) for name, value in asdict(found).items()}
        self._rejects.write(json.dumps(values) + "\n")


def _lengths(rows: Any) -> Lengths:
    import numpy as np

    if not len(rows):
        return Lengths(0, 0, 0, 0, 0, 0.0)
    lengths = np.asarray(rows.with_format("numpy")["length"], dtype=np.int64)
    steps = sum(len(table.column("reads").combine_chunks().flatten()) for table in rows.with_format("arrow").iter(10_000))
    median, p95 = (int(value) for value in np.percentile(lengths, [50, 95], method="lower"))
    return Lengths(len(lengths), int(lengths.sum()), median, p95, int(lengths.max()), steps / len(lengths))


def check(report: DataReport, *, allow_dropped: bool) -> None:
    """Raises `InputError` in one sentence where the rows are not what a process reward model can be trained on."""
    if not sum(tally.solutions for tally in report.sources.values()):
        raise InputError(f"there is no labelled solution in {', '.join(report.sources)}")
    if report.lost > MOST_DROPPED * report.encoded and not allow_dropped:
        raise InputError(
            f"{report.lost:,} of {report.encoded:,} rows do not fit the model's context of {report.context:,} tokens or cannot "
            f"be encoded ({report.first_dropped}); take a base with a longer context, or leave them out with --allow-dropped"
        )
    if not report.lengths.rows:
        raise InputError(f"no row is left to train on: {why_none(report)}")
    good, bad = report.counts()
    if not (good and bad):
        raise InputError(
            f"all {good + bad:,} labelled steps of the training rows are {'good' if good else 'wrong'}, and a process reward "
            "model learns from both kinds: add a data set that has the other one"
        )


def why_none(report: DataReport) -> str:
    """What became of the solutions, in words."""
    fates: dict[str, int] = {}
    for tally in report.sources.values():
        for name, count in ({f"in {split}": count for split, count in tally.splits.items()} | tally.dropped).items():
            fates[name] = fates.get(name, 0) + count
    return ", ".join(f"{count:,} {name}" for name, count in fates.items() if count)
