"""PRM800K (arXiv 2305.20050; openai/prm800k): people rated alternatives for every next step of a solution.

One row is one problem. Its solutions are the chain of chosen steps, and for every alternative that was not chosen the chain up
to it with the alternative as last step: later steps were written after the chosen one, so nothing else was ever a solution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openr_data.layouts.base import (
    RATING,
    ExportItem,
    ForeignRow,
    Layout,
    LayoutFault,
    Parsed,
    ReadOptions,
    WriteOptions,
    kind,
)
from openr_data.layouts.prm800k_write import CHOSEN, HUMAN, NOBODY, PLACE, write_rows
from openr_data.layouts.published import published
from openr_data.types import LabeledSolution, Problem

_EXCLUDED = {"is_quality_control_question": "quality_control", "is_initial_screening_question": "screening"}
_UNFINISHED = {"bad_problem", "give_up"}
_RATINGS = {-1: False, 1: True}


@dataclass(frozen=True, slots=True)
class _Step:
    """One completion: its text, its rating, and the hard label that is read of it."""

    text: str
    rating: int | None
    hard: bool | None


def read(row: ForeignRow, options: ReadOptions) -> Parsed:
    """Rules: rows of quality control and screening, and those that ended as `bad_problem` or `give_up`, are set aside (unless
    `options.keep_excluded`); a flagged completion keeps its text and has no label; a step that a person wrote is right; a
    neutral rating is read as `options.neutral` says.
    """
    question, label = _object(row, "question"), _object(row, "label")
    if not options.keep_excluded:
        _check_excluded(row, label)
    chain: list[_Step] = []
    solutions: list[LabeledSolution] = []
    chosen: list[str] = []
    ends = True
    for number, step in enumerate(_list(label.get("steps"), "label.steps")):
        if chosen and chosen[-1] == NOBODY:
            raise LayoutFault("labels_mismatch", f"step {number + 1} follows a step of which nothing was chosen")
        completions = _completions(step, options)
        pick = _chosen(step, completions, number)
        alternatives = [(place, each) for place, each in enumerate(completions) if str(place) != pick]
        solutions += [_solution([*chain, each], f"{number} {place}") for place, each in alternatives]
        chosen.append(pick)
        ends = pick != NOBODY or not completions  # else each alternative is an end of its own
        if pick == HUMAN:
            chain.append(_human(step))
        elif pick != NOBODY:
            chain.append(completions[int(pick)])
    if chain and ends:
        solutions.append(_solution(chain, "chain"))
    if not solutions:
        raise LayoutFault("no_steps", "no step has a completion")
    answer = question.get("ground_truth_answer")
    problem = Problem(
        "", _text(question.get("problem"), "question.problem"), answer or "", "PRM800K", metadata={CHOSEN: " ".join(chosen)}
    )
    return Parsed(problem, tuple(solutions))


def _check_excluded(row: ForeignRow, label: Mapping[str, Any]) -> None:
    for name, reason in _EXCLUDED.items():
        if row.get(name) is True:
            raise LayoutFault(reason, f"`{name}` is true; --keep-excluded reads such rows too")
    finish = label.get("finish_reason")
    if finish in _UNFINISHED:
        raise LayoutFault(str(finish), f"the labelling ended as `{finish}`; --keep-excluded reads such rows too")


def _completions(step: Any, options: ReadOptions) -> list[_Step]:
    if not isinstance(step, dict):
        raise LayoutFault("wrong_type", f"a step must be an object, not {kind(step)}")
    found = step.get("completions")
    return [] if found is None else [_completion(each, options) for each in _list(found, "completions")]


def _completion(value: Any, options: ReadOptions) -> _Step:
    if not isinstance(value, dict):
        raise LayoutFault("wrong_type", f"a completion must be an object, not {kind(value)}")
    rating = value.get("rating")
    if isinstance(rating, bool) or rating not in {-1, 0, 1, None}:
        raise LayoutFault("wrong_type", "a rating must be -1, 0, 1 or null")
    text = _text(value.get("text"), "text")
    if value.get("flagged") is True and not options.keep_excluded:
        return _Step(text, None, None)
    neutral = {"good": True, "bad": False, "none": None}[options.neutral]
    return _Step(text, rating, neutral if rating == 0 else _RATINGS.get(rating) if rating is not None else None)


def _human(step: Mapping[str, Any]) -> _Step:
    human = step["human_completion"]
    if not isinstance(human, dict):
        raise LayoutFault("wrong_type", f"`human_completion` must be an object, not {kind(human)}")
    return _Step(_text(human.get("text"), "human_completion.text"), 1, True)


def _chosen(step: Mapping[str, Any], completions: Sequence[_Step], number: int) -> str:
    pick = step.get("chosen_completion")
    if pick is None:
        return NOBODY if step.get("human_completion") is None else HUMAN
    if isinstance(pick, bool) or not isinstance(pick, int) or not 0 <= pick < len(completions):
        raise LayoutFault("labels_mismatch", f"step {number + 1} chose completion {pick}, and has {len(completions)}")
    return str(pick)


def _solution(steps: Sequence[_Step], place: str) -> LabeledSolution:
    values = [None if step.rating is None else float(step.rating) for step in steps]
    texts, hard = [step.text for step in steps], [step.hard for step in steps]
    return published("prm800k", texts, hard=hard, values=values, estimator=RATING, notes={PLACE: place})


def _object(row: ForeignRow, name: str) -> Mapping[str, Any]:
    value = row.get(name)
    if not isinstance(value, dict):
        raise LayoutFault("wrong_type", f"`{name}` must be an object, not {kind(value)}")
    return value


def _list(value: Any, name: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise LayoutFault("wrong_type", f"`{name}` must be a list, not {kind(value)}")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise LayoutFault("wrong_type", f"`{name}` must be text, not {kind(value)}")
    return value


def matches(row: ForeignRow) -> bool:
    question, label = row.get("question"), row.get("label")
    return isinstance(question, dict) and isinstance(label, dict) and isinstance(label.get("steps"), list)


def write(item: ExportItem, options: WriteOptions) -> Iterator[dict[str, Any]]:
    return write_rows(item)


PRM800K = Layout(
    "prm800k",
    "PRM800K: `question` and `label.steps`, each step with its completions, their ratings and the chosen one",
    ("labeler", "timestamp", "generation", "is_quality_control_question", "is_initial_screening_question", "question", "label"),
    read,
    write,
    matches,
    per_problem=True,
    options=("neutral", "keep_excluded"),
)
