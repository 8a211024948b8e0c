"""Runs of given records for the tests of statistics, and a plain count of their records to compare with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from store_runs import IDENTITY

from openr_data.pipelines.statistics.texts import STEP_BREAK
from openr_data.problems.digests import normal_question
from openr_data.store.bulk import open_bulk
from openr_data.store.codecs import generation_tables, labeling_tables
from openr_data.store.read import ItemRecords, RunReader
from openr_data.types import Completion, Labeling, Node, Outcome, Problem, Rollout, Solution, Steps, Verdict

LABEL = ("labeled", "problems", "nodes", "rollouts")
IMPORT = ("labeled", "problems")
GENERATE = ("solutions", "problems")


_OTHER_SCALES = ("advantage", "rating", "progress")


def write_labels(path: Path, items: Sequence[tuple[Problem, Labeling]], tables: tuple[str, ...] = LABEL, **options: Any) -> Path:
    rows = [{name: table for name, table in labeling_tables(*item).items() if name in tables} for item in items]
    return _write(path, rows, tables, **options)


def write_solutions(path: Path, items: Sequence[tuple[Problem, Sequence[Solution]]], **options: Any) -> Path:
    return _write(path, [generation_tables(*item) for item in items], GENERATE, **options)


def _write(path: Path, rows: Sequence[Any], tables: tuple[str, ...], *, finish: bool = True, shard_items: int = 2) -> Path:
    with open_bulk(path, replace(IDENTITY, tables=tables, shard_items=shard_items)) as run:
        for each in rows:
            run.add(each)
        if finish:
            run.complete()
            run.finish(None)
    return path


def rollout(outcome: Outcome, index: int = 0, seed: int = 0, tokens: int = 5, reason: str = "code") -> Rollout:
    return Rollout(Completion("text", tokens, "stop", index, seed), Verdict(outcome, reason))


def node(problem: str, prefix: Steps, rollouts: Sequence[Rollout]) -> Node:
    return Node(f"{problem}-{len(prefix)}", problem, "" if not prefix else f"{problem}-0", prefix, tuple(rollouts))


def plain_count(path: Path) -> dict[str, Any]:
    """What `Statistics` says, counted over the records one by one; what is sorted there is a plain mapping here."""
    items = list(RunReader.open(path).items())
    labeled = [one for item in items for one in item.labeled]
    solutions = [one.solution for one in labeled] or [one for item in items for one in item.solutions]
    hard = [label for one in labeled for label in one.hard_labels] or [None for one in solutions for _ in one.steps]
    firsts = [one.first_error for one in labeled]
    kinds = {each.estimator for one in labeled for each in one.estimates if each}
    rollouts = [r for item in items for each in item.nodes for r in each.rollouts]
    graded = [each.verdict for each in (rollouts if "rollouts" in RunReader.open(path).manifest.tables else solutions)]
    return {
        "problems": len(items),
        "skipped": Counter(item.skipped for item in items if item.skipped),
        "solutions": len(solutions),
        "steps": sum(len(one.steps) for one in solutions),
        "rollouts": len(rollouts),
        "sources": Counter(item.problem.source for item in items),
        "methods": Counter(one.method for one in labeled),
        "verdicts": Counter(one.verdict.outcome for one in solutions),
        "unknown": Counter(verdict.reason for verdict in graded if verdict.outcome == "unknown"),
        "balance": (hard.count(True), hard.count(False), hard.count(None)),
        "first_errors": Counter(first for first in firsts if first is not None and first >= 0),
        "without_error": firsts.count(-1),
        "undecided": firsts.count(None),
        "undecided_reasons": Counter(one.reason for one in labeled if one.first_error is None),
        "first_error_place": [
            _tenth(one.first_error, len(one.labels)) for one in labeled if one.first_error is not None and one.first_error >= 0
        ],
        "values": [(e.estimator, e.value) for one in labeled for e in one.estimates if e],
        "value_by_place": [
            (_tenth(i, len(one.labels)), e.value)
            for one in labeled
            for i, e in enumerate(one.estimates)
            if e and (len(kinds) == 1 or e.estimator not in _OTHER_SCALES)
        ],
        "lengths": sorted(len(one.steps) for one in solutions),
        "tokens": sorted(one.tokens for one in solutions if one.tokens),
        "characters": sorted(sum(map(len, one.steps)) for one in solutions),
        "rollouts_per_step": sorted(label.rollouts for one in labeled for label in one.labels if label),
        "pass_rates": [rate for item in items if (rate := _pass_rate(item)) is not None],
        "duplicates": _repeated(items),
    }


def _tenth(index: int, length: int) -> int:
    return min(9, 10 * (index + 1) // length)


def _pass_rate(item: ItemRecords) -> int | None:
    """The tenth that the share of right answers lies in."""
    given = [*item.solutions, *(one.solution for one in item.labeled if one.origin == "given")]
    samples: list[tuple[int, int, int, str]] = [
        (s.index, s.seed, s.tokens, s.verdict.outcome) for s in given if s.verdict.outcome != "unknown"
    ]
    roots = [r for each in item.nodes if not each.prefix for r in each.rollouts if r.verdict.outcome != "unknown"]
    drawn = [(r.completion.index, r.completion.seed, r.completion.token_count, r.verdict.outcome) for r in roots]
    samples += [each for each in drawn if each not in set(samples)]
    right = sum(outcome == "right" for *_, outcome in samples)
    return min(9, 10 * right // len(samples)) if samples else None


def _repeated(items: Sequence[ItemRecords]) -> tuple[int, int]:
    questions = [normal_question(item.problem.question) for item in items]
    texts = [
        (question, STEP_BREAK.join(step.strip() for step in one.steps))
        for question, item in zip(questions, items, strict=True)
        for one in (*item.solutions, *(each.solution for each in item.labeled))
    ]
    return len(questions) - len(set(questions)), len(texts) - len(set(texts))
