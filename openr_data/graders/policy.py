"""What the graders hold for equal where conventions differ: one value, written into every run. Knows no text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

GRADER_VERSION = "1"
"""Rises with every change that can change a verdict."""


@dataclass(frozen=True, slots=True)
class GradingPolicy:
    r"""Conventions on which published graders contradict each other.

    `percent`: what `n\%` may stand for when the other side has no percent sign: `n`, `n/100`, or `either` of them.
    `bases`: whether a missing base (`52` for `52_8`) is accepted; two different bases are never equal.
    `decimal_digits`: a decimal stands for a number it cannot express (0.333333 for 1/3) when it is that number rounded or cut
    off and shows at least so many significant digits. Two decimals, and a decimal that is exact, are compared exactly.

    Not optional: units, degree and currency signs are dropped; a leading `x =` or `x \in` counts only when both sides have one;
    a bare list and a set are unordered, a tuple is ordered and equals a bare list in the same order; `(a,b)` is not `[a,b]`;
    words and single letters are compared without case; `1,234` is a number, `1, 234` and `1,5` are lists.

    >>> GradingPolicy().identity
    'percent=either,bases=optional,decimal_digits=6'
    """

    percent: Literal["either", "same", "hundredth"] = "either"
    bases: Literal["optional", "required"] = "optional"
    decimal_digits: int = 6

    @property
    def identity(self) -> str:
        return ",".join(f"{name}={value}" for name, value in asdict(self).items())
