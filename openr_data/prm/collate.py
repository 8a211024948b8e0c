"""From rows to tensors: parts of at most so many tokens, padded at the right, or packed into one row without any padding.

A part is one forward pass. Padding stands at the right of a causal model, which never looks there, so there is no attention mask
and the fastest kernels apply. Packed sequences follow each other in one row; their `position_ids` start again at 0, from which
transformers knows their borders (block-diagonal attention, or flash attention's variable lengths).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openr_data.prm.config import IGNORE
from openr_data.prm.loss import step_weights

Part = dict[str, Tensor]
"""`input_ids` and, packed, `position_ids`: [sequences, tokens]; `reads`, `labels`, `weights`: [solutions, steps]. Packed reads
count from the start of the one sequence. Steps are padded with the label `IGNORE` and the weight 0.
"""


@dataclass(frozen=True, slots=True)
class Sequences:
    """Some rows: `ids`, `reads` and `targets` are arrays of different lengths."""

    ids: Sequence[NDArray[np.int32]]
    reads: Sequence[NDArray[np.int32]]
    targets: Sequence[NDArray[np.float32]]
    weights: NDArray[np.float32]


def fetch(rows: Any, numbers: Sequence[int]) -> Sequences:
    """Rows of a data set of `rows.SCHEMA` in arrow format, without a Python object for each token."""
    table = rows[list(numbers)]
    ids, reads, targets = (_arrays(table.column(name).combine_chunks()) for name in ("input_ids", "reads", "targets"))
    return Sequences(ids, reads, targets, table.column("weight").to_numpy())


def _arrays(column: Any) -> list[Any]:
    values, offsets = column.values.to_numpy(zero_copy_only=False), column.offsets.to_numpy()
    return [values[start:end] for start, end in pairwise(offsets)]


@dataclass(frozen=True, slots=True)
class Collator:
    """`budget` is the most tokens of a part, padding included; a longer sequence is a part of its own."""

    budget: int
    packed: bool = False
    positive_weight: float = 1.0

    def __call__(self, found: Sequences) -> list[Part]:
        """The parts of some rows, short sequences first. No row gives no part."""
        order = np.argsort([len(ids) for ids in found.ids], kind="stable")
        return [self._part(found, members) for members in self.cut([len(found.ids[at]) for at in order], order.tolist())]

    def cut(self, lengths: Sequence[int], members: Sequence[int]) -> Iterator[list[int]]:
        """Groups of members, whose ascending lengths are given, that fit the budget."""
        group: list[int] = []
        tokens = 0
        for length, member in zip(lengths, members, strict=True):
            longer = tokens + length if self.packed else length * (len(group) + 1)
            if group and longer > self.budget:
                yield group
                group, longer = [], length
            group.append(member)
            tokens = longer
        if group:
            yield group

    def _part(self, found: Sequences, members: Sequence[int]) -> Part:
        ids, reads = [found.ids[at] for at in members], [found.reads[at] for at in members]
        labels = torch.from_numpy(_padded([found.targets[at] for at in members], IGNORE, np.float32))
        part = {"labels": labels}
        part["weights"] = step_weights(labels, torch.from_numpy(found.weights[np.asarray(members)]), self.positive_weight)
        if not self.packed:
            return part | {"input_ids": _tokens(_padded(ids, 0, np.int32)), "reads": _tokens(_padded(reads, 0, np.int32))}
        starts = np.cumsum([0, *(len(each) for each in ids[:-1])])
        moved = [each + start for each, start in zip(reads, starts, strict=True)]
        places = np.concatenate([np.arange(len(each)) for each in ids])
        return part | {
            "input_ids": _tokens(np.concatenate(ids)[None]),
            "position_ids": _tokens(places[None]),
            "reads": _tokens(_padded(moved, 0, np.int32)),
        }


def _tokens(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(values.astype(np.int64))


def _padded(arrays: Sequence[NDArray[Any]], filling: float, kind: type[Any]) -> NDArray[Any]:
    """[arrays, longest]"""
    found = np.full((len(arrays), max(len(each) for each in arrays)), filling, dtype=kind)
    for line, each in zip(found, arrays, strict=True):
        line[: len(each)] = each
    return found
