"""The published labelers over counts: each by hand, and what they promise on random chains with known truth."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import comb, exp, log
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.errors import UsageError
from openr_data.labelers import EpicPRM, ErPrm, GenPRM, LabelConfig, MonteCarlo, Pav, Scan, Second, build_labeler, cost_of
from openr_data.labelers.curtailed import AtLeast
from openr_data.labelers.epicprm import first_probe
from openr_data.labelers.path import Path
from openr_data.labelers.readings import (
    advantages,
    best_of,
    entropy_values,
    first_below_root,
    first_without_progress,
    progress_values,
)
from openr_data.labelers.tree import Tree
from openr_data.steps import StepFormat
from openr_data.types import (
    NO_ERROR,
    Completion,
    LabeledSolution,
    Labeling,
    Outcome,
    Problem,
    Sampling,
    Solution,
    StepLabel,
    Steps,
    Verdict,
)

PROBLEM = Problem("p1", "?", "good")
LINES = StepFormat("\n")
SAMPLING = Sampling(temperature=1.0, max_tokens=64, seed=0)


@dataclass
class Table:
    """Sample i of a prefix of t steps is right iff i < hits[t]; every completion has this mean log-probability per token."""

    hits: Sequence[int]
    logprobs: Sequence[float] = ()
    drawn: list[tuple[int, int]] = field(default_factory=list)

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        self.drawn.extend((len(prefix), index) for index in range(start, start + n))
        return [self._completion(len(prefix), index) for index in range(start, start + n)]

    def _completion(self, depth: int, index: int) -> Completion:
        text = "good" if index < self.hits[depth] else "bad"
        logprob = 2 * self.logprobs[index % len(self.logprobs)] if self.logprobs else None
        return Completion(f"{index}\n{text}", 2, "stop", index, index, logprob)

    def number(self, depth: int) -> int:
        return sum(at == depth for at, _ in self.drawn)


@dataclass(frozen=True)
class Chain:
    """Solutions of `length` steps, good or bad; from a good step the next is good with `stay`, from a bad one with `repair`.

    `shuffle` changes only the order in which calls finish.
    """

    length: int = 8
    stay: float = 0.85
    repair: float = 0.0
    faults: float = 0.0
    variants: int = 2
    shuffle: int = 0

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        for _ in range(Random(f"{self.shuffle} {prefix}").randrange(4) if self.shuffle else 0):
            await asyncio.sleep(0)
        return [self._completion(prefix, i, Random(f"{sampling.seed} {prefix} {i}")) for i in range(start, start + n)]

    def _completion(self, prefix: Steps, index: int, random: Random) -> Completion:
        if random.random() < self.faults:
            return Completion("", 0, "error", index, index)
        steps = self.walk(prefix, random)[len(prefix) :]
        return Completion("\n".join(steps), len(steps), "stop", index, index, log(0.2 + 0.8 * random.random()) * len(steps))

    def walk(self, prefix: Steps, random: Random) -> Steps:
        steps = list(prefix)
        while len(steps) < self.length:
            good = not steps or steps[-1].startswith("good")
            stays = random.random() < (self.stay if good else self.repair)
            steps.append(f"{'good' if stays else 'bad'} {len(steps)}{random.randrange(self.variants)}")
        return tuple(steps)


async def grade(response: str, answer: str, /) -> Verdict:
    return Verdict("right" if response.rpartition("\n")[2].startswith(answer) else "wrong", "exact")


def solution(steps: Steps, id: str = "s") -> Solution:  # noqa: A002
    outcome: Outcome = "right" if steps[-1].startswith("good") else "wrong"
    return Solution(id, PROBLEM.id, steps, Verdict(outcome, "exact"))


def measure(engine: object) -> MonteCarlo:
    return MonteCarlo(engine, grade, SAMPLING, LINES)  # type: ignore[arg-type]  # any of the engines above


WRONG = solution(("a", "b", "c", "d", "bad"))
RIGHT = solution(("a", "b", "good"))


def one(labeler: object, given_solution: Solution = WRONG) -> LabeledSolution:
    [labelled] = asyncio.run(labeler(PROBLEM, [given_solution])).solutions  # type: ignore[operator]  # a labeler
    return labelled  # type: ignore[no-any-return]  # as above


def values(labelled: LabeledSolution) -> tuple[object, ...]:
    return tuple(estimate.value if estimate else None for estimate in labelled.estimates)


def test_scan_goes_from_left_to_right_up_to_the_first_prefix_without_a_hit() -> None:
    engine = Table([6, 8, 4, 2, 0])
    labelled = one(Scan(measure(engine), 8, 8))
    assert (labelled.first_error, labelled.reason, labelled.method) == (3, "scan", "scan")
    # SC is 6/8: the two steps before the error get min(1, MC / SC), those before them 1, the error 0.
    assert values(labelled) == (1.0, pytest.approx(4 / 6), pytest.approx(2 / 6), 0.0, None)
    assert {estimate.estimator for estimate in labelled.estimates if estimate} == {"scan"}
    # One hit suffices at the first prefix; the two before the error are drawn up to all 8.
    assert [engine.number(depth) for depth in range(5)] == [8, 1, 8, 8, 8]
    assert labelled.cost.rollouts == 25


def test_scan_stops_early_where_nothing_depends_on_it_only() -> None:
    engine = Table([6, 8, 0, 8, 8])
    labelled = one(Scan(measure(engine), 8, 8))
    assert labelled.first_error == 1
    assert values(labelled) == (1.0, 0.0, None, None, None)
    assert [engine.number(depth) for depth in range(5)] == [8, 8, 8, 0, 0]


def test_scan_drops_questions_that_the_policy_is_not_sure_of_and_measures_no_right_solution() -> None:
    engine = Table([5, 8, 0, 0, 0])
    labeling = asyncio.run(Scan(measure(engine), 8, 8, confidence_floor=0.75)(PROBLEM, [WRONG, RIGHT]))
    assert labeling.skipped == "low_confidence"
    assert [(label.first_error, label.reason) for label in labeling.solutions] == [
        (None, "low_confidence"),
        (NO_ERROR, "right_answer"),
    ]
    assert values(labeling.solutions[1]) == (1.0, 1.0, 1.0)
    assert len(engine.drawn) == 8
    assert asyncio.run(Scan(measure(engine), 8, 8, confidence_floor=0.625)(PROBLEM, [WRONG])).skipped == ""
    assert asyncio.run(Scan(measure(Table([0] * 5)), 8, 8)(PROBLEM, [WRONG])).skipped == "too_hard"


def test_epicprm_calls_a_prefix_bad_below_half_of_the_roots_value() -> None:
    engine = Table([6, 5, 3, 2, 2])
    labelled = one(EpicPRM(measure(engine), 8, 8, exact=True))
    # The bar is half of 6/8: three of eight keep the second prefix good, two leave the third bad although they are hits.
    assert (labelled.first_error, labelled.reason) == (2, "below_root")
    assert labelled.notes == {"weights": "none", "root": "0.7500"}
    assert [engine.number(depth) for depth in range(5)] == [8, 0, 8, 8, 0]
    assert first_below_root(labelled.labels[1:3], StepLabel(6, 8)) == 1


def test_epicprm_draws_no_more_than_its_rule_needs() -> None:
    engine = Table([6, 5, 3, 2, 2])
    labelled = one(EpicPRM(measure(engine), 8, 8))
    assert labelled.first_error == 2
    # Good: the third hit in a row decides. Bad: two hits, then misses until three hits of eight are out of reach.
    assert [engine.number(depth) for depth in range(5)] == [8, 0, 3, 8, 0]
    assert labelled.labels[1:3] == (StepLabel(3, 3), StepLabel(2, 8))


def test_epicprm_weighs_by_perplexity_where_every_rollout_of_the_root_has_a_logprob() -> None:
    logs = [log(0.5), log(0.25), log(0.25), log(1.0)]
    engine = Table([2, 1, 1, 1, 1], logs)
    labelled = one(EpicPRM(measure(engine), 4, 4, exact=True), solution(("a", "bad")))
    # Root: (.5 + .25) / 2 = .375, bar .1875; the prefix has .5 / 2 = .25, above it, where plain counts say 1/4 = 1/2 * 2/4 too.
    assert labelled.notes == {"weights": "perplexity", "root": "0.3750"}
    assert labelled.first_error == 1
    # With a bar of .8 * .375 = .3 it is bad, and plain counts would say .25 < .4 as well.
    assert one(EpicPRM(measure(engine), 4, 4, root_share=0.8, exact=True), solution(("a", "bad"))).first_error == 0
    heavy = Table([1, 1], [log(1.0), log(0.25), log(0.25), log(0.5)])
    assert one(EpicPRM(measure(heavy), 4, 2, root_share=0.7), solution(("a", "bad"))).first_error == 0
    assert one(EpicPRM(measure(heavy), 4, 2, root_share=0.7, perplexity=False), solution(("a", "bad"))).first_error == 0
    assert one(EpicPRM(measure(heavy), 4, 2, root_share=0.6), solution(("a", "bad"))).first_error == 1
    assert one(EpicPRM(measure(heavy), 4, 2, root_share=0.6, perplexity=False), solution(("a", "bad"))).first_error == 0


def test_epicprm_starts_earlier_on_hard_questions_and_later_on_easy_ones() -> None:
    # The code of the paper, on indices 0 .. right of the proper prefixes: mid = right // 2, then -+ right // 4 from index 4 on.
    for longest in range(1, 30):
        right = longest - 1
        shift = right // 4 if right >= 4 else 0
        assert first_probe(longest, Fraction(1, 10)) == 1 + right // 2 - shift
        assert first_probe(longest, Fraction(3, 10)) == 1 + right // 2
        assert first_probe(longest, Fraction(9, 10)) == 1 + right // 2 + shift


@pytest.mark.parametrize(("hits", "of", "k"), [(1, 16, 32), (7, 8, 16), (8, 8, 8)])
def test_genprm_gives_hard_questions_more_rollouts(hits: int, of: int, k: int) -> None:
    engine = Table([hits, 99, 0, 0, 0])
    assert one(GenPRM(measure(engine), 8, of)).first_error == 1
    assert [engine.number(depth) for depth in range(5)] == [of, k, k, 0, 0]


def test_a_question_without_a_right_rollout_has_no_value_to_compare_with() -> None:
    for labeler in (GenPRM(measure(Table([0] * 5)), 8, 8), EpicPRM(measure(Table([0] * 5)), 8, 8)):
        assert one(labeler).reason == "too_hard"


def test_genprm_calls_a_step_wrong_that_loses_more_than_a_fifth_of_the_value() -> None:
    engine = Table([8, 10, 8, 6, 0])
    labelled = one(GenPRM(measure(engine), 10, 10))
    # K is 2 * 10. P = (10/20) / (8/10), which is below .8 at once.
    assert (labelled.first_error, engine.number(1), engine.number(2)) == (0, 20, 0)
    engine = Table([10, 10, 8, 6, 0])
    labelled = one(GenPRM(measure(engine), 10, 10))
    # P = 1, .8 (still right: exactly the bar), .75 (wrong): the rest is not measured.
    assert (labelled.first_error, labelled.notes) == (2, {"rollouts": "10", "root": "10/10"})
    assert values(labelled) == (1.0, pytest.approx(0.8), pytest.approx(0.75), None, None)
    assert [engine.number(depth) for depth in range(5)] == [10, 10, 10, 10, 0]
    assert {estimate.estimator for estimate in labelled.estimates if estimate} == {"progress"}
    exact = one(GenPRM(measure(engine), 10, 10, exact=True))
    assert exact.first_error == 2
    assert values(exact) == (1.0, pytest.approx(0.8), pytest.approx(0.75), 0.0, 0.0)


def test_progress_is_relative_and_nothing_is_right_after_a_zero() -> None:
    labels = [StepLabel(3, 4), StepLabel(0, 4), StepLabel(2, 4), StepLabel(0, 1)]
    assert progress_values(labels, StepLabel(2, 4)) == (1.5, 0.0, 0.0, 0.0)
    assert progress_values([None, *labels[1:]], StepLabel(2, 4)) == (None, None, 0.0, 0.0)
    assert first_without_progress(labels, StepLabel(2, 4)) == 1
    assert first_without_progress([StepLabel(4, 5), StepLabel(1, 1)], StepLabel(5, 5)) == NO_ERROR
    assert first_without_progress([None], StepLabel(1, 1)) is None


def test_the_entropy_value_by_hand() -> None:
    """y = ln((6 + 2 e) / 8) at eta 1, as in the paper's code; it lies between the mean and any hit."""
    [value] = entropy_values([StepLabel(2, 8)])
    assert value == pytest.approx(log((6 + 2 * exp(1)) / 8))
    [small], [large] = entropy_values([StepLabel(2, 8)], 1e-6), entropy_values([StepLabel(2, 8)], 5000.0)
    assert small == pytest.approx(0.25, abs=1e-5)
    assert large == pytest.approx(1.0, abs=1e-3)
    assert entropy_values([StepLabel(0, 8), None, StepLabel(8, 8)], 3.0) == (0.0, None, 1.0)


