"""MATH-APS, flat (openreasoner/openr, the generator's output): a question with a list of measured prefixes that nest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openr_data.layouts.base import (
    ExportItem,
    ForeignRow,
    Layout,
    LayoutFault,
    Parsed,
    ReadOptions,
    WriteOptions,
    list_of,
    text_of,
)
from openr_data.layouts.prefixes import PLACES, ROOT_PLACES, ROOT_VALUE, Entry, chains, root_notes, solution, value_of
from openr_data.types import Problem

_GLUE = "\n\n"


def read(row: ForeignRow, options: ReadOptions) -> Parsed:
    """Every `solution_prefix` begins with the question; what no other prefix continues is a solution."""
    question, places, values = text_of(row, "question"), dict[str, list[int]](), dict[str, float]()
    for number, entry in enumerate(list_of(row, "reasoning_steps")):
        if not isinstance(entry, dict):
            raise LayoutFault("wrong_type", "every entry of `reasoning_steps` must be an object")
        text = text_of(entry, "solution_prefix")
        if not text.startswith(question):
            raise LayoutFault("prefix_mismatch", f"prefix {number + 1} does not begin with the question")
        places.setdefault(text, []).append(number)
        values.setdefault(text, value_of(entry))
    found = [solution("math-aps", chain, options) for chain in _chains(question, places, values)]
    found.sort(key=lambda one: [int(place.split("+")[0]) for place in one.notes[PLACES].split()])
    root = root_notes(values.get(question), places.get(question, ()))
    return Parsed(Problem("", question, text_of(row, "final_answer"), "MATH-APS", metadata=root), tuple(found))


def _chains(question: str, places: dict[str, list[int]], values: dict[str, float]) -> Iterator[list[Entry]]:
    """Sorted, a prefix stands right before all that continue it: the open prefixes are a stack."""
    texts = sorted(text for text in places if text != question)
    open_texts: list[str] = []
    chain: list[Entry] = []
    for text, following in zip(texts, [*texts[1:], ""], strict=True):
        while open_texts and not text.startswith(open_texts[-1]):
            open_texts.pop()
            chain.pop()
        before = len(open_texts[-1]) if open_texts else len(question)
        open_texts.append(text)
        chain.append(Entry(text[before:], values[text], tuple(places[text])))
        if not following.startswith(text):
            yield list(chain)


def write(item: ExportItem, options: WriteOptions) -> Iterator[dict[str, Any]]:
    """The measured prefixes of all solutions, each once; published ones in the order in which they stood."""
    metadata = item.problem.metadata
    if ROOT_VALUE in metadata or all(PLACES in one.notes for one in item.solutions):
        entries = _as_published(item)
    else:
        entries = _measured(item, options.separator)
    yield {"question": item.problem.question, "final_answer": item.problem.answer, "reasoning_steps": entries}


def _as_published(item: ExportItem) -> list[dict[str, Any]]:
    metadata, question = item.problem.metadata, item.problem.question
    by_place = {int(place): _entry(question, float(metadata[ROOT_VALUE])) for place in metadata.get(ROOT_PLACES, "").split()}
    for one in item.solutions:
        prefix = question
        for places, text, value in chains(one):
            prefix += text
            by_place |= {place: _entry(prefix, value) for place in places}
    return [by_place[place] for place in sorted(by_place)]


def _measured(item: ExportItem, separator: str) -> list[dict[str, Any]]:
    """Of our own records: every prefix with a value, as the policy saw it, after the question and an empty line."""
    found: dict[str, float] = {}
    for one in item.solutions:
        for length, value in enumerate(one.soft, start=1):
            if value is not None:
                found.setdefault(f"{item.problem.question}{_GLUE}{separator.join(one.steps[:length])}", value)
    if not found:
        raise LayoutFault("not_measured", "no step has a value")
    return [_entry(prefix, value) for prefix, value in found.items()]


def _entry(prefix: str, value: float | None) -> dict[str, Any]:
    return {"solution_prefix": prefix, "mc_value": value}


def matches(row: ForeignRow) -> bool:
    return isinstance(row.get("reasoning_steps"), list) and isinstance(row.get("question"), str)


MATH_APS = Layout(
    "math-aps",
    "MATH-APS, flat: `question`, `final_answer`, `reasoning_steps` with `solution_prefix` and `mc_value`",
    ("question", "final_answer", "reasoning_steps"),
    read,
    write,
    matches,
    per_problem=True,
    labels=("measured",),
    options=("threshold",),
)
