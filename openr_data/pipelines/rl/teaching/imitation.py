"""Right solutions, imitated. An advantage of 1 for every token has the gradient of the mean log-likelihood."""

from __future__ import annotations

from collections.abc import Sequence

from openr_data.rl.batches import Sample


def imitated(prompt: Sequence[int], tokens: Sequence[int]) -> Sample:
    return Sample(tuple(prompt), tuple(tokens), [1.0] * len(tokens))
