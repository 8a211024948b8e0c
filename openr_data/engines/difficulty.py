"""How likely each step of a synthetic chain is to go wrong or to repair it, and what that makes any state worth. Knows no texts.

A script gives the rates themselves, or a success probability to which they are solved. That probability, and how it is shared
out among the steps, may be drawn for each question from a hash of it: always the same, and known exactly all the same.
"""

from __future__ import annotations

import math
from functools import lru_cache
from hashlib import blake2b
from math import exp, log
from random import Random

from openr_data.engines.script import Script

Rates = tuple[float, ...]

BETA = 1.2
"""Where questions vary, success is distributed as Beta(BETA, BETA) ..."""

EASIEST, HARDEST = 0.95, 0.05
"""... cut off at these, so that a question filter keeps most of them."""

_HALVINGS = 60
_FAR = 2.0**200


def rates(script: Script, steps: int, key: str) -> tuple[Rates, Rates]:
    """(u, rho) of each step of a chain of that length; `key` stands for the question where questions or steps differ."""
    repairs = _extend(script.recovery, steps)
    if script.vary or script.uneven:
        return _drawn(script.success, script.vary, script.uneven, repairs, key), repairs
    if script.success:
        return (_solve_error(script.success, repairs),) * steps, repairs
    return _extend(script.error, steps), repairs


@lru_cache(maxsize=4096)
def backward(errors: Rates, repairs: Rates) -> tuple[tuple[float, float], ...]:
    """(Vg[t], Vb[t]) for t = 0 .. steps: the success probability of the right and of the wrong state after t steps.

    Vg[t] = (1-u) Vg[t+1] + u Vb[t+1] and Vb[t] = rho Vg[t+1] + (1-rho) Vb[t+1], with Vg = 1 and Vb = 0 at the end.

    >>> backward((0.5, 0.5), (0.25, 0.25))[0]
    (0.375, 0.3125)
    """
    values = [(1.0, 0.0)]
    for u, rho in zip(reversed(errors), reversed(repairs), strict=True):
        good, bad = values[-1]
        values.append(((1 - u) * good + u * bad, rho * good + (1 - rho) * bad))
    return tuple(reversed(values))


@lru_cache(maxsize=16384)
def _drawn(success: float, vary: int, uneven: float, repairs: Rates, key: str) -> Rates:
    draw = Random(int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"))
    target = _question_success(draw) if vary else success
    return _share_out(target, _step_weights(draw, len(repairs), uneven), repairs)


def _question_success(draw: Random) -> float:
    """From the truncated beta distribution, by Jöhnk's method: only `random()` gives the same numbers in every Python."""
    while True:
        x, y = math.pow(draw.random(), 1 / BETA), math.pow(draw.random(), 1 / BETA)
        if 0 < x + y <= 1 and HARDEST < x / (x + y) < EASIEST:
            return x / (x + y)


def _step_weights(draw: Random, steps: int, uneven: float) -> Rates:
    """Powers of exponential draws, the largest 1: all equal for 0; for 5, one or two steps carry most of the weight."""
    weights = [math.pow(-log(1 - draw.random()), uneven) for _ in range(steps)]
    largest = max(weights, default=0.0) or 1.0
    return tuple(weight / largest for weight in weights)


def _share_out(success: float, weights: Rates, repairs: Rates) -> Rates:
    """Errors u_j = (1 - rho_j)(1 - exp(-s w_j)) with the s that makes Vg[0] = `success`.

    Without recovery the chance of no error at step j is success^(w_j / sum w). u + rho <= 1 keeps Vg >= Vb, so Vg[0] falls as s
    grows, down to the last rho: a smaller success cannot be reached, and the least that can is taken.
    """

    def errors(s: float) -> Rates:
        return tuple((1 - rho) * (1 - exp(-s * weight)) for weight, rho in zip(weights, repairs, strict=True))

    def worth(s: float) -> float:
        return backward.__wrapped__(errors(s), repairs)[0][0]

    high = 1.0
    while worth(high) > success and high < _FAR:
        high *= 2
    low = 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if worth(middle) > success else (low, middle)
    return errors(high)


@lru_cache(maxsize=1024)
def _extend(rates: Rates, steps: int) -> Rates:
    return rates[:steps] + rates[-1:] * max(0, steps - len(rates))


@lru_cache(maxsize=1024)
def _solve_error(success: float, repairs: Rates) -> float:
    # Vg[0] falls as u grows while Vg >= Vb, so halving finds u; a success rate below the reach of u = 1 gives u = 1.
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if backward.__wrapped__((middle,) * len(repairs), repairs)[0][0] > success:
            low = middle
        else:
            high = middle
    return high
