"""Where the next rollout tells most. Knows posteriors and costs, no rollouts."""

from __future__ import annotations

import numpy as np

from openr_data.labelers.adaptive.model import Array
from openr_data.labelers.adaptive.posterior import Posterior

NOTHING_TO_LEARN = 1e-6
"""Bits per rollout below which no prefix is worth another one."""

OVERHEAD = 2.0
"""Tokens that a rollout costs besides those it generates."""


def information(posterior: Posterior) -> Array:
    """(M,): the bits that one rollout from each prefix tells about whether that prefix is good.

    I(good; hit) = h(P(hit)) - P(good) h(P(hit | good)) - P(bad) h(P(hit | bad)), h the binary entropy. The root is good.
    """
    good = np.clip(posterior.good, 1e-9, 1 - 1e-9)
    if_good, if_bad = posterior.hit_good / good, posterior.hit_bad / (1 - good)
    bits = entropy(posterior.value) - good * entropy(if_good) - (1 - good) * entropy(if_bad)
    bits[0] = 0.0
    return np.asarray(bits)


def entropy(p: Array) -> Array:
    """The binary entropy in bits.

    >>> entropy(np.array([0.0, 0.5])).round(3).tolist()
    [0.0, 1.0]
    """
    inside = np.clip(p, 1e-12, 1 - 1e-12)
    bits: Array = (-inside * np.log2(inside) - (1 - inside) * np.log2(1 - inside)).astype(np.float64)
    return bits


def remaining(length: int, tokens_per_step: float) -> Array:
    """(M,): the expected tokens of a rollout from each prefix."""
    return np.asarray((length - np.arange(length)) * tokens_per_step + OVERHEAD, dtype=float)
