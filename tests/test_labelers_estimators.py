"""Each value says how it was read, in memory and in the stored row: fixed counts are unbiased, stopped ones are not."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from statistics import fmean, stdev

import pytest
from chain_labelling import Asked, label, problems, written

from openr_data.engines.chain import success_probability
from openr_data.engines.script import parse_script
from openr_data.labelers import LabelConfig
from openr_data.labelers.estimates import beta_mean
from openr_data.store.codecs import labeled_row, read_labeled
from openr_data.types import NO_ERROR, LabeledSolution, Problem, StepLabel

SCRIPT = "error=0.15,recovery=0.08,phrasings=3"
K = 6


def labelled(config: LabelConfig, count: int, script: str = SCRIPT) -> Iterator[tuple[Problem, LabeledSolution]]:
    """Given solutions only: those that were sampled for a label were chosen by what their tree had shown."""
    for problem in problems(count):
        for one in label(config, Asked(script), problem, written(problem, script, 3)).solutions:
            if one.origin == "given":
                yield problem, one


@pytest.mark.parametrize(
    ("method", "options", "estimator"),
    [
        ("math-shepherd", {}, "stopped"),
        ("math-shepherd", {"reuse_passing": False}, "stopped"),
        ("math-shepherd", {"exact_counts": True}, "mean"),
        ("math-shepherd", {"estimates": "soft"}, "mean"),
        ("math-shepherd", {"estimates": "soft", "exact_counts": False}, "stopped"),
        ("mips", {}, "mean"),
        ("mips", {"exact_counts": False}, "stopped"),
        ("omegaprm", {}, "stopped"),
        ("omegaprm", {"exact_counts": True}, "mean"),
    ],
)
def test_values_name_their_estimator_and_so_does_the_stored_row(method: str, options: dict[str, object], estimator: str) -> None:
    config = LabelConfig(method, K, 8, searches=2, **options)  # type: ignore[arg-type]  # what the command line folds
    read = 0
    for problem, one in labelled(config, 8, SCRIPT + ",lost=0.1,garbage=0.1"):
        row = labeled_row(problem, one)
        assert read_labeled(row).estimates == one.estimates
        for count, value, said in zip(one.labels, row["mc"], row["estimator"], strict=True):
            assert (count is None) == (value is None) == (said is None)
        for step, (count, estimate) in enumerate(zip(one.labels, one.estimates, strict=False)):
            if count is None or estimate is None:
                continue
            last = step == len(one.labels) - 1
            read += not last
            assert estimate.estimator == ("verdict" if last else estimator)
            assert row["estimator"][step] == estimate.estimator
            assert row["mc"][step] == estimate.value
            stopped = (count.hits + 0.5) / (count.rollouts + 1)
            assert estimate.value == (count.hits / count.rollouts if last or estimator == "mean" else stopped)
            if last:
                assert count == StepLabel(int(one.solution.verdict.outcome == "right"), 1)
    assert read > 20


def test_the_posterior_mean_by_hand() -> None:
    """Jeffreys' prior is Beta(1/2, 1/2): after h hits in n rollouts the mean is (h + 1/2) / (n + 1), wherever drawing stopped."""
    assert [beta_mean(StepLabel(h, n)) for h, n in [(1, 1), (1, 4), (0, 8), (8, 8)]] == [0.75, 0.3, 0.5 / 9, 8.5 / 9]


def values(config: LabelConfig, count: int = 170) -> list[tuple[float, float, StepLabel]]:
    """(what was read, the exact value, the counts) of every measured step. Each prefix once."""
    found: dict[tuple[str, ...], tuple[float, float, StepLabel]] = {}
    script = parse_script(SCRIPT)
    for problem, one in labelled(config, count):
        for t, (counts, estimate) in enumerate(zip(one.labels[:-1], one.estimates, strict=False), 1):
            if counts and estimate:
                prefix = one.solution.steps[:t]
                exact = success_probability(script, problem.question, prefix)
                found[(problem.id, *prefix)] = estimate.value, exact, counts
    return list(found.values())


def z_of(differences: list[float]) -> float:
    """Of their mean against 0, by their own spread."""
    return fmean(differences) / (stdev(differences) / sqrt(len(differences)))


@pytest.mark.parametrize("method", ["math-shepherd", "mips", "omegaprm"])
def test_soft_labels_of_exact_counts_are_unbiased(method: str) -> None:
    read = values(LabelConfig(method, K, 0, searches=0, exact_counts=True))
    assert len(read) > (400 if method == "omegaprm" else 1500)
    assert {counts.rollouts for *_, counts in read} == {K}
    assert abs(z_of([value - exact for value, exact, _ in read])) < 3
    hits, expected = sum(counts.hits for *_, counts in read), sum(K * exact for _, exact, _ in read)
    assert abs(hits - expected) / sqrt(sum(K * v * (1 - v) for _, v, _ in read)) < 3


def test_the_share_of_hits_is_biased_where_drawing_stopped_at_the_first() -> None:
    """The reason for `stopped`: the share is far too high. The posterior mean is nearer to the truth, and not unbiased either."""
    read = values(LabelConfig("math-shepherd", K, exact_counts=False, reuse_passing=False))
    shares = [counts.hits / counts.rollouts - exact for _, exact, counts in read]
    means = [value - exact for value, exact, _ in read]
    assert len(read) > 1500
    assert fmean(shares) > 0.05
    assert z_of(shares) > 10
    assert 0 < fmean(means) < 0.7 * fmean(shares)
    assert fmean(d * d for d in means) < 0.5 * fmean(d * d for d in shares)


def test_exact_counts_of_sampled_solutions_are_those_of_the_nodes() -> None:
    """Also where the solution began: without its own failure such a state, which has a hit, would count far too high."""
    at_start: list[float] = []
    left_out: list[float] = []
    script = parse_script(SCRIPT)
    for problem in problems(60, steps=(9, 9)):
        labelling = label(LabelConfig("omegaprm", K, 12, searches=12, exact_counts=True), Asked(SCRIPT), problem, [])
        nodes = {node.id: node for node in labelling.nodes}
        counts = {node.prefix: node.label for node in labelling.nodes}
        for one in labelling.solutions:
            steps, start = one.solution.steps, len(nodes[one.solution.id.rpartition("-")[0]].prefix)
            assert all(found in {None, counts.get(steps[:t])} for t, found in enumerate(one.labels[:-1], 1))
            if start and one.first_error != NO_ERROR and (known := one.labels[start - 1]):
                exact = success_probability(script, problem.question, steps[:start])
                at_start.append(known.hits / known.rollouts - exact)
                left_out.append(known.hits / (known.rollouts - 1) - exact)
    assert len(at_start) > 300
    assert 0 <= fmean(at_start) < 0.1 < 0.14 < fmean(left_out)
