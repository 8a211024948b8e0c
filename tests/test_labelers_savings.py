"""Savings that change no hard label: what is never drawn, what is left at its first hit, and what counts at several prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from chain_labelling import LINES, Asked, label, problems, written

from openr_data.labelers import LABELERS, NEEDED_ENGINE, LabelConfig, cost_of
from openr_data.types import Labeling, Rollout, Solution, Steps

HARD = ["math-shepherd", "mips", "omegaprm"]
FAULTS = ["error=0.12,recovery=0.02", "error=0.12,recovery=0.02,phrasings=2,lost=0.35,truncate=0.2,garbage=0.2"]


def configuration(method: str, k: int, **options: object) -> LabelConfig:
    return LabelConfig(method, rollouts=k, filter_rollouts=8, searches=0, **options)  # type: ignore[arg-type]  # test shorthand


@pytest.mark.parametrize("script", FAULTS)
@pytest.mark.parametrize("method", HARD)
def test_hard_labels_that_stop_at_the_first_hit_are_those_of_fixed_k(method: str, script: str) -> None:
    """For identical seeds: the same first errors and reasons, and on every step the same yes or no, 100 %."""
    compared = decided = saved = 0
    for problem in problems(24):
        given = written(problem, script, 5)
        for k in (1, 3, 8):
            fixed = label(configuration(method, k, exact_counts=True), Asked(script), problem, given)
            stopped = label(configuration(method, k, exact_counts=False, reuse_passing=False), Asked(script), problem, given)
            same_words(fixed, stopped)
            same_samples(fixed, stopped, k)
            compared += len(given)
            decided += sum(one.first_error is not None for one in stopped.solutions)
            saved += cost_of(fixed.nodes).rollouts - cost_of(stopped.nodes).rollouts
    assert compared == 24 * 5 * 3
    assert decided > (200 if "lost" not in script else 40)
    assert saved > 0


def same_words(fixed: Labeling, stopped: Labeling) -> None:
    assert stopped.skipped == fixed.skipped
    for one, other in zip(stopped.solutions, fixed.solutions, strict=True):
        assert (one.solution, one.first_error, one.reason) == (other.solution, other.first_error, other.reason)
        if one.solution.verdict.outcome == "wrong":
            assert [hit and hit.hits > 0 for hit in one.labels] == [hit and hit.hits > 0 for hit in other.labels]


def same_samples(fixed: Labeling, stopped: Labeling, k: int) -> None:
    """The stopped rollouts are the first ones of the fixed ones, up to the first hit."""
    drawn = {node.prefix: node.rollouts for node in fixed.nodes}
    for node in stopped.nodes:
        if node.prefix:
            whole = drawn[node.prefix]
            assert len(whole) == k
            assert node.rollouts == whole[: until_hit(whole)]


def until_hit(rollouts: Sequence[Rollout]) -> int:
    """How many come up to the first right one, itself included; all without one."""
    return next((i + 1 for i, rollout in enumerate(rollouts) if rollout.verdict.outcome == "right"), len(rollouts))


@pytest.mark.parametrize("passing", [True, False])
@pytest.mark.parametrize("method", HARD)
def test_nothing_is_drawn_that_is_known_already(method: str, passing: bool) -> None:
    wrong = hits = 0
    for problem in problems(20):
        for solution in written(problem, "error=0.12,phrasings=1", 6):
            engine = Asked("error=0.12,phrasings=1")
            config = LabelConfig(method, 6, filter_rollouts=0, searches=0, exact_counts=False, reuse_passing=passing)
            labelling = label(config, engine, problem, [solution])
            assert solution.steps not in engine.prefixes
            assert () not in engine.prefixes
            if solution.verdict.outcome == "right":
                assert (engine.prefixes, labelling.nodes, labelling.solutions[0].cost.rollouts) == ([], (), 0)
            wrong += solution.verdict.outcome == "wrong"
            for node in labelling.nodes:
                assert len(node.rollouts) == until_hit(node.rollouts) <= 6
                hits += node.hits
    assert (wrong > 40, hits > 40) == (True, True)


@pytest.mark.parametrize("method", [method for method in LABELERS if method not in NEEDED_ENGINE])
def test_no_method_probes_a_finished_solution(method: str) -> None:
    for problem in problems(5):
        given = written(problem, "error=0.15", 4)
        engine = Asked("error=0.15")
        labelling = label(LabelConfig(method, 6, 12, searches=0), engine, problem, given)
        assert not {solution.steps for solution in given} & set(engine.prefixes)
        assert all(len(node.prefix) < len(given[0].steps) for node in labelling.nodes)


@pytest.mark.parametrize("filtered", [0, 16])
@pytest.mark.parametrize("passing", [True, False])
def test_the_search_never_goes_left_of_what_a_hit_proves(passing: bool, filtered: int) -> None:
    searched = proven_further = 0
    for problem in problems(30, steps=(10, 14)):
        for solution in [s for s in written(problem, "error=0.1,phrasings=1", 4) if s.verdict.outcome == "wrong"]:
            engine = Asked("error=0.1,phrasings=1")
            config = LabelConfig("omegaprm", 5, filtered, searches=0, exact_counts=False, reuse_passing=passing)
            labelling = label(config, engine, problem, [solution])
            known = {(node.prefix, r.completion.index): r for node in labelling.nodes for r in node.rollouts}
            proven, drawn = 0, dict.fromkeys(engine.prefixes, 0)
            for prefix in engine.prefixes:
                assert not prefix or len(prefix) > proven
                for _ in range(1 if prefix else filtered):
                    rollout = known[prefix, drawn[prefix]]
                    drawn[prefix] += 1
                    if rollout.verdict.outcome == "right":
                        reached = passed(prefix, rollout, solution.steps) if passing else len(prefix)
                        proven_further += reached > len(prefix)
                        proven = max(proven, reached)
            error = labelling.solutions[0].first_error
            assert labelling.skipped or (error is not None and error >= proven)
            searched += 1
    assert searched > 40
    assert (proven_further > 0) == passing


def passed(prefix: Steps, rollout: Rollout, steps: Steps) -> int:
    text = LINES.open(prefix) + rollout.completion.text
    return max(t for t in range(len(prefix), len(steps)) if text.startswith(LINES.open(steps[:t])))


@pytest.mark.parametrize("method", HARD)
def test_two_solutions_with_one_text_cost_as_much_as_one(method: str) -> None:
    for problem in problems(6):
        for solution in written(problem, "error=0.2", 3):
            twin = replace(solution, id="twin", index=7, seed=1)
            alone, both = (
                label(LabelConfig(method, 4, 8, searches=0), Asked("error=0.2"), problem, given)
                for given in ([solution], [solution, twin])
            )
            assert both.nodes[1:] == alone.nodes[1:]
            assert both.solutions[1].cost.rollouts == 0
            assert [one.first_error for one in both.solutions[:2]] == [alone.solutions[0].first_error] * 2
            assert both.solutions[0].labels == both.solutions[1].labels == alone.solutions[0].labels


def test_the_filter_rollouts_count_where_they_pass_through() -> None:
    """Of the 32 of the filter, those that begin as the solution does are its evidence: fewer draws, and proofs for nothing."""
    script, spent = "error=0.15,phrasings=1", {True: 0, False: 0}
    free = 0
    for problem in problems(30, steps=(10, 14)):
        given = [solution for solution in written(problem, script, 4) if solution.verdict.outcome == "wrong"]
        for passing in (True, False):
            engine = Asked(script)
            labelling = label(LabelConfig("omegaprm", 8, 32, searches=0, reuse_passing=passing), engine, problem, given)
            assert engine.prefixes.count(()) == (1 if given else 0)
            spent[passing] += sum(one.cost.rollouts for one in labelling.solutions)
            free += sum(proved_by_root(labelling, solution) > 0 for solution in given if passing)
    assert free > 30
    assert spent[True] < 0.75 * spent[False]


def proved_by_root(labelling: Labeling, solution: Solution) -> int:
    """The deepest prefix that a right rollout of the root proves; no first error lies before its end."""
    root = labelling.nodes[0]
    deepest = max((passed((), r, solution.steps) for r in root.rollouts if r.verdict.outcome == "right"), default=0)
    if not labelling.skipped:
        labelled = next(one for one in labelling.solutions if one.solution == solution)
        assert labelled.first_error is not None
        assert labelled.first_error >= deepest
    return deepest