def test_er_prm_measures_every_prefix_with_all_rollouts() -> None:
    engine = Table([0, 4, 2, 0, 1])
    labelled = one(ErPrm(measure(engine), 4, eta=2.0))
    assert (labelled.first_error, labelled.method) == (2, "er-prm")
    assert [engine.number(depth) for depth in range(5)] == [0, 4, 4, 4, 4]
    half, quarter = (log((1 - p) + p * exp(2.0)) / 2.0 for p in (0.5, 0.25))
    assert values(labelled) == (1.0, pytest.approx(half), 0.0, pytest.approx(quarter), 0.0)
    assert {estimate.estimator for estimate in labelled.estimates if estimate} == {"entropy"}
    assert values(one(ErPrm(measure(engine), 4), RIGHT))[-1] == 1.0


def test_the_advantage_is_what_a_step_adds_to_the_value() -> None:
    engine = Table([4, 6, 3, 3, 0])
    labelled = one(Pav(measure(engine), 8))
    assert values(labelled) == (0.25, -0.375, 0.0, -0.375, 0.0)
    assert (labelled.first_error, labelled.reason, labelled.notes) == (None, "advantages_only", {"prover": "engine"})
    assert {estimate.estimator for estimate in labelled.estimates if estimate} == {"advantage"}
    assert one(Pav(measure(engine), 8, drop=0.3)).first_error == 1
    assert one(Pav(measure(engine), 8, drop=0.375)).reason == "no_drop"
    right = one(Pav(measure(engine), 8, drop=0.1), RIGHT)
    assert (right.first_error, right.reason) == (NO_ERROR, "right_answer")
    assert values(right) == (0.25, -0.375, 0.625)


