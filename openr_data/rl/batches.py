"""Samples of many lengths as tensors: prompts padded on the left and tokens on the right, so that all begin in one column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sample:
    """A solution to learn from: ids, and for each generated token its advantage. `lengths` are the tokens of each step."""

    prompt: Sequence[int]
    tokens: Sequence[int]
    advantages: Sequence[float]
    lengths: Sequence[int] = ()

    def __post_init__(self) -> None:
        if len(self.advantages) != len(self.tokens):
            raise ValueError(f"{len(self.advantages)} advantages for {len(self.tokens)} tokens")

    @property
    def size(self) -> int:
        return len(self.prompt) + len(self.tokens)


@dataclass(frozen=True, slots=True)
class Batch:
    """`ids`, `attention` and `positions` are [samples, prompt + tokens]; `targets`, `mask`, `advantages` and `step` [samples,
    tokens]. `rows` are the places of the samples in what was cut into batches.
    """

    ids: Tensor
    attention: Tensor
    positions: Tensor
    targets: Tensor
    mask: Tensor
    advantages: Tensor
    step: Tensor
    rows: tuple[int, ...]


def batches(samples: Sequence[Sample], budget: int, device: torch.device) -> Iterator[Batch]:
    """Batches of like lengths, of at most `budget` ids each (padding included; a longer sample goes alone)."""
    order = sorted(range(len(samples)), key=lambda row: (samples[row].size, row))
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop - start + 1) * _width(samples, order[start : stop + 1]) <= budget:
            stop += 1
        yield _batch([samples[row] for row in order[start:stop]], tuple(order[start:stop]), device)
        start = stop


def _width(samples: Sequence[Sample], rows: Sequence[int]) -> int:
    return max(len(samples[row].prompt) for row in rows) + max(len(samples[row].tokens) for row in rows)


def _batch(samples: Sequence[Sample], rows: tuple[int, ...], device: torch.device) -> Batch:
    before, behind = max(len(each.prompt) for each in samples), max(len(each.tokens) for each in samples)
    ids = torch.tensor([_line(each.prompt, before, left=True) + _line(each.tokens, behind) for each in samples])
    mask = torch.tensor([_line([1] * len(each.tokens), behind) for each in samples])
    there = torch.tensor([_line([1] * len(each.prompt), before, left=True) for each in samples])
    attention = torch.cat([there, mask], 1)
    return Batch(
        ids=ids.to(device),
        attention=attention.to(device),
        positions=(attention.cumsum(1) - 1).clamp(min=0).to(device),
        targets=ids[:, before:].to(device),
        mask=mask.float().to(device),
        advantages=torch.tensor([_line(each.advantages, behind) for each in samples], dtype=torch.float32).to(device),
        step=torch.tensor([_line(_numbers(each), behind) for each in samples], dtype=torch.long).to(device),
        rows=rows,
    )


def _numbers(each: Sample) -> list[int]:
    """The step of each token; all are of one step where nobody said."""
    lengths = each.lengths or [len(each.tokens)]
    return [number for number, length in enumerate(lengths) for _ in range(length)]


def _line(values: Sequence[float], width: int, *, left: bool = False) -> list[float]:
    rest = [0] * (width - len(values))
    return [*rest, *values] if left else [*values, *rest]
