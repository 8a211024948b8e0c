"""MATH-APS, tree (openreasoner/openr, the generator's output): the question is the root, every node continues its parent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openr_data.layouts.base import (
    ExportItem,
    ExportSolution,
    ForeignRow,
    Layout,
    LayoutFault,
    Parsed,
    ReadOptions,
    WriteOptions,
    list_of,
    text_of,
)
from openr_data.layouts.prefixes import PLACES, ROOT_VALUE, Entry, chains, root_notes, solution, value_of
from openr_data.types import Problem

Tree = dict[str, Any]
_MAX_DEPTH = 200


def read(row: ForeignRow, options: ReadOptions) -> Parsed:
    """Every path from the root to a leaf is a solution; siblings with one text are one step. Nodes are numbered in preorder."""
    question, root = text_of(row, "question"), row.get("reasoning_steps")
    if not isinstance(root, dict):
        raise LayoutFault("wrong_type", "`reasoning_steps` must be the root node, an object")
    if text_of(root, "text") != question:
        raise LayoutFault("prefix_mismatch", "the text of the root is not the question")
    numbers = _Numbers()
    value, place = value_of(root), numbers.next()
    merged = _merged([(each, numbers) for each in list_of(root, "children")])
    found = [solution("math-aps-tree", chain, options) for chain in _paths(merged, ())]
    problem = Problem("", question, text_of(row, "final_answer"), "MATH-APS", metadata=root_notes(value, [place]))
    return Parsed(problem, tuple(found))


class _Numbers:
    def __init__(self) -> None:
        self._next = 0

    def next(self) -> int:
        self._next += 1
        return self._next - 1


Merged = dict[str, tuple[float, list[int], Any]]
"""Children of one step: by text, the value, the numbers and the children."""


def _merged(nodes: Sequence[tuple[Any, _Numbers]], into: Merged | None = None, depth: int = 1) -> Merged:
    merged: Merged = {} if into is None else into
    for node, numbers in nodes:
        if not isinstance(node, dict):
            raise LayoutFault("wrong_type", "every node must be an object")
        if depth > _MAX_DEPTH:
            raise LayoutFault("too_deep", f"the tree is deeper than {_MAX_DEPTH} nodes")
        number = numbers.next()
        _, places, children = merged.setdefault(text_of(node, "text"), (value_of(node), [], {}))
        places.append(number)
        _merged([(each, numbers) for each in list_of(node, "children")], children, depth + 1)
    return merged


def _paths(merged: Merged, above: tuple[Entry, ...]) -> Iterator[tuple[Entry, ...]]:
    for text, (value, places, children) in merged.items():
        path = (*above, Entry(text, value, tuple(places)))
        if children:
            yield from _paths(children, path)
        else:
            yield path


def write(item: ExportItem, options: WriteOptions) -> Iterator[dict[str, Any]]:
    """The tree of all solutions. Of our own records, the root has the share of right answers among them."""
    metadata, question = item.problem.metadata, item.problem.question
    if ROOT_VALUE in metadata or all(PLACES in one.notes for one in item.solutions):
        root = _as_published(item, metadata)
    else:
        root = _node(question, _pass_rate(item.solutions))
        for one in item.solutions:
            _grow(root, one, options.separator)
        if not root["children"]:
            raise LayoutFault("not_measured", "no step has a value")
    yield {"question": question, "final_answer": item.problem.answer, "reasoning_steps": root}


def _as_published(item: ExportItem, metadata: Mapping[str, str]) -> Tree:
    """In preorder a node's parent is the last node before it that is one level up."""
    nodes = {0: (0, _node(item.problem.question, float(metadata[ROOT_VALUE]) if ROOT_VALUE in metadata else None))}
    for one in item.solutions:
        for depth, (places, text, value) in enumerate(chains(one), start=1):
            for place in places:
                nodes.setdefault(place, (depth, _node(text, value)))
    path: list[Tree] = []
    for _, (depth, node) in sorted(nodes.items()):
        del path[depth:]
        if path:
            path[-1]["children"].append(node)
        path.append(node)
    return nodes[0][1]


def _grow(root: Tree, one: ExportSolution, separator: str) -> None:
    """Steps without a value are part of the next one that has one: a node is a measured prefix."""
    node, text = root, ""
    for step, value in zip(one.steps, one.soft, strict=True):
        text = f"{text}{separator}{step}" if text else step
        if value is not None:
            child = next((each for each in node["children"] if each["text"] == text), None)
            if child is None:
                child = _node(text, value)
                node["children"].append(child)
            node, text = child, ""


def _pass_rate(solutions: Sequence[ExportSolution]) -> float | None:
    decided = [one.verdict == "right" for one in solutions if one.verdict != "unknown"]
    return sum(decided) / len(decided) if decided else None


def _node(text: str, value: float | None) -> Tree:
    return {"text": text, "mc_value": value, "children": []}


def matches(row: ForeignRow) -> bool:
    root = row.get("reasoning_steps")
    return isinstance(root, dict) and "children" in root


MATH_APS_TREE = Layout(
    "math-aps-tree",
    "MATH-APS, tree: `question`, `final_answer`, `reasoning_steps` with `text`, `mc_value` and `children`",
    ("question", "final_answer", "reasoning_steps"),
    read,
    write,
    matches,
    per_problem=True,
    labels=("measured",),
    options=("threshold",),
)