def test_without_a_prover_the_counts_are_read_as_best_of_k() -> None:
    engine = Table([2, 4, 0, 0, 0])
    labelled = one(Pav(measure(engine), 4, best_of=2))
    root = 1 - comb(2, 2) / comb(4, 2)
    assert values(labelled) == (pytest.approx(1 - root), -1.0, 0.0, 0.0, 0.0)
    assert labelled.notes == {"prover": "best-of-2"}
    assert advantages([StepLabel(1, 1), StepLabel(1, 1)], StepLabel(1, 4), 2) == (None, None)


def test_a_prover_that_is_given_draws_the_rollouts_and_the_engine_none() -> None:
    engine, prover = Table([8] * 5), Table([4, 8, 0, 0, 0])
    labeler = build_labeler(
        LabelConfig("pav"), engine, grade, SAMPLING, LINES, engines={"prover": Second(prover, replace(SAMPLING, seed=5))}
    )
    labelled = one(labeler)
    assert (engine.drawn, len(prover.drawn)) == ([], 40)
    assert values(labelled) == (0.5, -1.0, 0.0, 0.0, 0.0)
    assert labelled.notes == {"prover": "engine"}


@given(st.integers(1, 20), st.integers(1, 6), st.floats(0.05, 0.95))
@settings(max_examples=60, deadline=None)
def test_best_of_k_is_read_without_bias(n: int, k: int, value: float) -> None:
    """The mean over all counts, weighed by the binomial law, is 1 - (1 - V)^k exactly."""
    readings = [best_of(StepLabel(c, n), k) for c in range(n + 1)]
    if n < k:
        assert readings == [None] * (n + 1)
        return
    law = [comb(n, c) * value**c * (1 - value) ** (n - c) for c in range(n + 1)]
    mean = sum(p * (reading or 0.0) for p, reading in zip(law, readings, strict=True))
    assert mean == pytest.approx(1 - (1 - value) ** k)


