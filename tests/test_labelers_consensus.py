"""Consensus of judge and Monte Carlo: what a vote is, what the votes come to, and what becomes of every label."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.errors import ContextOverflow, EngineError, UsageError
from openr_data.labelers import Consensus, Judge, LabelConfig, Second, build_labeler
from openr_data.labelers.consensus import agreed
from openr_data.labelers.judge import Opinion, count_votes, critique_prompt, read_vote
from openr_data.steps import StepFormat
from openr_data.types import (
    NO_ERROR,
    Completion,
    Cost,
    LabeledSolution,
    Labeling,
    Problem,
    Sampling,
    Solution,
    StepLabel,
    Steps,
    Verdict,
)

SAMPLING = Sampling(temperature=1.0, max_tokens=100, seed=0)
PROBLEM = Problem("p", "What is 2 + 2, doubled?", "8")
STEPS = ("2 + 2 = 4", "4 * 2 = 9", "The answer is 9")


def vote(text: str, finish_reason: str = "stop") -> Completion:
    return Completion(text, len(text.split()), finish_reason, 0, 0)  # type: ignore[arg-type]  # three of the values are tested


@dataclass
class Speaker:
    """An engine that says fixed texts, and remembers what it was asked."""

    texts: Sequence[str]
    asked: list[str] = field(default_factory=list)
    error: Exception | None = None

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        self.asked.append(question)
        if self.error:
            raise self.error
        return [Completion(self.texts[i % len(self.texts)], 10, "stop", i, i) for i in range(start, start + n)]


def labelled(first_error: int | None, reason: str = "binary_search", steps: Steps = STEPS) -> LabeledSolution:
    solution = Solution("s", "p", steps, Verdict("wrong", "different"))
    labels = tuple(StepLabel(1, 2) if i == 0 else None for i in range(len(steps)))
    return LabeledSolution(solution, labels, first_error, "omegaprm", Cost(7, 70), reason, confidence=0.9, notes={"old": "kept"})


def judge(known: LabeledSolution, engine: Speaker, votes: int = 3) -> LabeledSolution:
    async def monte_carlo(problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        return Labeling(problem.id, (known,), ())

    labeling = asyncio.run(Consensus(monte_carlo, Judge(engine, SAMPLING, votes))(PROBLEM, [known.solution]))
    return labeling.solutions[0]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (r"Part 1 doubles wrongly. \boxed{1}", 1),
        (r"first I thought \boxed{0}, but no: \boxed{ 2 }", 2),
        (r"all fine \boxed{-1}", NO_ERROR),
        ("a typeset minus \\boxed{\u22121}", NO_ERROR),
        (r"\boxed{\text{1}}", 1),
        (r"\boxed {part 2}", 2),
        (r"\boxed{3}", None),
        (r"\boxed{-2}", None),
        (r"\boxed{1 or 2}", None),
        (r"\boxed{none}", None),
        (r"\boxed{1", None),
        (r"\boxed{99999999999999999999}", None),
        ("the mistake is in part 1", None),
        ("", None),
    ],
)
def test_a_vote_is_the_number_in_the_last_box(text: str, read: int | None) -> None:
    assert read_vote(vote(text), steps=3) == read


@pytest.mark.parametrize("finish_reason", ["length", "error"])
def test_a_vote_that_did_not_come_to_its_end_is_none(finish_reason: str) -> None:
    assert read_vote(vote(r"\boxed{1}", finish_reason), steps=3) is None


@given(st.text(alphabet="\\boxed{}-0123456789 ab", max_size=60), st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_no_text_makes_a_vote_for_a_step_that_is_not_there(text: str, steps: int) -> None:
    read = read_vote(vote(text), steps)
    assert read is None or -1 <= read < steps


@pytest.mark.parametrize(
    ("votes", "came_to"),
    [
        ([1], (1, "majority")),
        ([1, 1, 2], (1, "majority")),
        ([0, 1, 1, 2], (1, "majority")),
        ([-1, -1, None, None], (-1, "majority")),
        ([0, 1], (None, "tie:0,1")),
        ([2, -1, 2, -1, 0], (None, "tie:-1,2")),
        ([1, None, None], (None, "unreadable:1/3")),
        ([None, None], (None, "unreadable:0/2")),
        ([], (None, "unreadable:0/0")),
    ],
)
def test_what_votes_come_to(votes: list[int | None], came_to: tuple[int | None, str]) -> None:
    assert count_votes(votes) == came_to


@given(st.lists(st.one_of(st.none(), st.integers(-1, 4)), max_size=9))
@settings(max_examples=80, deadline=None)
def test_the_order_of_votes_decides_nothing(votes: list[int | None]) -> None:
    assert count_votes(votes) == count_votes(votes[::-1])


def test_the_judge_sees_question_and_steps_as_they_are_and_not_the_answer() -> None:
    prompt = critique_prompt("Solve {parts} and {question}", ("a {question} b\n", "\\boxed{5}"))
    assert prompt.count("Solve {parts} and {question}") == 1
    assert "<part_0>\na {question} b\n</part_0>\n<part_1>\n\\boxed{5}\n</part_1>" in prompt
    speaker = Speaker([r"\boxed{1}"])
    judge(labelled(1), speaker)
    assert speaker.asked == [critique_prompt(PROBLEM.question, STEPS)]
    assert "8" not in speaker.asked[0]


def test_an_agreement_keeps_the_label_with_its_counts_and_its_cost() -> None:
    kept = judge(labelled(1), Speaker([r"\boxed{1}", r"\boxed{1}", "hm"]))
    assert (kept.first_error, kept.method, kept.reason, kept.confidence) == (1, "consensus", "agreement:binary_search", 0.9)
    assert (kept.labels, kept.cost) == (labelled(1).labels, Cost(7, 70))
    assert kept.notes == {
        "old": "kept",
        "judge": "1",
        "judge_reason": "majority",
        "judge_votes": "1 1 ?",
        "judge_tokens": "30",
        "mc": "1",
        "mc_reason": "binary_search",
    }


def test_a_disagreement_is_kept_as_data_without_a_label() -> None:
    kept = judge(labelled(1), Speaker([r"\boxed{2}"]))
    assert (kept.first_error, kept.reason, kept.confidence) == (None, "disagreement:judge=2,mc=1", None)
    assert (kept.notes["judge"], kept.notes["mc"], kept.notes["mc_reason"]) == ("2", "1", "binary_search")
    assert kept.labels == labelled(1).labels


def test_a_right_answer_by_a_wrong_process_is_a_disagreement() -> None:
    kept = judge(labelled(NO_ERROR, "right_answer"), Speaker([r"\boxed{1}"]))
    assert (kept.first_error, kept.reason) == (None, "disagreement:judge=1,mc=-1")


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["I am a teapot"], "judge_undecided:unreadable:0/3"),
        ([r"\boxed{17}"], "judge_undecided:unreadable:0/3"),
        ([r"\boxed{0}", r"\boxed{1}", r"\boxed{2}"], "judge_undecided:tie:0,1,2"),
    ],
)
def test_nonsense_of_the_judge_is_never_a_label(texts: list[str], reason: str) -> None:
    for truth in (NO_ERROR, 0, 1, 2):
        kept = judge(labelled(truth), Speaker(texts))
        assert (kept.first_error, kept.reason) == (None, reason)
        assert "judge" not in kept.notes


def test_what_monte_carlo_left_undecided_costs_no_judge() -> None:
    speaker = Speaker([r"\boxed{1}"])
    kept = judge(labelled(None, "too_hard"), speaker)
    assert (kept.first_error, kept.reason, kept.method, speaker.asked) == (None, "too_hard", "consensus", [])
    assert judge(labelled(NO_ERROR, "right_answer", ()), speaker).first_error == NO_ERROR
    assert speaker.asked == []


def test_a_solution_too_long_for_the_judge_is_undecided_and_a_dead_judge_is_an_error() -> None:
    kept = judge(labelled(1), Speaker([], error=ContextOverflow("too long")))
    assert (kept.first_error, kept.reason) == (None, "judge_undecided:context_overflow")
    with pytest.raises(EngineError, match="is gone"):
        judge(labelled(1), Speaker([], error=EngineError("the judge is gone")))


@given(mc=st.one_of(st.none(), st.integers(-1, 2)), said=st.one_of(st.none(), st.integers(-1, 2)))
@settings(max_examples=40, deadline=None)
def test_a_label_stands_only_where_both_say_it(mc: int | None, said: int | None) -> None:
    if mc is not None:
        kept = agreed(labelled(mc), Opinion(said, "majority" if said is not None else "tie:0,1", (said,), 5))
        assert kept.first_error == (mc if said == mc else None)
        assert kept.reason.split(":")[0] == (
            "agreement" if said == mc else "disagreement" if said is not None else "judge_undecided"
        )


async def grade(response: str, answer: str, /) -> Verdict:
    return Verdict("right" if response.endswith(answer) else "wrong", "exact")


@pytest.mark.parametrize("base", ["math-shepherd", "omegaprm", "mips", "scan"])
def test_the_monte_carlo_side_labels_as_it_does_alone(base: str) -> None:
    policy = Speaker(["so 8", "so 7"])
    alone = build_labeler(LabelConfig(base, filter_rollouts=4, searches=2), policy, grade, SAMPLING, StepFormat("\n"))
    both = build_labeler(
        LabelConfig("consensus", filter_rollouts=4, searches=2, agree_with=base, votes=1),
        policy,
        grade,
        SAMPLING,
        StepFormat("\n"),
        engines={"judge": Second(Speaker([r"\boxed{2}"]), SAMPLING)},
    )
    solutions = [Solution("s", "p", STEPS, Verdict("wrong", "different"))]
    first, second = asyncio.run(alone(PROBLEM, solutions)), asyncio.run(both(PROBLEM, solutions))
    assert second.nodes == first.nodes
    assert second.skipped == first.skipped
    assert any(s.first_error is not None for s in second.solutions)
    for a, b in zip(first.solutions, second.solutions, strict=True):
        assert (b.labels, b.cost, b.estimates, b.origin) == (a.labels, a.cost, a.estimates, a.origin)
        assert b.first_error in {None, a.first_error}


def test_settings_that_contradict_each_other_are_told() -> None:
    def build(config: LabelConfig, *, judge: bool = True) -> object:
        engines = {"judge": Second(Speaker(["x"]), SAMPLING)} if judge else {}
        return build_labeler(config, Speaker(["x"]), grade, SAMPLING, StepFormat("\n"), engines=engines, pieces=str.split)

    config = LabelConfig("consensus")
    with pytest.raises(UsageError, match="needs a judge: say with --judge"):
        build(config, judge=False)
    with pytest.raises(UsageError, match="not with 'consensus'"):
        build(replace(config, agree_with="consensus"))
    with pytest.raises(UsageError, match="not with 'coin'"):
        build(replace(config, agree_with="coin"))
    with pytest.raises(UsageError, match="does not work on token spans"):
        build(replace(config, spans=16))
    with pytest.raises(UsageError, match="votes must be at least 1"):
        build(replace(config, votes=0))
