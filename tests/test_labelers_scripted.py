"""The labelers on the scripted engine: real prompts, real faults, and the exact truth of its chains."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import sqrt

import pytest

from openr_data.engines import EngineLimits, EngineSpec, LoadedEngine
from openr_data.engines.chain import chain_problems, success_probability, true_first_error
from openr_data.engines.script import parse_script
from openr_data.engines.scripted import open_scripted
from openr_data.labelers import LabelConfig, build_labeler, cost_of
from openr_data.labelers.agreement import Agreement, agreement
from openr_data.types import Labeling, Problem, Sampling, Solution, Verdict

SAMPLING = Sampling(temperature=1.0, max_tokens=400, seed=3)
PROBLEMS = list(chain_problems(12, seed=5, steps=(6, 10)))


async def grade(response: str, answer: str, /) -> Verdict:
    _, said, tail = response.rpartition("The answer is ")
    if not said:
        return Verdict("unknown", "no_answer")
    return Verdict("right" if tail.strip() == answer else "wrong", "exact", tail.strip())


async def given(engine: LoadedEngine, problem: Problem, n: int) -> list[Solution]:
    """As `generate` would write them: drawn with another seed than the labelling."""
    sampling = Sampling(temperature=1.0, max_tokens=400, seed=99)
    solutions = []
    for completion in await engine.sample(problem.question, (), n=n, sampling=sampling):
        steps = engine.template.steps.split(completion.text)
        verdict = await grade(completion.text, problem.answer)
        solutions.append(Solution(f"{problem.id}-{completion.index}", problem.id, steps, verdict, completion.token_count))
    return solutions


async def label_all(config: LabelConfig, script: str, n: int = 4) -> list[Labeling]:
    separator = "" if config.spans else None
    limits = EngineLimits()
    async with (
        open_scripted(EngineSpec("scripted", script=script), limits) as writer,
        open_scripted(EngineSpec("scripted", script=script, separator=separator), limits) as engine,
    ):
        labeler = build_labeler(
            config, engine, grade, SAMPLING, writer.template.steps, pieces=engine.pieces, sampler=engine.identity
        )
        solutions = [await given(writer, problem, n) for problem in PROBLEMS]
        return list(await asyncio.gather(*(labeler(p, s) for p, s in zip(PROBLEMS, solutions, strict=True))))


def compare(labelings: Sequence[Labeling]) -> Agreement:
    questions = {problem.id: problem.question for problem in PROBLEMS}
    return agreement(
        (labelled, true_first_error(questions[labelled.solution.problem_id], labelled.solution.steps))
        for labeling in labelings
        for labelled in labeling.solutions
        if labelled.solution.verdict.outcome == "wrong"
    )


@pytest.mark.parametrize("method", ["math-shepherd", "mips", "omegaprm"])
def test_every_method_finds_the_true_first_errors_of_the_scripted_engine(method: str) -> None:
    config = LabelConfig(method, rollouts=16, filter_rollouts=16, searches=3)
    result = compare(asyncio.run(label_all(config, "error=0.1,recovery=0")))
    assert result.decided >= 25
    assert (result.exact_match or 0) >= 0.95
    assert result.late == 0


def test_faults_of_the_engine_leave_labels_undecided_never_earlier() -> None:
    """Where two of three samples are lost, a zero could rest on two rollouts: every fourth first error came too early."""
    config = LabelConfig("omegaprm", rollouts=8, filter_rollouts=16, searches=3)
    result = compare(asyncio.run(label_all(config, "error=0.1,recovery=0,lost=0.4,truncate=0.3,garbage=0.2")))
    assert result.decided >= 10
    assert (result.early, result.late) == (0, 0)


def test_token_spans_point_into_the_line_of_the_true_first_error() -> None:
    config = LabelConfig("omegaprm", rollouts=16, filter_rollouts=16, searches=2, spans=16)
    labelings = asyncio.run(label_all(config, "error=0.1,recovery=0"))
    exact = total = 0
    for problem, labeling in zip(PROBLEMS, labelings, strict=True):
        for labelled in labeling.solutions:
            if labelled.first_error is not None and labelled.first_error >= 0:
                spans = labelled.solution.steps
                text = "".join(spans)
                truth = true_first_error(problem.question, text.split("\n"))
                start = len("".join(spans[: labelled.first_error]))
                touched = range(text[:start].count("\n"), (text[:start] + spans[labelled.first_error]).count("\n") + 1)
                total += 1
                exact += truth in touched
    assert total >= 25
    assert exact / total >= 0.95


def test_the_counts_estimate_the_exact_value_even_where_wrong_steps_are_repaired() -> None:
    script, n = "error=0.1,recovery=0.15", 600
    for labeling, problem in zip(asyncio.run(label_all(LabelConfig("mips", rollouts=n), script, n=1)), PROBLEMS, strict=True):
        for node in labeling.nodes:
            value = success_probability(parse_script(script), problem.question, node.prefix)
            assert node.label is not None
            spread = sqrt(max(value * (1 - value), 1e-9) / n)
            assert abs(node.label.value - value) <= 4.5 * spread, (node.prefix, node.label, value)


def test_a_labelling_can_be_repeated() -> None:
    config = LabelConfig("omegaprm", rollouts=4, filter_rollouts=8, searches=5)
    first, second = (asyncio.run(label_all(config, "lost=0.1,phrasings=4")) for _ in range(2))
    assert first == second
    assert all(cost_of(labeling.nodes).rollouts > 0 for labeling in first)
