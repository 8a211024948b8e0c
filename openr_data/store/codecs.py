"""Values of `types` as rows of the declared tables, and back. Knows both spellings, not files.

Every text survives unchanged, except lone surrogates, which no Arrow string can hold: they become U+FFFD and the row's `lossy`
is true.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from openr_data.store.frames import Row
from openr_data.types import (
    Completion,
    Cost,
    Estimate,
    LabeledSolution,
    Labeling,
    Node,
    Problem,
    Rollout,
    Solution,
    StepLabel,
    Verdict,
    hard_labels,
)


def generation_tables(problem: Problem, solutions: Sequence[Solution]) -> dict[str, list[Row]]:
    """The rows of one item of `generate`."""
    return {"problems": [problem_row(problem)], "solutions": [solution_row(solution) for solution in solutions]}


def labeling_tables(problem: Problem, labeling: Labeling) -> dict[str, list[Row]]:
    """The rows of one item of `label`."""
    return {
        "labeled": [labeled_row(problem, labeled) for labeled in labeling.solutions],
        "problems": [problem_row(problem, labeling.skipped)],
        "nodes": [node_row(node) for node in labeling.nodes],
        "rollouts": [row for node in labeling.nodes for row in rollout_rows(node)],
    }


def problem_row(problem: Problem, skipped: str = "") -> Row:
    return storable(
        {
            "problem_id": problem.id,
            "question": problem.question,
            "answer": problem.answer,
            "source": problem.source,
            "difficulty": problem.difficulty,
            "metadata": _json(problem.metadata),
            "skipped": skipped,
        },
        lossy=any(_clean(text) != text for pair in problem.metadata.items() for text in pair),
    )


def read_problem(row: Mapping[str, Any]) -> Problem:
    texts = {name: row[name] for name in ("question", "answer", "source", "difficulty")}
    return Problem(id=row["problem_id"], metadata=json.loads(row["metadata"]), **texts)


def solution_row(solution: Solution) -> Row:
    return storable(_solution_fields(solution))


def read_solution(row: Mapping[str, Any]) -> Solution:
    return Solution(
        id=row["solution_id"],
        problem_id=row["problem_id"],
        steps=tuple(row["steps"]),
        verdict=_read_verdict(row),
        **{name: row[name] for name in ("tokens", "sampler", "finish_reason", "index", "seed")},
    )


def labeled_row(problem: Problem, labeled: LabeledSolution) -> Row:
    """Counts as they were measured, beside their readings."""
    labels = labeled.labels
    estimates = labeled.estimates or (None,) * len(labels)
    return storable(
        {
            **_solution_fields(labeled.solution),
            "question": problem.question,
            "answer": problem.answer,
            "first_error": labeled.first_error,
            "hits": [label and label.hits for label in labels],
            "rollouts": [label and label.rollouts for label in labels],
            "hard": list(labeled.hard_labels),
            "mc": [estimate and estimate.value for estimate in estimates],
            "estimator": [estimate and estimate.estimator for estimate in estimates],
            "good": [estimate and estimate.good for estimate in estimates],
            "confidence": labeled.confidence,
            "method": labeled.method,
            "reason": labeled.reason,
            "notes": _json(labeled.notes),
            "origin": labeled.origin,
            "cost_rollouts": labeled.cost.rollouts,
            "cost_tokens": labeled.cost.tokens,
        }
    )


def read_labeled(row: Mapping[str, Any]) -> LabeledSolution:
    counts = zip(row["hits"], row["rollouts"], strict=True)
    hard = tuple(row["hard"])
    return LabeledSolution(
        solution=read_solution(row),
        labels=tuple(None if rollouts is None else StepLabel(hits, rollouts) for hits, rollouts in counts),
        cost=Cost(row["cost_rollouts"], row["cost_tokens"]),
        estimates=_read_estimates(row),
        confidence=row["confidence"],
        notes=json.loads(row["notes"]),
        hard=() if hard == hard_labels(row["first_error"], len(hard)) else hard,
        **{name: row[name] for name in ("first_error", "method", "reason", "origin")},
    )


def node_row(node: Node) -> Row:
    """The node without its rollouts, which are rows of their own."""
    return storable(
        {
            "problem_id": node.problem_id,
            "node_id": node.id,
            "parent": node.parent,
            "depth": len(node.prefix),
            "prefix": list(node.prefix),
            "hits": node.hits,
            "decided": node.decided,
            "unknown": len(node.rollouts) - node.decided,
            "visits": node.visits,
        }
    )


def rollout_rows(node: Node) -> list[Row]:
    return [_rollout_row(node, rollout) for rollout in node.rollouts]


def read_node(row: Mapping[str, Any], rollouts: Sequence[Mapping[str, Any]]) -> Node:
    """`rollouts` are the node's rows of that table, in order."""
    return Node(
        id=row["node_id"],
        problem_id=row["problem_id"],
        parent=row["parent"],
        prefix=tuple(row["prefix"]),
        rollouts=tuple(read_rollout(each) for each in rollouts),
        visits=row["visits"],
    )


