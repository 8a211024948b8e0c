"""Which rows are seen when. An optimiser step's rows follow from seed, epoch and step alone, never from who computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from openr_data.prm.collate import Collator, fetch

Batch = dict[str, Any]
"""`parts`: one `Part` per forward pass; `number`: which batch it is; `tokens`: how many, without padding."""


class TrainingPlan(Dataset[Batch]):
    """The micro-batches of an epoch, in order: every step has `accumulation` times `processes` of them.

    A step takes the next `batch` rows of the epoch's permutation (seeded by seed and epoch) and deals them out by length: each
    forward pass sees sequences of like length and each process about as many tokens. So one process or two, one micro-batch or
    four, a first run or a resumed one all take the same steps. A micro-batch of the epoch's last step may be empty.
    """

    def __init__(self, rows: Any, collator: Collator, *, batch: int, accumulation: int, processes: int, seed: int) -> None:
        self._rows, self._collator = rows.with_format("arrow"), collator
        self._lengths = lengths(rows)
        self._batch, self._accumulation, self._processes, self._seed = batch, accumulation, processes, seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate's loader before each epoch."""
        self._order = np.random.default_rng((self._seed, epoch)).permutation(len(self._lengths))

    @property
    def steps(self) -> int:
        """Optimiser steps of an epoch."""
        return -(-len(self._lengths) // self._batch)

    def __len__(self) -> int:
        return self.steps * self._accumulation * self._processes

    def __getitem__(self, number: int) -> Batch:
        return batch_of(self._rows, self.members(number), self._collator, number)

    def members(self, number: int) -> NDArray[np.int64]:
        """The rows of a micro-batch."""
        step, piece = divmod(number, self._accumulation * self._processes)
        of_step = self._order[step * self._batch : (step + 1) * self._batch]
        by_length = of_step[np.argsort(self._lengths[of_step], kind="stable")]
        pass_, process = divmod(piece, self._processes)
        return np.array_split(by_length, self._accumulation)[pass_][process :: self._processes]


class EvaluationPlan(Dataset[Batch]):
    """All rows once, short ones first, a single part a batch."""

    def __init__(self, rows: Any, collator: Collator) -> None:
        self._rows, self._collator = rows.with_format("arrow"), collator
        tokens = lengths(rows)
        order = np.argsort(tokens, kind="stable")
        self._groups = list(collator.cut(tokens[order].tolist(), order.tolist()))

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, number: int) -> Batch:
        return batch_of(self._rows, self._groups[number], self._collator, number)


def batch_of(rows: Any, members: Sequence[int] | NDArray[np.int64], collator: Collator, number: int) -> Batch:
    """Of the data set in arrow format."""
    if not len(members):
        return {"parts": [], "number": number, "tokens": 0}
    found = fetch(rows, [int(member) for member in members])
    return {"parts": collator(found), "number": number, "tokens": sum(map(len, found.ids))}


def lengths(rows: Any) -> NDArray[np.int64]:
    """Of the rows, in tokens."""
    table = rows.select_columns("length").with_format("arrow")[:]
    return np.asarray(table.column("length").to_numpy(), dtype=np.int64)


def only(batches: Sequence[Batch]) -> Batch:
    """The loader's collation: a plan's item is a batch already."""
    (batch,) = batches
    return batch


def positive_balance(rows: Any) -> float:
    """The weight of targets above one half with which both classes weigh the same; 1 where there is one class only."""
    good = bad = 0.0
    for table in rows.with_format("arrow").iter(batch_size=10_000):
        targets, weights = table.column("targets").combine_chunks(), table.column("weight").to_numpy()
        values = targets.values.to_numpy(zero_copy_only=False)
        values = values[targets.offsets[0].as_py() : targets.offsets[-1].as_py()]
        each = np.repeat(weights, np.diff(targets.offsets.to_numpy()))
        good += float(each[values > 0.5].sum())
        bad += float(each[(values >= 0) & (values <= 0.5)].sum())
    return bad / good if good and bad else 1.0
