"""Which split a question belongs to: by a hash of its text, so that all its rows, in every data set, fall into the same one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openr_data.errors import UsageError
from openr_data.problems.digests import digest, normal_question

NAMES = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Splits:
    """Shares of train, validation and test; they sum to 1. A share of 0 leaves its split out."""

    train: float = 0.9
    validation: float = 0.05
    test: float = 0.05

    @property
    def shares(self) -> tuple[float, float, float]:
        return (self.train, self.validation, self.test)

    def of(self, question: str) -> str:
        """The split of a question, whatever its white space. A question keeps it when a data set grows.

        >>> Splits().of("What is 1 + 1?") == Splits().of(" What is  1 + 1?")
        True
        """
        place, reached = digest("split", normal_question(question)) / 2**64, 0.0
        for name, share in zip(NAMES, self.shares, strict=True):
            reached += share
            if place < reached:
                return name
        return next(name for name, share in reversed(list(zip(NAMES, self.shares, strict=True))) if share)


def parse_splits(text: str) -> Splits:
    """`90/5/5` (train, validation, test), or `100` for everything in train.

    >>> parse_splits("80/10/10")
    Splits(train=0.8, validation=0.1, test=0.1)
    """
    try:
        parts = [float(part) for part in text.split("/")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or any(part < 0 for part in parts) or not _is_whole(parts):
        raise UsageError(f"splits are shares of train/validation/test that sum to 100, such as 90/5/5, not '{text}'")
    return Splits(*(part / 100 for part in (*parts, 0.0, 0.0)[:3]))


def _is_whole(parts: Iterable[float]) -> bool:
    return abs(sum(parts) - 100) < 1e-9