chains = st.builds(
    Chain,
    length=st.integers(1, 9),
    stay=st.floats(0.5, 0.97),
    repair=st.sampled_from([0.0, 0.1, 0.4]),
    faults=st.sampled_from([0.0, 0.3]),
)


def labelings(config: LabelConfig, chain: Chain, seed: int) -> list[Labeling]:
    """The same solutions of the same chain, first with early stopping and then with all rollouts."""
    walks = [chain.walk((), Random(f"{seed} {i}")) for i in range(3)]
    given_solutions = [solution(steps, f"s{i}") for i, steps in enumerate(walks)]
    both = [replace(config, exact_counts=exact, reuse_passing=False) for exact in (False, True)]
    sampling = replace(SAMPLING, seed=seed)
    labelers = [build_labeler(each, chain, grade, sampling, LINES) for each in both]
    return [asyncio.run(labeler(PROBLEM, given_solutions)) for labeler in labelers]


def hard(labeling: Labeling) -> list[tuple[int | None, str]]:
    return [(each.first_error, each.reason) for each in labeling.solutions]


@given(chains, st.sampled_from(["scan", "epicprm", "genprm"]), st.integers(1, 12), st.booleans(), st.integers(0, 10_000))
@settings(max_examples=150, deadline=None)
def test_stopping_early_changes_no_first_error(chain: Chain, method: str, k: int, weigh: bool, seed: int) -> None:
    config = LabelConfig(method, rollouts=k, filter_rollouts=8, perplexity=weigh)
    early, full = labelings(config, chain, seed)
    assert hard(early) == hard(full)
    assert cost_of(early.nodes).rollouts <= cost_of(full.nodes).rollouts
    if method == "scan":
        assert [values(each) for each in early.solutions if each.first_error is not None] == [
            values(each) for each in full.solutions if each.first_error is not None
        ]


