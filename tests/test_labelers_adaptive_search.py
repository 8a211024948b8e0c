"""The adaptive labeler on the scripted engine: what its labels rest on, what its searches draw, its tree, and lost samples."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from chain_labelling import LINES, SAMPLING, Asked, grade, label, measuring, problems, written

from openr_data.engines.chain import true_first_error
from openr_data.errors import UsageError
from openr_data.labelers import LabelConfig, adaptive_labeler, build_labeler
from openr_data.labelers.adaptive import ValueModel
from openr_data.labelers.adaptive.adaptive import inference, read_model
from openr_data.labelers.adaptive.posterior import Posterior
from openr_data.labelers.adaptive.search import AdaptiveSearch
from openr_data.labelers.adaptive.states import states
from openr_data.labelers.path import Path
from openr_data.labelers.tree import Tree
from openr_data.types import Completion, LabeledSolution, Labeling, Problem, Solution, StepLabel, Steps, Verdict

SCRIPT = "success=0.5,recovery=0.01,phrasings=2"
CONFIG = LabelConfig(method="adaptive", searches=0, rollouts=4, cap=24)


@cache
def domain(script: str = SCRIPT, count: int = 12) -> tuple[tuple[Problem, tuple[Solution, ...]], ...]:
    return tuple((problem, tuple(written(problem, script, 4))) for problem in problems(count))


def searched(labeling: Labeling) -> list[LabeledSolution]:
    return [one for one in labeling.solutions if one.solution.verdict.outcome == "wrong" and not labeling.skipped]


@cache
def labelled(finish: str, script: str = SCRIPT) -> tuple[LabeledSolution, ...]:
    config = replace(CONFIG, finish=finish)  # type: ignore[arg-type]  # a name of a finish
    return tuple(one for problem, given in domain(script) for one in searched(label(config, Asked(script), problem, given)))


class Told:
    """Every rollout is wrong, or what `line` says."""

    def __init__(self, line: Callable[[Steps, int], str]) -> None:
        self.line = line

    async def sample(self, question: str, prefix: Steps, /, *, n: int, sampling: object, start: int = 0) -> Sequence[Completion]:
        return [Completion(self.line(prefix, i), 5, "stop", i, i) for i in range(start, start + n)]


def test_a_certified_label_rests_on_what_omegaprm_rests_on() -> None:
    """A hit right before the error or later than nothing before it; k failures at it, or it is the last step. In every label."""
    assert len(labelled("certified")) > 15
    for one in labelled("certified"):
        assert (one.reason, one.confidence) == ("certified", None)
        assert one.first_error is not None
        before, error = one.labels[: one.first_error], one.labels[one.first_error]
        assert not before or (before[-1] is not None and before[-1].hits > 0)
        last = one.first_error == len(one.labels) - 1
        assert error == StepLabel(0, 1) if last else error is not None and error.hits == 0 and error.rollouts >= CONFIG.rollouts
        assert all(each is None or each.hits == 0 for each in one.labels[one.first_error :])


@pytest.mark.parametrize("error", range(1, 9))
def test_a_certificate_draws_nothing_that_it_does_not_need(error: int) -> None:
    """Never at or before a hit, never at or after k failures. A right prefix hits every other time."""
    asked: list[tuple[int, bool]] = []

    def line(prefix: Steps, i: int) -> str:
        hit = len(prefix) < error and i % 2 == 1
        asked.append((len(prefix), hit))
        return f"own {i}\nThe answer is {problem.answer if hit else 'nothing'}"

    problem = problems(1)[0]
    path = Path(Tree(problem, measuring(Told(line))), tuple("abcdefgh"), passing=True)
    search = AdaptiveSearch(inference(ValueModel(), certified=True), "certified", rollouts=4)
    found = asyncio.run(search.search(path))
    assert found.labelled(Solution("s", problem.id, path.steps, Verdict("wrong", "exact")), path.pay()).first_error == error - 1
    good, failed = 0, [0] * 9
    for depth, hit in asked:
        bad = next((t for t in range(good + 1, 8) if failed[t] >= 4), 8)
        assert good < depth < bad
        failed[depth] += not hit
        good = max(good, depth) if hit else good


def test_certified_finds_the_errors_of_a_policy_that_never_recovers() -> None:
    """k = 8, no recovery: what is wrong is a prefix of value .3 or so that misses eight times, and never too late."""
    script = "success=0.5,recovery=0"
    found = [
        (one.first_error, true_first_error(problem.question, one.solution.steps))
        for problem, given in domain(script)
        for one in searched(label(replace(CONFIG, rollouts=8, finish="certified"), Asked(script), problem, given))
    ]
    assert all(said is not None and said <= truth for said, truth in found)
    assert sum(said == truth for said, truth in found) >= 0.9 * len(found)


def test_a_posterior_label_is_sure_enough_or_says_that_it_is_not() -> None:
    found = labelled("posterior")
    assert {one.reason for one in found} <= {"posterior", "uncertain"}
    for one in found:
        assert one.first_error is not None
        assert one.confidence is not None
        assert (one.confidence >= CONFIG.confidence) == (one.reason == "posterior")
        values = [estimate.value for estimate in one.estimates if estimate]
        good = [estimate.good for estimate in one.estimates if estimate and estimate.good is not None]
        assert len(values) == len(good) == len(one.solution.steps)
        assert good == sorted(good, reverse=True)
        assert all(0 <= each <= 1 for each in (*values, *good))
        assert one.estimates[-1] is not None
        assert (one.estimates[-1].value, one.estimates[-1].estimator, good[-1]) == (0.0, "verdict", 0.0)
        steps = [1.0, *good]
        assert steps[one.first_error] - steps[one.first_error + 1] == pytest.approx(one.confidence)


def test_no_search_draws_more_than_its_cap() -> None:
    assert all(one.cost.rollouts <= 1.5 * CONFIG.cap for one in labelled("posterior"))


@pytest.mark.parametrize("finish", ["certified", "posterior"])
def test_the_labels_do_not_depend_on_the_order_of_answers(finish: str) -> None:
    config = replace(CONFIG, finish=finish, searches=2)  # type: ignore[arg-type]  # a name of a finish
    for problem, given in domain()[:5]:
        assert label(config, Asked(SCRIPT), problem, given) == label(config, Asked(SCRIPT, order=7), problem, given)


def test_what_a_pilot_sees_does_not_depend_on_the_order_of_answers() -> None:
    """It has looked at every prefix of every wrong solution, in the order of the solutions."""
    for problem, given in domain()[:5]:
        seen = []
        for order in (None, 7):
            labeler = adaptive_labeler(CONFIG, measuring(Asked(SCRIPT, order=order)))
            seen.append(asyncio.run(labeler.observe(problem, given))[0])
        assert [each.hits.tolist() for each in seen[0]] == [each.hits.tolist() for each in seen[1]]
        assert [each.repeated.tolist() for each in seen[0]] == [each.repeated.tolist() for each in seen[1]]
        wrong = [len(one.steps) for one in given if one.verdict.outcome == "wrong"]
        assert [len(each.hits) for each in seen[0]] in (wrong, [])
        assert all((each.decided[1:] >= 2).all() for each in seen[0])


@pytest.mark.parametrize("limit", [8, 9, 20, 33])
@pytest.mark.parametrize("finish", ["certified", "posterior"])
def test_the_limit_of_rollouts_holds(finish: str, limit: int) -> None:
    config = replace(CONFIG, finish=finish, filter_rollouts=8, rollout_limit=limit, searches=3)  # type: ignore[arg-type]  # likewise
    for problem, given in domain()[:5]:
        engine = Asked(SCRIPT)
        labeling = label(config, engine, problem, given)
        assert sum(engine.samples.values()) <= limit
        for one in searched(labeling):
            assert one.reason in ({"certified", "rollout_limit"} if finish == "certified" else {"posterior", "uncertain"})
            assert one.confidence is None or (one.confidence >= config.confidence) == (one.reason == "posterior")
            assert one.first_error is not None or finish == "certified"


def test_a_lost_rollout_is_no_evidence_and_costs_no_label() -> None:
    """With a tenth of the samples lost nearly every solution is still labelled, as well as without the loss."""
    script = f"{SCRIPT},lost=0.1"
    for finish in ("certified", "posterior"):
        found = labelled(finish, script)
        assert sum(one.first_error is not None for one in found) >= 0.95 * len(found)
    problem, (first, *_) = domain()[0]
    wrong = replace(first, verdict=Verdict("wrong", "exact"))
    path = Path(Tree(problem, measuring(Asked("lost=1"))), wrong.steps, passing=True)
    asyncio.run(path.draw_each(range(1, len(wrong.steps)), 5))
    assert path.counts(1).total == 5
    assert [path.counts(t).decided for t in range(len(wrong.steps))] == [0] * len(wrong.steps)
    assert sum(path.tried) == 0


@pytest.mark.parametrize("finish", ["certified", "posterior"])
def test_where_everything_is_lost_nothing_is_said(finish: str) -> None:
    config = replace(CONFIG, finish=finish, filter_rollouts=0)  # type: ignore[arg-type]  # a name of a finish
    problem, given = domain()[0]
    given = tuple(replace(one, verdict=Verdict("wrong", "exact")) for one in given)
    for one in label(config, Asked(f"{SCRIPT},lost=1"), problem, given).solutions:
        assert (one.first_error, one.confidence) == (None, None)
        assert one.reason.startswith("unknown_rollouts:")
        assert all(each is None for each in one.labels[:-1])


@pytest.mark.parametrize("finish", ["certified", "posterior"])
def test_a_single_step_is_the_error_and_costs_nothing(finish: str) -> None:
    problem = problems(1, steps=(1, 1))[0]
    given = replace(written(problem, "error=1", 1)[0], verdict=Verdict("wrong", "exact"))
    config = replace(CONFIG, finish=finish, filter_rollouts=0)  # type: ignore[arg-type]  # a name of a finish
    (one,) = label(config, Asked("error=0.5"), problem, [given]).solutions
    assert (one.first_error, one.reason, one.cost.rollouts) == (0, finish, 0)
    assert one.confidence == (1.0 if finish == "posterior" else None)
    assert one.labels == (StepLabel(0, 1),)


@pytest.mark.parametrize("finish", ["certified", "posterior"])
def test_token_spans_are_searched_like_steps(finish: str) -> None:
    problem, given = domain()[0]
    engine = Asked(SCRIPT)
    config = replace(CONFIG, finish=finish, spans=6)  # type: ignore[arg-type]  # a name of a finish
    labeler = build_labeler(config, engine, grade, SAMPLING, LINES, pieces=engine.engine.pieces)
    for one in searched(asyncio.run(labeler(problem, given))):
        assert "".join(one.solution.steps) == LINES.join(next(g.steps for g in given if g.id == one.solution.id))
        assert one.first_error is not None


def test_a_pilot_in_spans_asks_what_its_labelling_asks_again() -> None:
    """The unit of the spans comes from all solutions, so a pilot has to see the right ones, too."""
    for problem, given in domain()[:4]:
        prefixes = []
        for observing in (True, False):
            engine = Asked(SCRIPT)
            config = replace(CONFIG, spans=6)
            labeler = build_labeler(config, engine, grade, SAMPLING, LINES, pieces=engine.engine.pieces)
            asyncio.run(labeler.observe(problem, given) if observing else labeler(problem, given))  # type: ignore[attr-defined]  # adaptive
            prefixes.append({text for text, _ in engine.samples})
        assert prefixes[1] <= prefixes[0]


# The tree.


@cache
def trees(finish: str) -> tuple[tuple[Problem, Labeling], ...]:
    config = replace(CONFIG, finish=finish, searches=6)  # type: ignore[arg-type]  # a name of a finish
    return tuple((problem, label(config, Asked(SCRIPT), problem, given)) for problem, given in domain()[:8])


@pytest.mark.parametrize("finish", ["certified", "posterior"])
def test_a_tree_searches_its_own_rollouts_each_once_and_never_before_their_state(finish: str) -> None:
    own = 0
    for _, labeling in trees(finish):
        nodes = {node.id: node for node in labeling.nodes}
        texts = [LINES.join(one.solution.steps) for one in labeling.solutions if one.solution.verdict.outcome == "wrong"]
        found = [one for one in labeling.solutions if one.origin == "rollout" and one.solution.verdict.outcome == "wrong"]
        assert len({LINES.join(one.solution.steps) for one in found}) == len(found)
        assert not {LINES.join(one.solution.steps) for one in found} & set(texts[: len(texts) - len(found)])
        for one in found:
            state = nodes[one.solution.id.rsplit("-", 1)[0]]
            assert one.solution.steps[: len(state.prefix)] == state.prefix
            assert one.first_error is None or one.first_error >= len(state.prefix)
            own += len(state.prefix) > 0
    assert own > 3


def test_a_state_is_surely_good_and_its_value_open() -> None:
    path = Path(Tree(problems(1)[0], measuring(Asked(SCRIPT))), tuple("abcdef"))
    good, value = np.array([1.0, 0.99, 0.95, 0.9, 0.89, 0.2]), np.array([0.5, 0.98, 0.6, 0.03, 0.5, 0.01])
    posterior = Posterior(np.zeros(6), good, value, np.zeros(6))
    assert states(path, posterior, 6) == {"a\nb\n": 0.6}
    assert states(path, posterior, 1) == {}
    value[:] = 0.5
    assert list(states(path, posterior, 6)) == ["a\n", "a\nb\n", "a\nb\nc\n"]


@pytest.mark.parametrize("finish", ["certified", "posterior"])
def test_a_search_below_a_state_blames_no_step_of_it(finish: str) -> None:
    """Although every rollout fails, from the very first prefix on."""
    problem = problems(1)[0]
    engine = Told(lambda prefix, i: f"own {len(prefix)} {i}\nThe answer is nothing")
    path = Path(Tree(problem, measuring(engine)), tuple("abcdefgh"), passing=True)
    search = AdaptiveSearch(inference(ValueModel(), certified=finish == "certified"), finish, rollouts=4)  # type: ignore[arg-type]  # a finish
    asyncio.run(path.draw(1, 6))
    found = asyncio.run(search.search(path, known_good=3))
    solution = Solution("s", problem.id, tuple("abcdefgh"), Verdict("wrong", "exact"))
    said = found.labelled(solution, path.pay())
    assert said.first_error == 3
    assert path.drawn[1:4] == [6, 0, 0]


# Models.


@pytest.mark.parametrize(
    "text",
    [
        "no model",
        "[]",
        "3",
        "null",
        "{}",
        '{"repeats": [[1]], "position": [1]}',
        '{"repeats": 5, "position": [1]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_model_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(UsageError, match="this is not a value model that a run has saved"):
        read_model(text)


@pytest.mark.parametrize(
    "change", [{"jump": 2.0}, {"rise": "x"}, {"lost": float("nan")}, {"strange": 1}, {"position": [1, 2]}, {"position": [0] * 8}]
)
def test_a_model_with_impossible_parameters_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="this is not a value model that a run has saved"):
        read_model(json.dumps({**ValueModel().to_json(), **change}))


def test_a_model_that_was_saved_is_read_as_it_was() -> None:
    model = replace(ValueModel(), jump=0.07)
    assert read_model(json.dumps(model.to_json())) == model
    assert read_model("") == ValueModel()
    config = replace(CONFIG, model=json.dumps(model.to_json()))
    labelers = [adaptive_labeler(config, measuring(Asked())) for _ in range(2)]
    assert labelers[0].search.inference is labelers[1].search.inference  # one for all problems
