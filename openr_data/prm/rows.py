"""Training rows on disk: token ids, the positions that are judged and their targets, written and read in bounded memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import pyarrow as pa

from openr_data.errors import InputError
from openr_data.prm.config import IGNORE
from openr_data.prm.encode import Encoder, RowError, TooLong
from openr_data.prm.examples import Example

SCHEMA = pa.schema(
    {
        "row": pa.int64(),
        "input_ids": pa.list_(pa.int32()),
        "reads": pa.list_(pa.int32()),
        "targets": pa.list_(pa.float32()),
        "weight": pa.float32(),
        "length": pa.int32(),
    }
)
TOO_LONG = "longer than the model's context"
NOTHING_TO_LEARN = "none of its steps carries a loss"
_NAME = "rows.arrow"
_GROUP = 1000
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Rows:
    """`dataset` is a memory-mapped `datasets.Dataset` of the columns of `SCHEMA`; `row` is the place of the example in the input.

    `dropped` counts the examples that are not in it by reason, and `ids` names the first few of each.
    """

    dataset: Any
    dropped: Counter[str] = field(default_factory=Counter)
    ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def tokenised(
    examples: Iterable[Example],
    encoder: Encoder,
    folder: Path,
    on_row: Callable[[int], None] = lambda _: None,
    on_drop: Callable[[Example, str, str], None] = lambda *_: None,
) -> Rows:
    """Encode the examples into `folder`; a file of an earlier call there is replaced. `on_row` hears how many more are done.

    `on_drop` hears of each example that is left out, with its reason and a sentence, before the next one is asked for.

    What is too long for the context is dropped and counted, never cut; so is what cannot be encoded, and what has no step with
    a loss. A row ends at its last step with a loss: no causal model's loss depends on what follows. Raises `InputError` naming
    the row where targets and tags do not match, or a target or weight is out of its range.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, part = folder / _NAME, folder / f"{_NAME}.part"
    writer = _Writer(encoder, on_drop)
    with pa.OSFile(str(part), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as stream:
        for number, example in enumerate(examples):
            writer.add(number, example)
            if writer.waiting >= _GROUP:
                stream.write_batch(writer.batch())
            on_row(1)
        stream.write_batch(writer.batch())
    part.replace(path)
    return Rows(opened(folder), writer.dropped, {reason: tuple(ids) for reason, ids in writer.ids.items()})


def opened(folder: Path) -> Any:
    """The data set that `tokenised` wrote into the folder."""
    from datasets import Dataset

    return Dataset.from_file(str(folder / _NAME))


class _Writer:
    """Collects encoded rows; counts what it leaves out."""

    def __init__(self, encoder: Encoder, on_drop: Callable[[Example, str, str], None]) -> None:
        self.dropped: Counter[str] = Counter()
        self.ids: dict[str, list[str]] = {}
        self._encoder, self._on_drop = encoder, on_drop
        self._columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}

    @property
    def waiting(self) -> int:
        return len(self._columns["row"])

    def add(self, number: int, example: Example) -> None:
        _check(example)
        if example.weight == 0 or all(target is None for target in example.targets):
            return self._drop(example, NOTHING_TO_LEARN, NOTHING_TO_LEARN)
        try:
            encoded = self._encoder.encode(example.question, example.steps)
        except TooLong as fault:
            return self._drop(example, TOO_LONG, str(fault))
        except RowError as fault:
            return self._drop(example, re.sub(r"its step \d+", "one of its steps", str(fault)), str(fault))
        if len(encoded.reads) != len(example.targets):
            raise InputError(f"row {example.id} has {len(encoded.reads)} step tags and {len(example.targets)} targets")
        steps = 1 + max(step for step, target in enumerate(example.targets) if target is not None)
        targets = [IGNORE if target is None else target for target in example.targets[:steps]]
        reads = encoded.reads[:steps]
        ids = encoded.ids[: reads[-1] + 1]
        row = (number, ids, reads, targets, example.weight, len(ids))
        for column, value in zip(self._columns.values(), row, strict=True):
            column.append(value)
        return None

    def batch(self) -> pa.RecordBatch:
        """The rows that wait, which wait no longer."""
        found = pa.record_batch(list(self._columns.values()), schema=SCHEMA)
        for column in self._columns.values():
            column.clear()
        return found

    def _drop(self, example: Example, reason: str, detail: str) -> None:
        self.dropped[reason] += 1
        self._on_drop(example, reason, detail)
        named = self.ids.setdefault(reason, [])
        if len(named) < _NAMED:
            named.append(example.id)


def _check(example: Example) -> None:
    wrong = next((target for target in example.targets if target is not None and not 0 <= target <= 1), None)
    if wrong is not None:
        raise InputError(f"row {example.id} has the target {wrong}; targets lie from 0 to 1")
    if not (isfinite(example.weight) and example.weight >= 0):
        raise InputError(f"row {example.id} has the weight {example.weight}; weights are positive numbers")
