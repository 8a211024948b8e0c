"""The success filter: a right rollout that takes back a step of its prefix does not speak for that prefix."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from openr_data.errors import UsageError
from openr_data.labelers import LABELERS, LabelConfig, MathShepherd, MonteCarlo, RevisionPattern, build_labeler
from openr_data.labelers.path import Path
from openr_data.labelers.tree import Tree
from openr_data.problems.oracle import judge
from openr_data.steps import StepFormat
from openr_data.types import Completion, Labeling, Problem, Sampling, Solution, StepLabel, Steps, Verdict

QUESTION = "Start with 37. Step 1: add 48. Step 2: subtract 10. Step 3: add 1. What is the result?"
PROBLEM = Problem("p1", QUESTION, "76")
SAMPLING = Sampling(temperature=1.0, max_tokens=64, seed=0)
LINES = StepFormat("\n")
SLIP = ("Step 1: 37 + 48 = 85", "Step 2: 85 - 10 = 74", "Step 3: 74 + 1 = 75", "The answer is 75")
REPAIRED = "Step 2: wait, 85 - 10 = 75\nStep 3: 75 + 1 = 76\nThe answer is 76"


class Repairing:
    """From a wrong prefix every second rollout goes back to step 2; from a good one it slips and corrects itself now and then."""

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        return [Completion(self._text(prefix, i), 9, "stop", i, i) for i in range(start, start + n)]

    def _text(self, prefix: Steps, index: int) -> str:
        if len(prefix) > 1:
            return REPAIRED if index % 2 else "\n".join((*SLIP[len(prefix) : -1], f"The answer is {75 - index}"))
        plain = [*SLIP[len(prefix) : 1], "Step 2: 85 - 10 = 75", "Step 3: 75 + 1 = 76", "The answer is 76"]
        slipped = [*SLIP[len(prefix) : 2], *REPAIRED.split("\n")]
        return "\n".join(slipped if index % 2 else plain)


async def grade(response: str, answer: str, /) -> Verdict:
    return Verdict("right" if response.endswith(f"answer is {answer}") else "wrong", "exact")


def label(config: LabelConfig) -> Labeling:
    labeler = build_labeler(config, Repairing(), grade, SAMPLING, LINES)
    return asyncio.run(labeler(PROBLEM, [Solution("s", "p1", SLIP, Verdict("wrong", "exact"))]))


@pytest.mark.parametrize("method", [method for method in LABELERS if method not in {"pav", "consensus"}])
def test_ignoring_repairs_finds_the_error_that_the_policy_corrects(method: str) -> None:
    truth = judge(QUESTION, SLIP).first_wrong_state
    assert truth == 1
    config = LabelConfig(method, rollouts=4, filter_rollouts=0, searches=0)
    [counted] = label(config).solutions[:1]
    [ignored] = label(replace(config, ignore_repairs=True)).solutions[:1]
    assert ignored.first_error == truth
    assert counted.first_error != truth or method in {"genprm", "epicprm"}


def test_a_repair_is_a_failure_in_the_counts_and_stays_right_in_the_nodes() -> None:
    labeling = label(LabelConfig("mips", rollouts=4, ignore_repairs=True))
    assert labeling.solutions[0].labels == (StepLabel(4, 4), StepLabel(0, 4), StepLabel(0, 4), StepLabel(0, 1))
    assert [node.label for node in labeling.nodes] == [StepLabel(4, 4), StepLabel(2, 4), StepLabel(2, 4)]


def test_a_policy_that_takes_back_its_own_step_still_proves_the_prefix() -> None:
    """A rollout that passes through a prefix counts there by what it does after that prefix."""
    measure = MonteCarlo(Repairing(), grade, SAMPLING, LINES, repairs=RevisionPattern())
    path = Path(Tree(PROBLEM, measure), SLIP, passing=True)
    asyncio.run(path.draw(1, 2))
    # Rollout 1 writes the wrong step 2 itself and takes it back: right for one step, a repair for two.
    assert (path.counts(1).hits, path.counts(1).total) == (2, 2)
    assert (path.counts(2).hits, path.counts(2).total) == (0, 1)


@pytest.mark.parametrize(
    ("prefix", "continuation", "repairs"),
    [
        ("Step 1: a\nStep 2: b\n", "Step 2: wait, 1 + 1 = 2", True),
        ("Step 1: a\nStep 2: b\n", "Step 3: c\nStep 1: wait, no", True),
        ("Step 1: a\nStep 2: b\n", "Step 3: c\nStep 3: wait, no", False),
        ("Step 1: a\nStep 2: b\nStep 1: wait, c\n", "Step 2: d\nStep 2: wait, e", False),
        ("Step 1: a\n", "Step 2: b\nLet me recheck: it is 4", True),
        ("Step 1: a\nStep 2: b\n", "Step 3: wait, no", True),
        ("Step 1: a\nStep 2: b\n", "Step 3: c\nStep 4: d\nStep 3: wait, no\nStep 4: e", False),
        ("we add\n", "that was a mistake, so", True),
        ("we add\n", "Hold on. We made an arithmetic error", True),
        ("we add\n", "the waiter made no mistakes; this is right", False),
        ("we add\n", "They wait, and after the long wait. It is 5", False),
        ("we add\n", "It is 5. Wait, it is 6", True),
        ("we add\n", "It is 5. Hmm, but wait, it is 6", True),
        ("Step 1: a\nStep 2: b\n", "Step 3: c\nStep 1: so wait, no", True),
        ("Step 1: a\nStep 2: b\n", "Step 3: c\nStep 3: so wait, no", False),
        ("", "Step 1: a\nWait, no", False),
    ],
)
def test_explicit_revisions_are_told_by_their_words_and_by_the_number_of_the_step(
    prefix: str, continuation: str, repairs: bool
) -> None:
    assert RevisionPattern()(prefix, continuation) is repairs


def test_a_pattern_of_ones_own_and_one_that_is_none() -> None:
    assert RevisionPattern(r"oops")("a\n", "b oops")
    assert not RevisionPattern(r"oops")("a\n", "wait")
    with pytest.raises(UsageError, match="not a regular expression"):
        LabelConfig(repair_pattern="[").checked(tuple(LABELERS))


def test_any_callable_may_say_what_a_repair_is() -> None:
    measure = MonteCarlo(Repairing(), grade, SAMPLING, LINES, repairs=lambda prefix, rest: "wait" in rest)
    [labelled] = asyncio.run(MathShepherd(measure, 2)(PROBLEM, [Solution("s", "p1", SLIP, Verdict("wrong", "exact"))])).solutions
    assert labelled.labels[0] == StepLabel(1, 2)


def test_a_state_that_only_repairs_lead_out_of_is_not_searched_from() -> None:
    """Half of the rollouts from the wrong step 2 are right after all: without the filter that state looks mixed."""
    config = LabelConfig("omegaprm", rollouts=4, filter_rollouts=0, searches=4, exact_counts=True)

    def from_the_wrong_step(labeling: Labeling) -> int:
        return sum(node.visits for node in labeling.nodes if node.prefix == SLIP[:2])

    assert from_the_wrong_step(label(config)) > 0
    assert from_the_wrong_step(label(replace(config, ignore_repairs=True))) == 0
