"""One item of a run as the page holds it: a line for the table, and the texts of its solutions. Writes nothing.

Large whole numbers (seeds) are spelt as text: a browser would round them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openr_data.store.read import ItemRecords
from openr_data.types import NO_ERROR, Estimate, LabeledSolution, Solution, StepLabel

SIGNED = frozenset({"advantage", "rating"})
"""Estimators from -1 to 1; all others are from 0 to 1 (`progress` may exceed 1, which shows as 1)."""

_EXCERPT = 160
_NO_LEVEL, _GOOD, _BAD = "-gb"


def problem_line(item: ItemRecords) -> dict[str, Any]:
    """What the table shows of a problem."""
    problem = item.problem
    return {
        "id": problem.id,
        "question": " ".join(problem.question[: 2 * _EXCERPT].split())[:_EXCERPT],
        "source": problem.source,
        "difficulty": problem.difficulty,
        "skipped": item.skipped,
        "nodes": len(item.nodes),
        "solutions": len(item.labeled) or len(item.solutions),
    }


def solution_lines(item: ItemRecords) -> list[dict[str, Any]]:
    """What the table shows of each solution, labelled or not."""
    return [_labeled_line(each) for each in item.labeled] or [_line(each) for each in item.solutions]


def item_texts(item: ItemRecords) -> dict[str, Any]:
    """The question and every solution in full."""
    problem = item.problem
    return {
        "question": problem.question,
        "answer": problem.answer,
        "metadata": dict(problem.metadata),
        "solutions": [_labeled(each) for each in item.labeled] or [_solution(each) for each in item.solutions],
    }


def level(estimate: Estimate | None, label: StepLabel | None) -> str:
    """The tenth in which a step's value lies, 0 .. 9, as one character; `-` without a value.

    >>> level(Estimate(0.55, "mean"), None), level(Estimate(-1.0, "rating"), None), level(None, StepLabel(8, 8))
    ('5', '0', '9')
    """
    value = step_value(estimate, label)
    if value is None:
        return _NO_LEVEL
    share = (value + 1) / 2 if estimate and estimate.estimator in SIGNED else value
    return str(min(9, max(0, int(share * 10 + 1e-9))))


def marks(labeled: LabeledSolution) -> str:
    """Steps that have a label but no value: `g` right, `b` wrong; after the first error only what was published."""
    steps, first_error = len(labeled.labels), labeled.first_error
    if labeled.hard:
        return "".join({True: _GOOD, False: _BAD, None: _NO_LEVEL}[each] for each in labeled.hard)
    if first_error is None:
        return _NO_LEVEL * steps
    return _GOOD * steps if first_error == NO_ERROR else (_GOOD * first_error + _BAD).ljust(steps, _NO_LEVEL)


def step_value(estimate: Estimate | None, label: StepLabel | None) -> float | None:
    if estimate is not None:
        return estimate.value
    return label.value if label else None


def _line(solution: Solution) -> dict[str, Any]:
    return {
        "id": solution.id,
        "verdict": solution.verdict.outcome,
        "steps": len(solution.steps),
        "tokens": solution.tokens,
    }


def _labeled_line(labeled: LabeledSolution) -> dict[str, Any]:
    pairs = list(zip(_estimates(labeled), labeled.labels, strict=True))
    values = [value for pair in pairs if (value := step_value(*pair)) is not None]
    return {
        **_line(labeled.solution),
        "first": labeled.first_error,
        "method": labeled.method,
        "origin": labeled.origin,
        "levels": "".join(level(*pair) for pair in pairs) if values else marks(labeled),
        "lowest": round(min(values), 4) if values else None,
        "confidence": labeled.confidence,
        "rollouts": labeled.cost.rollouts,
    }


def _estimates(labeled: LabeledSolution) -> Sequence[Estimate | None]:
    return labeled.estimates or (None,) * len(labeled.labels)


def _solution(solution: Solution) -> dict[str, Any]:
    return {
        "steps": list(solution.steps),
        "why": solution.verdict.reason,
        "answer": solution.verdict.answer,
        "sampler": solution.sampler,
        "finish": solution.finish_reason,
        "index": solution.index,
        "seed": str(solution.seed),
        "tokens": solution.tokens,
    }


def _labeled(labeled: LabeledSolution) -> dict[str, Any]:
    estimates = _estimates(labeled)
    return {
        **_solution(labeled.solution),
        "hits": [label and label.hits for label in labeled.labels],
        "counts": [label and label.rollouts for label in labeled.labels],
        "values": [step_value(*pair) for pair in zip(estimates, labeled.labels, strict=True)],
        "estimators": [estimate and estimate.estimator for estimate in estimates],
        "good": [estimate and estimate.good for estimate in estimates],
        "hard": list(labeled.hard),
        "reason": labeled.reason,
        "notes": dict(labeled.notes),
        "cost": [labeled.cost.rollouts, labeled.cost.tokens],
    }
