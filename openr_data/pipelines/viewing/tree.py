"""The tree of a problem as the page holds it: its measured prefixes, and the first wrong steps among them. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openr_data.store.read import ItemRecords
from openr_data.types import NO_ERROR, LabeledSolution, Node, Rollout, Steps


@dataclass(frozen=True, slots=True)
class _Place:
    """A prefix of the tree and the one above it; `node` is `None` for a first wrong step that was concluded, not measured."""

    prefix: Steps
    above: Steps | None
    node: Node | None


def item_tree(item: ItemRecords, limit: int) -> list[dict[str, Any]]:
    """The measured prefixes, parents by their place in the list, with at most `limit` rollouts each.

    A method need not measure the step that it finds wrong (adaptive rarely does): such steps stand in the tree too, so that every
    first error of a problem with a tree can be seen there.
    """
    if not item.nodes:
        return []
    errors = _first_wrong(item.labeled)
    places = _places(item.nodes, errors)
    numbers = {place.prefix: number for number, place in enumerate(places)}
    return [_entry(place, numbers, errors.get(place.prefix, []), limit) for place in places]


def _first_wrong(labeled: Sequence[LabeledSolution]) -> dict[Steps, list[int]]:
    """Which solutions have their first wrong step at the end of a prefix."""
    found: dict[Steps, list[int]] = {}
    for place, each in enumerate(labeled):
        if each.first_error is not None and each.first_error != NO_ERROR:
            found.setdefault(each.solution.steps[: each.first_error + 1], []).append(place)
    return found


def _places(nodes: Sequence[Node], errors: Mapping[Steps, list[int]]) -> list[_Place]:
    prefixes = {node.id: node.prefix for node in nodes}
    measured = set(prefixes.values())
    concluded = {prefix for prefix in errors if prefix not in measured}
    found = [_Place(node.prefix, _nearest(node.prefix, concluded, prefixes.get(node.parent)), node) for node in nodes]
    known = measured | concluded
    return found + [_Place(prefix, _nearest(prefix, known), None) for prefix in errors if prefix in concluded]


def _nearest(prefix: Steps, among: set[Steps], above: Steps | None = None) -> Steps | None:
    """The longest of `among` that `prefix` goes on from, if it is longer than `above`; else `above`."""
    shortest = -1 if above is None else len(above)
    lengths = sorted({len(each) for each in among if shortest < len(each) < len(prefix)}, reverse=True)
    return next((prefix[:length] for length in lengths if prefix[:length] in among), above)


def _entry(place: _Place, numbers: Mapping[Steps, int], wrong: list[int], limit: int) -> dict[str, Any]:
    above, node = place.above or (), place.node
    start = len(above) if place.prefix[: len(above)] == above else 0
    return {
        "parent": -1 if place.above is None else numbers[place.above],
        "start": start,
        "steps": list(place.prefix[start:]),
        "hits": node.hits if node else 0,
        "decided": node.decided if node else 0,
        "total": len(node.rollouts) if node else 0,
        "visits": node.visits if node else 0,
        "wrong": wrong,
        "rollouts": [_rollout(each) for each in node.rollouts[:limit]] if node else [],
    }


def _rollout(rollout: Rollout) -> dict[str, Any]:
    completion, verdict = rollout.completion, rollout.verdict
    return {
        "text": completion.text,
        "verdict": verdict.outcome,
        "why": verdict.reason,
        "answer": verdict.answer,
        "tokens": completion.token_count,
        "finish": completion.finish_reason,
        "index": completion.index,
        "seed": str(completion.seed),
    }
