"""The one measurement, the tree it fills, and the two labelers that measure every prefix: Math-Shepherd and MiPS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.errors import ContextOverflow, EngineError, UsageError
from openr_data.labelers import (
    LABELERS,
    LabelConfig,
    MathShepherd,
    Mips,
    MonteCarlo,
    OmegaPRM,
    TokenSpans,
    build_labeler,
    cost_of,
)
from openr_data.labelers.monte_carlo import why_undecided
from openr_data.labelers.readings import first_error
from openr_data.labelers.tree import Tree
from openr_data.steps import StepFormat
from openr_data.types import NO_ERROR, Completion, Problem, Sampling, Solution, StepLabel, Steps, Verdict

PROBLEM = Problem("p1", "What is 6 times 7?", "42")
SAMPLING = Sampling(temperature=1.0, max_tokens=64, seed=0)
LINES = StepFormat("\n")
RIGHT, WRONG = "so it is = 42", "so it is = 41"
Line = Callable[[Steps, int], str | Completion]


def grade_now(response: str, answer: str) -> Verdict:
    said = response.rpartition("= ")[2].strip()
    if said == "?":
        return Verdict("unknown", "timeout")
    return Verdict("right" if said == answer else "wrong", "exact", said)


async def grade(response: str, answer: str, /) -> Verdict:
    await asyncio.sleep(0)
    return grade_now(response, answer)


@dataclass
class Scripted:
    """Says what `line` says of a prefix and a sample index; keeps every call."""

    line: Line
    calls: list[tuple[Steps, int, int]] = field(default_factory=list)
    most_at_once: int = 0
    at_once: int = 0

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        assert question == PROBLEM.question
        self.calls.append((prefix, n, start))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return [self.completion(prefix, index, sampling) for index in range(start, start + n)]

    def completion(self, prefix: Steps, index: int, sampling: Sampling) -> Completion:
        said = self.line(prefix, index)
        if isinstance(said, Completion):
            return replace(said, index=index)
        return Completion(said, len(said.split()), "stop", index, sampling.seed + index)


def monte_carlo(line: Line, **options: object) -> tuple[MonteCarlo, Scripted]:
    engine = Scripted(line)
    return replace(MonteCarlo(engine, grade, SAMPLING, LINES), **options), engine  # type: ignore[arg-type]  # test shorthand


def solution(*steps: str, outcome: str | None = None, id: str = "s") -> Solution:  # noqa: A002
    verdict = grade_now("\n".join(steps), PROBLEM.answer)
    return Solution(id, PROBLEM.id, steps, replace(verdict, outcome=outcome) if outcome else verdict)  # type: ignore[arg-type]  # literals


def cut_short(text: str) -> Completion:
    return Completion(text, len(text.split()), "length", 0, 0)


def test_a_measurement_keeps_every_rollout_and_its_index() -> None:
    measure, engine = monte_carlo(lambda _, i: RIGHT if i % 2 else WRONG)
    node = asyncio.run(measure.measure(PROBLEM, ("a",), 4, start=3))
    assert engine.calls == [(("a",), 4, 3)]
    assert [r.completion.index for r in node.rollouts] == [3, 4, 5, 6]
    assert [r.verdict.outcome for r in node.rollouts] == ["right", "wrong", "right", "wrong"]
    assert node.label == StepLabel(2, 4)
    assert cost_of([node]).rollouts == 4
    assert cost_of([node]).tokens == 4 * len(RIGHT.split())


def test_the_answer_may_already_stand_in_the_prefix() -> None:
    measure, _ = monte_carlo(lambda *_: "and that is all.")
    ends_in_prefix = replace(measure, grader=_grade_anywhere)
    node = asyncio.run(ends_in_prefix.measure(PROBLEM, ("first", "hence = 42"), 2))
    assert node.label == StepLabel(2, 2)


async def _grade_anywhere(response: str, answer: str, /) -> Verdict:
    assert response.startswith("first\nhence = 42\n")
    return Verdict("right" if f"= {answer}" in response else "wrong", "exact")


def test_engine_errors_and_unknown_grades_are_never_negative() -> None:
    lines: list[str | Completion] = [Completion("", 0, "error", 0, 0), "= ?", WRONG, RIGHT]
    measure, _ = monte_carlo(lambda _, i: lines[i])
    node = asyncio.run(measure.measure(PROBLEM, (), 4))
    assert [r.verdict.outcome for r in node.rollouts] == ["unknown", "unknown", "wrong", "right"]
    assert [r.verdict.reason for r in node.rollouts[:2]] == ["engine_error", "timeout"]
    assert node.label == StepLabel(1, 2)


@pytest.mark.parametrize(
    ("wrong", "right", "counts"),
    [(1, 0, None), (3, 0, None), (4, 0, StepLabel(0, 4)), (0, 1, StepLabel(1, 1)), (1, 1, StepLabel(1, 2))],
)
def test_a_zero_among_mostly_undecided_rollouts_is_no_evidence(wrong: int, right: int, counts: StepLabel | None) -> None:
    def line(_: Steps, index: int) -> str | Completion:
        said = [WRONG] * wrong + [RIGHT] * right
        return said[index] if index < len(said) else Completion("", 0, "error", 0, 0)

    measure, _ = monte_carlo(line)
    [labelled] = asyncio.run(MathShepherd(measure, 8)(PROBLEM, [solution("a", WRONG)])).solutions
    assert labelled.labels == (counts, StepLabel(0, 1))
    assert labelled.first_error == (None if counts is None else 1 if counts.hits else 0)
    assert labelled.reason == ("unknown_rollouts:engine_error" if counts is None else "all_prefixes")


def test_a_node_without_a_decided_rollout_has_no_label_but_a_reason() -> None:
    measure, _ = monte_carlo(lambda _, i: "= ?" if i else cut_short("so it"))
    node = asyncio.run(measure.measure(PROBLEM, (), 3))
    assert node.label is None
    assert why_undecided(node.rollouts) == "timeout"


@pytest.mark.parametrize(
    ("policy", "outcomes", "reason"),
    [
        ("unknown", ["unknown", "unknown"], "truncated"),
        ("wrong", ["wrong", "wrong"], "truncated"),
        ("graded", ["right", "wrong"], "exact"),
    ],
)
def test_truncated_rollouts_follow_the_policy(policy: str, outcomes: list[str], reason: str) -> None:
    measure, _ = monte_carlo(lambda _, i: cut_short(WRONG if i else RIGHT), truncated=policy)
    node = asyncio.run(measure.measure(PROBLEM, (), 2))
    assert [r.verdict.outcome for r in node.rollouts] == outcomes
    assert {r.verdict.reason for r in node.rollouts} == {reason}


def test_a_prefix_that_does_not_fit_the_context_is_undecided_and_the_others_go_on() -> None:
    def line(prefix: Steps, _: int) -> str:
        if len(prefix) == 2:
            raise ContextOverflow("too long")
        return RIGHT

    measure, _ = monte_carlo(line)
    labelled = asyncio.run(MathShepherd(measure, 2)(PROBLEM, [solution("a", "b", WRONG)]))
    [label] = labelled.solutions
    assert label.labels == (StepLabel(2, 2), None, StepLabel(0, 1))
    assert (label.first_error, label.reason) == (None, "unknown_rollouts:context_overflow")


def test_another_engine_error_is_raised_as_itself() -> None:
    def line(prefix: Steps, _: int) -> str:
        raise EngineError(f"down at {len(prefix)}")

    measure, _ = monte_carlo(line)
    with pytest.raises(EngineError, match="down at"):
        asyncio.run(MathShepherd(measure, 2)(PROBLEM, [solution("a", "b", WRONG)]))


@dataclass
class Hanging:
    """Never answers, but for a prefix of three steps: there it fails. Counts the calls that were cancelled."""

    cancelled: int = 0

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        if len(prefix) == 3:
            raise EngineError("down")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        raise AssertionError("an event that nobody sets")


@pytest.mark.parametrize("method", ["math-shepherd", "omegaprm"])
def test_cancelling_a_labeler_cancels_every_request_in_flight(method: str) -> None:
    engine = Hanging()
    config = LabelConfig(method, rollouts=2, filter_rollouts=0, searches=0)
    labeler = build_labeler(config, engine, grade, SAMPLING, LINES)

    async def cancel_early() -> None:
        task = asyncio.ensure_future(labeler(PROBLEM, [solution("a", "b", WRONG), solution("c", "d", WRONG)]))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_early())
    assert engine.cancelled == (4 if method == "math-shepherd" else 2)


def test_the_first_failure_cancels_the_other_requests() -> None:
    engine = Hanging()
    labeler = MathShepherd(MonteCarlo(engine, grade, SAMPLING, LINES), 2)
    with pytest.raises(EngineError, match="down"):
        asyncio.run(labeler(PROBLEM, [solution("a", "b", "c", WRONG)]))
    assert engine.cancelled == 2


def test_an_engine_that_returns_fewer_samples_is_refused() -> None:
    class Short(Scripted):
        async def sample(
            self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
        ) -> Sequence[Completion]:
            return (await super().sample(question, prefix, n=n, sampling=sampling, start=start))[1:]

    measure = MonteCarlo(Short(lambda *_: RIGHT), grade, SAMPLING, LINES)
    with pytest.raises(EngineError, match="1 samples where 2"):
        asyncio.run(measure.measure(PROBLEM, (), 2))


def test_node_ids_depend_on_the_problem_and_the_exact_prefix_only() -> None:
    measure, _ = monte_carlo(lambda *_: RIGHT)

    def identity(problem: Problem, prefix: Steps) -> str:
        return asyncio.run(measure.measure(problem, prefix, 1)).id

    assert identity(PROBLEM, ("a", "b")) == identity(PROBLEM, ("a\nb",))
    others = [identity(PROBLEM, p) for p in [(), ("a",), ("a ", "b"), ("b", "a")]]
    assert len({identity(PROBLEM, ("a", "b")), *others, identity(replace(PROBLEM, id="p2"), ("a", "b"))}) == 6


def test_a_tree_draws_a_rollout_once_however_often_it_is_asked_for() -> None:
    measure, engine = monte_carlo(lambda *_: WRONG)
    tree = Tree(PROBLEM, measure)

    async def ask(*stops: int) -> list[list[int]]:
        drawn = await asyncio.gather(*(tree.draw(("a",), stop) for stop in stops))
        return [[rollout.completion.index for rollout in rollouts] for rollouts in drawn]

    assert asyncio.run(ask(2)) == [[0, 1]]
    assert asyncio.run(ask(1, 3, 2, 3)) == [[0], [0, 1, 2], [0, 1], [0, 1, 2]]
    assert engine.calls == [(("a",), 2, 0), (("a",), 1, 2)]
    assert tree.count == 3
    assert [node.label for node in tree.finished()] == [StepLabel(0, 3)]


def test_math_shepherd_measures_every_proper_prefix_of_wrong_solutions_at_once() -> None:
    hits = {1: 4, 2: 1, 3: 0, 4: 0}
    measure, engine = monte_carlo(lambda prefix, i: RIGHT if i < hits[len(prefix)] else WRONG)
    wrong = solution("a", "b", "c", "d", WRONG)
    labelling = asyncio.run(MathShepherd(measure, 4)(PROBLEM, [wrong]))
    [label] = labelling.solutions
    assert label.labels == (StepLabel(4, 4), StepLabel(1, 4), StepLabel(0, 4), StepLabel(0, 4), StepLabel(0, 1))
    assert (label.first_error, label.reason, label.method, label.origin) == (2, "all_prefixes", "math-shepherd", "given")
    assert label.cost == cost_of(labelling.nodes)
    assert label.cost.rollouts == 16
    assert engine.most_at_once == 4
    assert [len(prefix) for prefix, _, _ in engine.calls] == [1, 2, 3, 4]
    assert [node.parent for node in labelling.nodes] == ["", *(node.id for node in labelling.nodes[:-1])]


def test_the_first_error_is_the_first_prefix_without_a_hit_even_when_a_later_one_recovers() -> None:
    hits = {1: 2, 2: 0, 3: 2}
    measure, _ = monte_carlo(lambda prefix, i: RIGHT if i < hits[len(prefix)] else WRONG)
    [label] = asyncio.run(MathShepherd(measure, 2)(PROBLEM, [solution("a", "b", "c", WRONG)])).solutions
    assert label.first_error == 1
    assert first_error(label.labels, rule="first_failure") == 1
    assert first_error(label.labels, rule="last_success") == 3


def test_only_the_last_step_is_wrong_where_every_prefix_still_hits() -> None:
    measure, _ = monte_carlo(lambda *_: RIGHT)
    [label] = asyncio.run(MathShepherd(measure, 2)(PROBLEM, [solution("a", "b", WRONG)])).solutions
    assert label.first_error == 2


def test_a_right_solution_costs_nothing_unless_soft_estimates_are_asked_for() -> None:
    measure, engine = monte_carlo(lambda prefix, i: RIGHT if i < len(prefix) else WRONG)
    right = solution("a", "b", RIGHT)
    [hard] = asyncio.run(MathShepherd(measure, 4)(PROBLEM, [right])).solutions
    assert engine.calls == []
    assert (hard.labels, hard.first_error, hard.reason) == ((None, None, StepLabel(1, 1)), NO_ERROR, "right_answer")
    assert hard.cost.rollouts == 0
    for labeler in (MathShepherd(measure, 4, "soft"), Mips(measure, 4)):
        [soft] = asyncio.run(labeler(PROBLEM, [right])).solutions
        assert (soft.labels, soft.first_error) == ((StepLabel(1, 4), StepLabel(2, 4), StepLabel(1, 1)), NO_ERROR)
        assert soft.cost.rollouts == 8
        assert soft.method == ("mips" if isinstance(labeler, Mips) else "math-shepherd")


def test_a_shared_prefix_is_measured_once_and_paid_by_the_first_solution() -> None:
    measure, engine = monte_carlo(lambda *_: WRONG)
    solutions = [solution("a", "b", WRONG), solution("a", "c", WRONG), solution("a", "b", WRONG)]
    labelling = asyncio.run(MathShepherd(measure, 3)(PROBLEM, solutions))
    assert sorted(prefix for prefix, _, _ in engine.calls) == [("a",), ("a", "b"), ("a", "c")]
    assert [label.cost.rollouts for label in labelling.solutions] == [6, 3, 0]
    assert labelling.solutions[0].labels == labelling.solutions[2].labels


@pytest.mark.parametrize("method", ["math-shepherd", "mips", "omegaprm"])
def test_what_cannot_be_decided_is_undecided_with_its_reason(method: str) -> None:
    config = LabelConfig(method=method, rollouts=2, filter_rollouts=0, searches=0)
    engine = Scripted(lambda *_: "= ?")
    labeler = build_labeler(config, engine, grade, SAMPLING, LINES)
    solutions = [solution("a", "= ?"), solution(), solution("a", "b", WRONG), solution(RIGHT), solution(WRONG)]
    labels = asyncio.run(labeler(PROBLEM, solutions)).solutions
    assert [label.first_error for label in labels] == [None, None, None, NO_ERROR, 0]
    assert [label.reason for label in labels[:4]] == [
        "unknown_answer:timeout", "no_steps", "unknown_rollouts:timeout", "right_answer",
    ]  # fmt: skip
    assert [label.labels for label in labels] == [
        (None, None), (), (None, None, StepLabel(0, 1)), (StepLabel(1, 1),), (StepLabel(0, 1),),
    ]  # fmt: skip


def test_the_labelers_are_built_from_one_configuration() -> None:
    assert list(LABELERS) == [
        "math-shepherd",
        "mips",
        "omegaprm",
        "adaptive",
        "scan",
        "epicprm",
        "genprm",
        "er-prm",
        "pav",
        "consensus",
    ]
    config = LabelConfig("omegaprm", 4, 16, 5, 100, 0.4, 0.8, 300.0, 0.25, truncated="graded", spans=16)
    built = build_labeler(config, Scripted(lambda *_: RIGHT), grade, SAMPLING, LINES, pieces=list, sampler="m@1")
    assert isinstance(built, OmegaPRM)
    assert (built.rollouts, built.filter_rollouts, built.searches, built.rollout_limit) == (4, 16, 5, 100)
    assert (built.selection.alpha, built.selection.beta, built.selection.length, built.selection.c_puct) == (
        0.4,
        0.8,
        300.0,
        0.25,
    )
    assert built.measure.steps == TokenSpans(list, LINES, 16)
    assert (built.measure.truncated, built.measure.sampler) == ("graded", "m@1")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (LabelConfig(method="magic"), "choose one of: math-shepherd, mips, omegaprm"),
        (LabelConfig(rollouts=0), "rollouts must be at least 1"),
        (LabelConfig(searches=-1), "searches must not be negative"),
        (LabelConfig(beta=1.5), "alpha and beta"),
        (LabelConfig(estimates="both"), "estimates is one of"),  # type: ignore[arg-type]  # what a file may hold
        (LabelConfig(rollout_limit=8), "32 filter rollouts"),
        (LabelConfig(spans=16), "token boundaries"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_in_one_sentence(config: LabelConfig, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_labeler(config, Scripted(lambda *_: RIGHT), grade, SAMPLING, LINES)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_token_spans_cut_any_text_into_equal_spans_and_back(texts: list[str], target: int) -> None:
    spans = TokenSpans(list, LINES, target).fitted(texts)
    for text in texts:
        cut = spans.split(text)
        assert spans.join(cut) == spans.open(cut) == text
        assert all(cut)
        if spans.unit:
            assert all(len(span) <= spans.unit for span in cut)
            assert len({len(span) for span in cut[:-1]}) <= 1


def test_the_unit_of_token_spans_is_the_average_length_over_the_target() -> None:
    assert TokenSpans(list, LINES).fitted(["x" * 100, "", "y" * 220]).unit == 10
    assert TokenSpans(list, LINES).fitted(["short"]).unit == 1
    assert TokenSpans(list, LINES).fitted([""]).unit == 0


def test_the_same_labeler_runs_on_token_spans() -> None:
    wrong = solution("abcd", "efgh", "= 41")
    text = "abcd\nefgh\n= 41"
    bad_from = text.index("g")
    engine = Scripted(lambda prefix, _: " = 42" if len("".join(prefix)) <= bad_from else " = 41")
    config = LabelConfig("math-shepherd", rollouts=2, spans=7, exact_counts=True)
    labeler = build_labeler(config, engine, grade, SAMPLING, LINES, pieces=list)
    [label] = asyncio.run(labeler(PROBLEM, [wrong])).solutions
    assert label.solution.steps == ("ab", "cd", "\ne", "fg", "h\n", "= ", "41")
    assert label.first_error == 3
    assert [("".join(prefix)) for prefix, _, _ in engine.calls] == [text[:t] for t in range(2, 14, 2)]
