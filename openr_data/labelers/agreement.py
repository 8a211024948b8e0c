"""How well labels agree with a known truth, which comes in as plain first-error indices. Knows no costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass

from openr_data.types import NO_ERROR, LabeledSolution


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts that add up; the shares are readings of them (`None`: nothing to divide by).

    `early` and `late` place the first error before and after the true one (no error is later than any). The step counts read
    every prefix of a decided solution as right before the first error and wrong from it on.
    """

    solutions: int = 0
    decided: int = 0
    exact: int = 0
    early: int = 0
    late: int = 0
    wrong_as_wrong: int = 0
    right_as_wrong: int = 0
    wrong_as_right: int = 0
    right_as_right: int = 0

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def exact_match(self) -> float | None:
        """The share of decided solutions whose first error is exactly the true one."""
        return _share(self.exact, self.decided)

    @property
    def coverage(self) -> float | None:
        """The share of solutions that were decided."""
        return _share(self.decided, self.solutions)

    @property
    def too_early(self) -> float | None:
        return _share(self.early, self.decided)

    @property
    def too_late(self) -> float | None:
        return _share(self.late, self.decided)

    @property
    def wrong_precision(self) -> float | None:
        return _share(self.wrong_as_wrong, self.wrong_as_wrong + self.right_as_wrong)

    @property
    def wrong_recall(self) -> float | None:
        return _share(self.wrong_as_wrong, self.wrong_as_wrong + self.wrong_as_right)

    @property
    def right_precision(self) -> float | None:
        return _share(self.right_as_right, self.right_as_right + self.wrong_as_right)

    @property
    def right_recall(self) -> float | None:
        return _share(self.right_as_right, self.right_as_right + self.right_as_wrong)


def agreement(pairs: Iterable[tuple[LabeledSolution, int]]) -> Agreement:
    """Compare labels with true first errors (`NO_ERROR`: none)."""
    return sum((compare(labelled.first_error, truth, len(labelled.labels)) for labelled, truth in pairs), Agreement())


def compare(first_error: int | None, truth: int, length: int) -> Agreement:
    """One solution of `length` steps: the first error that a label names (`None`: undecided) against the true one."""
    if first_error is None:
        return Agreement(solutions=1)
    said, true = _good_steps(first_error, length), _good_steps(truth, length)
    return Agreement(
        solutions=1,
        decided=1,
        exact=int(said == true),
        early=int(said < true),
        late=int(said > true),
        wrong_as_wrong=length - max(said, true),
        right_as_wrong=max(0, true - said),
        wrong_as_right=max(0, said - true),
        right_as_right=min(said, true),
    )


def _good_steps(first_error: int, length: int) -> int:
    return length if first_error == NO_ERROR else first_error


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