def read_rollout(row: Mapping[str, Any]) -> Rollout:
    names = ("text", "finish_reason", "index", "seed", "logprob")
    return Rollout(Completion(token_count=row["tokens"], **{name: row[name] for name in names}), _read_verdict(row))


def plain_config(value: object) -> Any:
    """A frozen configuration value as plain JSON: dataclasses become objects, tuples lists, paths and the like strings.

    >>> plain_config(Cost(1, 2))
    {'rollouts': 1, 'tokens': 2}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_config(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain_config(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_config(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(str(each) for each in value)
    return value if value is None or isinstance(value, bool | int | float) else _clean(str(value))


def _solution_fields(solution: Solution) -> Row:
    return {
        "problem_id": solution.problem_id,
        "solution_id": solution.id,
        "steps": list(solution.steps),
        **verdict_fields(solution.verdict),
        "sampler": solution.sampler,
        "finish_reason": solution.finish_reason,
        "index": solution.index,
        "seed": solution.seed,
        "tokens": solution.tokens,
    }


def _rollout_row(node: Node, rollout: Rollout) -> Row:
    completion = rollout.completion
    return storable(
        {
            "problem_id": node.problem_id,
            "node_id": node.id,
            "text": completion.text,
            **verdict_fields(rollout.verdict),
            "finish_reason": completion.finish_reason,
            "index": completion.index,
            "seed": completion.seed,
            "tokens": completion.token_count,
            "logprob": completion.logprob,
        }
    )


def verdict_fields(verdict: Verdict) -> Row:
    return {"verdict": verdict.outcome, "verdict_reason": verdict.reason, "extracted": verdict.answer}


def _read_verdict(row: Mapping[str, Any]) -> Verdict:
    return Verdict(row["verdict"], row["verdict_reason"], row["extracted"])


def _json(texts: Mapping[str, str]) -> str:
    return json.dumps({_clean(k): _clean(v) for k, v in texts.items()}, sort_keys=True, ensure_ascii=False)


def _read_estimates(row: Mapping[str, Any]) -> tuple[Estimate | None, ...]:
    columns = zip(row["mc"], row["estimator"], row["good"], strict=True)
    estimates = tuple(None if value is None else Estimate(value, estimator, good) for value, estimator, good in columns)
    return estimates if any(estimates) else ()


def storable(row: Row, *, lossy: bool = False) -> Row:
    """The row with every lone surrogate replaced, and `lossy` telling whether there was one."""
    kept = {name: _clean_cell(cell) for name, cell in row.items()}
    return {**kept, "lossy": lossy or kept != row}


def _clean_cell(cell: Any) -> Any:
    if isinstance(cell, str):
        return _clean(cell)
    return [_clean_cell(each) for each in cell] if isinstance(cell, list) else cell


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
