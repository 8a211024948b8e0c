"""The labels of an exported solution as a layout spells them: truth values, numbers or signs. Knows no columns.

What was published goes back as it came, steps without a label included; of our own, a layout holds a solution only whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from openr_data.layouts.base import ExportSolution, ForeignRow, LayoutFault, kind, list_of


def truths(solution: ExportSolution) -> list[bool | None]:
    """Hard labels. Raises `LayoutFault` where a step has none and nobody published it so."""
    return _whole(solution, list(solution.hard))


def numbers(solution: ExportSolution, *, soft: bool) -> list[float | None]:
    """Soft values, or hard labels as 1.0 and 0.0. Raises `LayoutFault` like `truths`."""
    if solution.published:
        return list(solution.published)
    return _whole(solution, list(solution.soft) if soft else [None if label is None else float(label) for label in solution.hard])


def signs(solution: ExportSolution) -> list[str]:
    """Hard labels as + and -. Raises `LayoutFault` where a step has none: there is no third sign."""
    if None in solution.hard:
        raise _unlabelled()
    return ["+" if label else "-" for label in solution.hard]


def _unlabelled() -> LayoutFault:
    return LayoutFault("unlabelled_step", "a step has no label, and the layout has no sign for that")


def _whole(solution: ExportSolution, labels: list[Any]) -> list[Any]:
    if None in labels and not solution.published:
        raise _unlabelled()
    return labels


def steps_of(row: ForeignRow, name: str) -> list[str]:
    """A list of texts, at least one."""
    steps = list_of(row, name)
    wrong = next((step for step in steps if not isinstance(step, str)), "")
    if wrong != "":
        raise LayoutFault("wrong_type", f"every entry of `{name}` must be text, not {kind(wrong)}")
    if not steps:
        raise LayoutFault("no_steps", f"`{name}` is empty: there is no step")
    return list(steps)


def matching(labels: Sequence[Any], steps: Sequence[str]) -> None:
    if len(labels) != len(steps):
        raise LayoutFault("labels_mismatch", f"there are {len(steps)} steps and {len(labels)} labels")


def fraction(value: object) -> float | None:
    """A soft value from 0 to 1, or none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LayoutFault("wrong_type", f"a soft label must be a number, not {kind(value)}")
    if not (0 <= value <= 1 and isfinite(value)):
        raise LayoutFault("out_of_range", f"a soft label must lie in 0 .. 1, not {value:g}")
    return float(value)
