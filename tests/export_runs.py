"""Small labelled runs for the tests of exports: written straight into shards, with every kind of label."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from openr_data.engines import EngineSpec
from openr_data.labelers import LabelConfig
from openr_data.pipelines.config import LabelRunConfig
from openr_data.pipelines.importing.run import ImportConfig, import_file
from openr_data.problems import ProblemSource
from openr_data.store.bulk import open_bulk
from openr_data.store.codecs import labeling_tables, plain_config
from openr_data.store.run_record import RunIdentity
from openr_data.types import (
    Completion,
    Cost,
    Estimate,
    LabeledSolution,
    Labeling,
    Node,
    Outcome,
    Problem,
    Rollout,
    Sampling,
    Solution,
    StepLabel,
    Verdict,
)

CONFIG = LabelRunConfig(ProblemSource("test"), EngineSpec("scripted"), Sampling(1.0, 64, 0), LabelConfig("omegaprm"))
TABLES = ("labeled", "problems", "nodes", "rollouts")


def labelled(
    name: str,
    steps: Sequence[str],
    first_error: int | None,
    *,
    values: Sequence[float | None] = (),
    estimator: str = "mean",
    reason: str = "binary_search",
    confidence: float | None = None,
    origin: Any = "given",
    verdict: Outcome | None = None,
) -> LabeledSolution:
    outcome: Outcome = verdict or ("right" if first_error == -1 else "wrong")
    return LabeledSolution(
        Solution(name, "", tuple(steps), Verdict(outcome, "exact"), sampler="policy"),
        tuple(None if value is None else StepLabel(1, 2) for value in values) or (None,) * len(steps),
        first_error,
        "omegaprm",
        Cost(2, 10),
        reason,
        origin,
        tuple(None if value is None else Estimate(value, estimator) for value in values),
        confidence,
    )


def node(name: str, prefix: Sequence[str], rollouts: Sequence[tuple[str, Outcome]]) -> Node:
    texts = [
        Rollout(Completion(text, 5, "stop", index, index), Verdict(outcome, "exact"))
        for index, (text, outcome) in enumerate(rollouts)
    ]
    return Node(name, "", "", tuple(prefix), tuple(texts))


Item = tuple[Problem, Sequence[LabeledSolution], Sequence[Node]]


def write_run(path: Path, items: Iterable[Item], *, finished: bool = True, settings: Mapping[str, Any] | None = None) -> Path:
    identity = RunIdentity("label", {"run": plain_config(CONFIG)}, "scripted:abc", {}, TABLES, shard_items=3)
    with open_bulk(path, identity, settings=settings or {"separator": "\n"}) as run:
        for problem, solutions, nodes in items:
            run.add(labeling_tables(problem, Labeling(problem.id, tuple(solutions), tuple(nodes))))
        if finished:
            run.complete()
            run.finish("# Run\n")
    return path


def mixed_items(count: int = 7) -> list[Item]:
    """Seven solutions a problem, two of which an export leaves out."""
    return [mixed_item(number) for number in range(count)]


def mixed_item(number: int) -> Item:
    problem = Problem(f"p{number}", f"Was ist {number} + 1? ∑ “θ” \U0001d4d0", str(number + 1), "test")
    same, ends = f"{number} + 1 ≤ …", [f"also {number + 1}", f"also {number}"]
    solutions = [
        labelled("right", [same, ends[0]], -1, values=[1.0, 1.0], origin="rollout"),
        labelled("wrong", [same, ends[1], "Schluß"], 1, values=[0.75, 0.0, None]),
        labelled("first", ["falsch", "und weiter"], 0, values=[0.0, None], confidence=0.4),
        labelled("unmeasured", [same, "noch", "fertig"], -1, confidence=0.95),
        labelled("lucky", [same, "oh"], 1, values=[0.5, 0.0], verdict="right"),
        labelled("open", [same], None, values=[None], reason="unknown", verdict="unknown"),
        labelled("unsure", [same, "hm"], 1, values=[0.6, 0.1], reason="uncertain", confidence=0.6),
    ]
    named = [_named(each, f"{problem.id}/{each.solution.id}", problem.id) for each in solutions]
    rollouts: list[tuple[str, Outcome]] = [
        ("Anders gesagt.\nEnde.", "right"),
        ("Nein.", "wrong"),
        ("Anders gesagt.\nEnde.", "right"),
    ]
    return problem, named, [node(f"{problem.id}/n", [same], rollouts), node(f"{problem.id}/r", [], [("Vorn.\nHinten.", "right")])]


def _named(labeled: LabeledSolution, name: str, problem: str) -> LabeledSolution:
    return replace(labeled, solution=replace(labeled.solution, id=name, problem_id=problem))


def imported(folder: Path, layout: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    file = folder / f"{layout}.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8", newline="\n")
    run = folder / f"run-{layout}"
    import_file(ImportConfig(ProblemSource(str(file)), layout), run)
    return run
