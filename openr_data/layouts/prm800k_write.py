"""Writes PRM800K's rows: the row that published alternatives came from, or one row for each labelled solution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from openr_data.layouts.base import ExportItem, ExportSolution, LayoutFault
from openr_data.types import NO_ERROR, Problem

CHOSEN = "chosen"
"""Metadata of a problem: which completion was chosen at each step."""

PLACE = "place"
"""Note of a solution: `chain`, or the step and the number of the alternative that it ends with."""

HUMAN, NOBODY = "human", "none"


def write_rows(item: ExportItem) -> Iterator[dict[str, Any]]:
    """Solutions that were published together become their row again; any other one a row of its own, up to its first error."""
    if CHOSEN in item.problem.metadata and all(PLACE in solution.notes for solution in item.solutions):
        yield _together(item)
        return
    for solution in item.solutions:
        yield _alone(item.problem, solution)


def _together(item: ExportItem) -> dict[str, Any]:
    chosen = item.problem.metadata[CHOSEN].split()
    steps: list[dict[int, dict[str, Any]]] = [{} for _ in chosen]
    human: dict[int, dict[str, Any]] = {}
    for solution in item.solutions:
        for number, completion in enumerate(_completions(solution)):
            last = number == len(solution.steps) - 1
            place = solution.notes[PLACE].split()
            pick = place[1] if last and len(place) == 2 else chosen[number]
            if pick == HUMAN:
                human[number] = {**completion, "rating": None, "source": "human"}
            else:
                steps[number].setdefault(int(pick), completion)
    body = [
        {
            "completions": [step[place] for place in sorted(step)],
            "human_completion": human.get(number),
            "chosen_completion": int(pick) if pick not in {HUMAN, NOBODY} else None,
        }
        for number, (step, pick) in enumerate(zip(steps, chosen, strict=True))
    ]
    return _row(item.problem, body, "found_error" if chosen[-1] == NOBODY else "solution")


def _completions(solution: ExportSolution) -> Iterator[dict[str, Any]]:
    values = solution.published or (None,) * len(solution.steps)
    for text, value in zip(solution.steps, values, strict=True):
        yield {"text": text, "rating": None if value is None else int(value), "flagged": False}


def _alone(problem: Problem, solution: ExportSolution) -> dict[str, Any]:
    """As in its second phase: the steps up to the first wrong one, which nobody chose."""
    if solution.first_error is None:
        raise LayoutFault("undecided", "the first error is not decided")
    wrong = solution.first_error if solution.first_error != NO_ERROR else None
    steps = solution.steps if wrong is None else solution.steps[: wrong + 1]
    body = [_step(text, _rating(solution.hard, number), chosen=number != wrong) for number, text in enumerate(steps)]
    return _row(problem, body, "solution" if wrong is None else "found_error")


def _step(text: str, rating: int | None, *, chosen: bool) -> dict[str, Any]:
    completion = {"text": text, "rating": rating, "flagged": False}
    return {"completions": [completion], "human_completion": None, "chosen_completion": 0 if chosen else None}


def _rating(hard: Sequence[bool | None], number: int) -> int | None:
    label = hard[number]
    return None if label is None else 1 if label else -1


def _row(problem: Problem, steps: list[dict[str, Any]], finish: str) -> dict[str, Any]:
    return {
        "labeler": "",
        "timestamp": "",
        "generation": None,
        "is_quality_control_question": False,
        "is_initial_screening_question": False,
        "question": {"problem": problem.question, "ground_truth_answer": problem.answer},
        "label": {"steps": steps, "total_time": 0, "finish_reason": finish},
    }