@given(chains, st.sampled_from(["scan", "epicprm", "genprm", "er-prm", "pav"]), st.integers(1, 8), st.integers(0, 10_000))
@settings(max_examples=80, deadline=None)
def test_published_labels_do_not_depend_on_the_order_of_completion(chain: Chain, method: str, k: int, seed: int) -> None:
    config = LabelConfig(method, rollouts=k, filter_rollouts=8, best_of=1, drop=0.2, ignore_repairs=True)
    walks = [chain.walk((), Random(f"{seed} {i}")) for i in range(4)]
    given_solutions = [solution(steps, f"s{i}") for i, steps in enumerate(walks)]
    labeled = [
        asyncio.run(build_labeler(config, replace(chain, shuffle=s), grade, SAMPLING, LINES)(PROBLEM, given_solutions))
        for s in (0, 1, 2)
    ]
    assert labeled[0] == labeled[1] == labeled[2]
    paid = sum((each.cost for each in labeled[0].solutions), cost_of(node for node in labeled[0].nodes if not node.prefix))
    assert paid == cost_of(labeled[0].nodes)


@given(
    st.lists(st.sampled_from(["right", "wrong", "unknown"]), min_size=1, max_size=14),
    st.lists(st.floats(0.01, 1.0), min_size=14, max_size=14),
    st.fractions(min_value=Fraction(1, 20), max_value=1, max_denominator=40),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_a_curtailed_rule_answers_as_on_all_rollouts(
    outcomes: list[str], weights: list[float], threshold: Fraction, weighed: bool
) -> None:
    class Told:
        async def sample(
            self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
        ) -> Sequence[Completion]:
            said = [outcomes[i] for i in range(start, start + n)]
            return [Completion(word, 1, "error" if word == "unknown" else "stop", start + i, 0) for i, word in enumerate(said)]

    async def graded(response: str, answer: str, /) -> Verdict:
        return Verdict("right" if response.endswith("right") else "wrong", "exact")

    n = len(outcomes)
    rule = AtLeast(threshold, n, lambda r: Fraction(weights[r.completion.index]) if weighed else Fraction(1))
    answers = []
    for exact in (False, True):
        path = Path(Tree(PROBLEM, MonteCarlo(Told(), graded, SAMPLING, LINES)), ("a", "b"))
        answers.append(asyncio.run(rule.ask(path, 1, exact=exact)))
    assert answers[0] == answers[1]
    weight = [Fraction(w) if weighed else Fraction(1) for w in weights]
    right = sum(weight[i] for i, word in enumerate(outcomes) if word == "right")
    decided = sum(weight[i] for i, word in enumerate(outcomes) if word != "unknown")
    known = sum(word != "unknown" for word in outcomes)
    told = bool(right) or 2 * known >= n
    assert answers[0] == ((right >= threshold * decided if decided else None) if told else None)


@given(chains, st.integers(1, 6), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_readings_over_stored_counts_agree_with_the_methods(chain: Chain, k: int, seed: int) -> None:
    """A stored run with all rollouts can be read as genprm, epicprm (a scan with its rule), er-prm or pav without new ones."""
    chain = replace(chain, faults=0.0)
    given_solutions = [solution(chain.walk((), Random(f"{seed} {i}")), f"s{i}") for i in range(3)]
    sampling = replace(SAMPLING, seed=seed)

    def labelled(method: str, **more: object) -> Sequence[LabeledSolution]:
        config = replace(LabelConfig(method, rollouts=k, filter_rollouts=k, exact_counts=True, best_of=1), **more)  # type: ignore[arg-type]
        labeling = asyncio.run(build_labeler(config, chain, grade, sampling, LINES)(PROBLEM, given_solutions))
        return () if labeling.skipped else labeling.solutions

    stored = labelled("mips")
    scanned = labelled("genprm", progress=0.5)
    for one_stored, one_entropy, one_pav in zip(stored, labelled("er-prm"), labelled("pav"), strict=True):
        assert entropy_values(one_stored.labels) == values(one_entropy)
        assert advantages(one_stored.labels, StepLabel(0, 1))[1:] == values(one_pav)[1:]
    for one_stored, one_scanned in zip(stored, scanned, strict=False):
        root = StepLabel(*map(int, one_scanned.notes["root"].split("/"))) if one_scanned.notes else None
        if root and one_scanned.notes["rollouts"] == str(k):
            assert first_without_progress(one_stored.labels, root, 0.5) == one_scanned.first_error


@pytest.mark.parametrize(("method", "least"), [("scan", 0.9), ("epicprm", 0.9), ("genprm", 0.6), ("er-prm", 0.9), ("pav", 0.6)])
def test_first_errors_of_the_published_labelers_are_mostly_true(method: str, least: float) -> None:
    chain = Chain(length=8, stay=0.93)
    config = LabelConfig(method, rollouts=32, filter_rollouts=32, best_of=4, drop=0.5)
    exact = total = 0
    for seed in range(40):
        steps = chain.walk((), Random(f"truth {seed}"))
        if steps[-1].startswith("good"):
            continue
        problem = replace(PROBLEM, id=f"p{seed}")
        labeler = build_labeler(config, chain, grade, replace(SAMPLING, seed=seed), LINES)
        [labelled] = asyncio.run(labeler(problem, [solution(steps)])).solutions
        total += 1
        exact += labelled.first_error == next(i for i, step in enumerate(steps) if step.startswith("bad"))
    assert total >= 12
    assert exact / total >= least


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (LabelConfig("scan", confidence_floor=1.5), "confidence_floor is a share"),
        (LabelConfig("epicprm", root_share=0.0), "root_share must lie"),
        (LabelConfig("genprm", progress=1.1), "progress must lie"),
        (LabelConfig("er-prm", eta=0.0), "eta must be a positive"),
        (LabelConfig("er-prm", eta=float("inf")), "eta must be a positive"),
        (LabelConfig("er-prm", exact_counts=False), "er-prm reads shares"),
        (LabelConfig("pav", rollouts=3, best_of=0), "best_of must be at least 1, not 0"),
        (LabelConfig("pav", drop=-0.1), "drop is an advantage"),
        (LabelConfig(repair_pattern="("), "repair pattern is not a regular expression"),
    ],
)
def test_settings_of_the_published_labelers_that_cannot_work_are_refused(config: LabelConfig, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_labeler(config, Table([]), grade, SAMPLING, LINES)
