"""Which solutions share the computation of their question. Knows token ids, not how keys and values are kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from openr_data.prm.encode import Encoded

WORTH = 0.2
"""The share of the tokens that must be saved: the copies of keys and values cost as much as a sixth of them does (measured on a
CPU, `benchmarks/prm_scoring.py --candidates 2`).
"""


@dataclass(frozen=True, slots=True)
class Sharing:
    """Questions of `length` tokens each. `rows` are indices of solutions, `questions[k]` is the place of row k's question in
    `prompts`.
    """

    length: int
    prompts: tuple[tuple[int, ...], ...]
    rows: tuple[int, ...]
    questions: tuple[int, ...]


def plan(batch: Sequence[Encoded], budget: int, least: int = 0) -> tuple[list[Sharing], list[int]]:
    """The solutions that share, and the others. The questions of one `Sharing` have at most `budget` tokens together (one may
    have more), and what follows them `least`: a device that is made for large batches loses more by small ones.
    """
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, one in enumerate(batch):
        if 0 < one.prompt <= one.reads[0]:  # the step before a tag may be empty and its answer read within the question
            alike[one.ids[: one.prompt]].append(index)
    by_size: dict[int, list[tuple[tuple[int, ...], list[int]]]] = defaultdict(list)
    for prompt, rows in alike.items():
        if _worth(len(prompt), [len(batch[row].ids) for row in rows]):
            by_size[len(prompt)].append((prompt, rows))
    parts = (each for length, questions in sorted(by_size.items()) for each in _sharings(length, questions, budget))
    found = [each for each in parts if sum(len(batch[row].ids) - each.length for row in each.rows) >= least]
    shared = {row for each in found for row in each.rows}
    return found, [index for index in range(len(batch)) if index not in shared]


def _worth(prompt: int, lengths: Sequence[int]) -> bool:
    return (len(lengths) - 1) * prompt >= WORTH * sum(lengths)


def _sharings(length: int, questions: Sequence[tuple[tuple[int, ...], list[int]]], budget: int) -> Iterator[Sharing]:
    rest = iter(questions)
    while part := list(islice(rest, max(1, budget // length))):
        rows = [(row, place) for place, (_, found) in enumerate(part) for row in found]
        yield Sharing(
            length, tuple(prompt for prompt, _ in part), tuple(row for row, _ in rows), tuple(place for _, place in rows)
        )
