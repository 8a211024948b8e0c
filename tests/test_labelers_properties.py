"""Every labeler on random synthetic chains whose truth is known: determinism, evidence, costs, and values by statistics."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.labelers import LabelConfig, build_labeler, cost_of
from openr_data.labelers.agreement import agreement
from openr_data.labelers.readings import first_error, process_labels
from openr_data.steps import StepFormat
from openr_data.types import (
    NO_ERROR,
    Completion,
    LabeledSolution,
    Labeling,
    Problem,
    Rollout,
    Sampling,
    Solution,
    StepLabel,
    Steps,
    Verdict,
)

PROBLEM = Problem("p1", "?", "good")
LINES = StepFormat("\n")
METHODS = ["math-shepherd", "mips", "omegaprm"]


@dataclass(frozen=True)
class Chain:
    """Solutions of `length` steps. From a good step the next is good with probability `stay`, from a bad one with `repair`.

    The last step's state is the answer. Of the samples, `faults` fail in the engine, as many are truncated, and as many cannot be
    graded. `shuffle` changes only the order in which calls finish.
    """

    length: int = 8
    stay: float = 0.85
    repair: float = 0.0
    faults: float = 0.0
    variants: int = 3
    shuffle: int = 0

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        wait = Random(f"{self.shuffle} {prefix}")
        for _ in range(wait.randrange(4) if self.shuffle else 0):
            await asyncio.sleep(0)
        return [self.completion(prefix, i, Random(f"{sampling.seed} {prefix} {i}")) for i in range(start, start + n)]

    def completion(self, prefix: Steps, index: int, random: Random) -> Completion:
        if random.random() < self.faults:
            return Completion("", 0, "error", index, index)
        steps = self.walk(prefix, random)[len(prefix) :]
        if random.random() < self.faults:
            return Completion("\n".join(steps[:1]), len(steps[:1]), "length", index, index)
        text = "\n".join(steps) + ("?" if random.random() < self.faults and steps else "")
        return Completion(text, len(steps), "stop", index, index)

    def walk(self, prefix: Steps, random: Random) -> Steps:
        steps = list(prefix)
        while len(steps) < self.length:
            good = not steps or steps[-1].startswith("good")
            stays = random.random() < (self.stay if good else self.repair)
            steps.append(f"{'good' if stays else 'bad'} {len(steps)}{random.randrange(self.variants)}")
        return tuple(steps)

    def value(self, good_steps: int) -> float:
        """V of a good prefix, without repairs: the probability that all its later steps are good."""
        return self.stay ** (self.length - good_steps)


async def grade(response: str, answer: str, /) -> Verdict:
    last = response.rpartition("\n")[2]
    if last.endswith("?"):
        return Verdict("unknown", "timeout")
    return Verdict("right" if last.startswith(answer) else "wrong", "exact")


def solutions(chain: Chain, n: int, seed: int = 7) -> list[Solution]:
    walks = [chain.walk((), Random(f"{seed} {i}")) for i in range(n)]
    verdicts = [asyncio.run(grade("\n".join(steps), PROBLEM.answer)) for steps in walks]
    return [Solution(f"s{i}", PROBLEM.id, steps, verdicts[i], tokens=len(steps)) for i, steps in enumerate(walks)]


def label(config: LabelConfig, chain: Chain, given: Sequence[Solution], seed: int = 0) -> Labeling:
    sampling = Sampling(temperature=1.0, max_tokens=64, seed=seed)
    return asyncio.run(build_labeler(config, chain, grade, sampling, LINES)(PROBLEM, given))


def truth(steps: Steps) -> int:
    """The first bad step of a chain."""
    return next((i for i, step in enumerate(steps) if step.startswith("bad")), NO_ERROR)


chains = st.builds(
    Chain,
    length=st.integers(1, 9),
    stay=st.floats(0.5, 0.97),
    repair=st.sampled_from([0.0, 0.1]),
    faults=st.sampled_from([0.0, 0.1, 0.4]),
    variants=st.integers(1, 3),
)
configs = st.builds(
    LabelConfig,
    method=st.sampled_from(METHODS),
    rollouts=st.integers(1, 6),
    filter_rollouts=st.sampled_from([0, 8]),
    searches=st.integers(0, 6),
    rollout_limit=st.sampled_from([0, 9, 20]),
    estimates=st.sampled_from(["hard", "soft"]),
    truncated=st.sampled_from(["unknown", "wrong", "graded"]),
    exact_counts=st.sampled_from([None, True, False]),
    reuse_passing=st.booleans(),
)


@given(chains, configs, st.integers(0, 4), st.integers(0, 10_000))
@settings(max_examples=150, deadline=None)
def test_labels_follow_from_evidence_and_costs_add_up(chain: Chain, config: LabelConfig, n: int, seed: int) -> None:
    given_solutions = solutions(chain, n, seed)
    labelling = label(config, chain, given_solutions, seed)
    assert [s.solution for s in labelling.solutions[:n]] == given_solutions
    assert {s.origin for s in labelling.solutions[:n]} <= {"given"}
    assert {s.origin for s in labelling.solutions[n:]} <= {"rollout"}
    for labelled in labelling.solutions:
        check_evidence(labelled, labelling, config)
    root = [node for node in labelling.nodes if node.prefix == ()]
    paid = sum((s.cost for s in labelling.solutions), cost_of(root))
    assert paid == cost_of(labelling.nodes)


def check_evidence(labelled: LabeledSolution, labelling: Labeling, config: LabelConfig) -> None:
    steps, error, labels = labelled.solution.steps, labelled.first_error, labelled.labels
    assert len(labels) == len(steps)
    for t in range(1, len(steps)):
        own = next((node.rollouts for node in labelling.nodes if node.prefix == steps[:t]), ())
        kept = own if config.exact else held(labelled, labelling, t, passing=config.reuse_passing)
        check_counts(labels[t - 1], kept, config)
    if labelled.solution.verdict.outcome == "right":
        assert (error, labelled.reason) == (NO_ERROR, "right_answer")
    elif error is None:
        head = labelled.reason.partition(":")[0]
        assert head in {"unknown_answer", "unknown_rollouts", "rollout_limit", "too_hard", "too_easy"}
        assert process_labels(labelled) == (None,) * len(steps)
    else:
        # A decided failure and no success at the error; a success right before it, unless it is the first step.
        assert labels[error] is not None
        assert labels[error].hits == 0  # type: ignore[union-attr]  # just checked
        before = labels[error - 1] if error else None
        assert error == 0 or (before is not None and before.hits > 0)
        rule = "last_success" if config.method == "omegaprm" else "first_failure"
        assert first_error(labels, rule=rule) == error  # type: ignore[arg-type]  # a literal


def held(labelled: LabeledSolution, labelling: Labeling, depth: int, *, passing: bool = True) -> list[Rollout]:
    """The rollouts that may count at a depth: drawn there, or above it and with a text that goes on as the solution does."""
    text, whole = LINES.open(labelled.solution.steps[:depth]), LINES.join(labelled.solution.steps)
    found = []
    for node in labelling.nodes:
        start = LINES.open(node.prefix)
        for rollout in node.rollouts if start == text or (passing and text.startswith(start)) else ():
            drawn_as = f"{node.id}-{rollout.completion.index}"
            itself = labelled.origin == "rollout" and drawn_as == labelled.solution.id
            same = not start and rollout.completion.text == whole and rollout.completion.index == labelled.solution.index
            itself = itself or (same and labelled.origin == "given")
            if (start + rollout.completion.text).startswith(text) and not itself:
                found.append(rollout)
    return found


def check_counts(label: StepLabel | None, kept: Sequence[Rollout], config: LabelConfig) -> None:
    """Exact counts are those of the node; others are among what was drawn there or passed through, without the solution."""
    if label is None:
        return
    outcomes = Counter(rollout.verdict.outcome for rollout in kept)
    assert label.hits <= outcomes["right"]
    assert label.rollouts - label.hits <= outcomes["wrong"]
    if config.exact or not config.reuse_passing:
        assert (label.hits, label.rollouts) == (outcomes["right"], outcomes["right"] + outcomes["wrong"])


@given(chains.filter(lambda chain: chain.faults == 0), configs, st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_without_faults_the_error_has_all_its_failures(chain: Chain, config: LabelConfig, seed: int) -> None:
    for labelled in label(config, chain, solutions(chain, 3, seed), seed).solutions:
        error = labelled.first_error
        if error is not None and 0 <= error < len(labelled.labels) - 1:
            evidence = labelled.labels[error]
            assert evidence is not None
            assert evidence.hits == 0
            if config.reuse_passing and not config.exact:
                assert evidence.rollouts >= config.rollouts
            else:
                assert evidence.rollouts == config.rollouts


@given(chains, configs, st.integers(0, 4), st.integers(0, 10_000), st.integers(1, 10_000))
@settings(max_examples=80, deadline=None)
def test_the_result_does_not_depend_on_the_order_of_completion(
    chain: Chain, config: LabelConfig, n: int, seed: int, shuffle: int
) -> None:
    slow = Chain(chain.length, chain.stay, chain.repair, chain.faults, chain.variants, shuffle)
    given_solutions = solutions(chain, n, seed)
    assert label(config, slow, given_solutions, seed) == label(config, chain, given_solutions, seed)


@given(chains, configs, st.integers(0, 10_000))
@settings(max_examples=80, deadline=None)
def test_the_nodes_form_a_true_prefix_tree(chain: Chain, config: LabelConfig, seed: int) -> None:
    nodes = label(config, chain, solutions(chain, 3, seed), seed).nodes
    by_id = {node.id: node.prefix for node in nodes}
    assert len({node.prefix for node in nodes}) == len(by_id) == len(nodes)
    for node in nodes:
        shorter = [p for p in by_id.values() if len(p) < len(node.prefix) and node.prefix[: len(p)] == p]
        assert by_id.get(node.parent) == max(shorter, key=len, default=None)


@given(st.integers(1, 9), st.integers(1, 60), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_the_limit_is_never_exceeded(rollouts: int, limit: int, seed: int) -> None:
    chain = Chain(length=9)
    for exact in (True, False):
        config = LabelConfig(rollouts=rollouts, filter_rollouts=0, searches=20, rollout_limit=limit, exact_counts=exact)
        labelling = label(config, chain, solutions(chain, 4, seed), seed)
        assert cost_of(labelling.nodes).rollouts <= limit


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_rollout_is_searched_at_most_once(seed: int) -> None:
    config = LabelConfig(rollouts=4, filter_rollouts=8, searches=40)
    labelling = label(config, Chain(variants=2), (), seed)
    texts = [s.solution.steps for s in labelling.solutions]
    assert len(texts) == len(set(texts))
    searched = [s for s in labelling.solutions if s.first_error != NO_ERROR]
    assert sum(node.visits for node in labelling.nodes) == len(searched) <= 40


def test_a_chain_without_any_decided_rollout_gives_no_negative_label() -> None:
    chain = Chain(faults=1.0)
    for method in METHODS:
        config = LabelConfig(method, rollouts=4, filter_rollouts=0, searches=3)
        labelling = label(config, chain, [s for s in solutions(Chain(), 12) if s.verdict.outcome == "wrong"])
        assert len(labelling.solutions) > 5
        assert {node.label for node in labelling.nodes} <= {None}
        assert {s.first_error for s in labelling.solutions} == {None}


def test_the_counts_estimate_the_true_value() -> None:
    """Two-sided z-tests of all prefixes of a right solution at about 4 standard errors; fixed seeds."""
    chain, n = Chain(length=6, stay=0.8, variants=3), 2000
    right = next(s for s in solutions(chain, 50) if s.verdict.outcome == "right")
    [labelled] = label(LabelConfig("mips", rollouts=n), chain, [right]).solutions
    for step, counted in enumerate(labelled.labels[:-1]):
        value = chain.value(step + 1)
        assert counted is not None
        z = (counted.value - value) / sqrt(value * (1 - value) / n)
        assert abs(z) < 4, (step, counted, value)


@pytest.mark.parametrize("method", METHODS)
def test_first_errors_agree_with_the_truth_where_rollouts_suffice(method: str) -> None:
    """Without repairs zeros are proofs: a label is exact or too early, and misses by chance with (1 - V)^k only."""
    chain = Chain(length=8, stay=0.9, variants=4)
    wrong = [s for s in solutions(chain, 160) if s.verdict.outcome == "wrong"]
    config = LabelConfig(method, rollouts=12, filter_rollouts=0, searches=0)
    labelled = label(config, chain, wrong).solutions
    result = agreement((s, truth(s.solution.steps)) for s in labelled)
    assert result.solutions == result.decided == len(wrong) > 60
    assert result.late == 0
    assert (result.exact_match or 0) > 0.97
    assert (result.wrong_recall, (result.wrong_precision or 0) > 0.97) == (1.0, True)


def test_omegaprm_needs_a_fraction_of_the_rollouts_of_math_shepherd() -> None:
    """k * ceil(log2 M) against k * (M - 1) for each solution that shares no prefix with another."""
    chain = Chain(length=16, stay=0.93, variants=1000)
    wrong = [s for s in solutions(chain, 40) if s.verdict.outcome == "wrong"]
    costs = {}
    for method in ("math-shepherd", "omegaprm"):
        config = LabelConfig(method, rollouts=8, filter_rollouts=0, searches=0, exact_counts=True)
        costs[method] = sum(labelled.cost.rollouts for labelled in label(config, chain, wrong).solutions)
    assert costs["math-shepherd"] == 8 * 15 * len(wrong)
    assert costs["omegaprm"] == 8 * 4 * len(wrong)
