"""OmegaPRM: the paper's worked example, its equations by hand, and the mistakes of others that it must not make."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from openr_data.labelers import MonteCarlo, OmegaPRM, Selection, TokenSpans, cost_of
from openr_data.labelers.binary_search import bounds, midpoint
from openr_data.labelers.readings import first_error, process_labels
from openr_data.labelers.selection import Pool
from openr_data.labelers.tree import Tree
from openr_data.steps import StepFormat
from openr_data.types import (
    NO_ERROR,
    Completion,
    Labeling,
    Node,
    Problem,
    Rollout,
    Sampling,
    Solution,
    StepLabel,
    Steps,
    Verdict,
)

PROBLEM = Problem("p1", "?", "yes")
SAMPLING = Sampling(temperature=1.0, max_tokens=64, seed=0)
LINES = StepFormat("\n")
Line = Callable[[Steps, int], str]
X = (*(f"x{i}" for i in range(1, 8)), "no")


async def grade(response: str, answer: str, /) -> Verdict:
    await asyncio.sleep(0)
    outcomes = {"yes": "right", "no": "wrong"}
    return Verdict(outcomes.get(response.rpartition("\n")[2], "unknown"), "exact")  # type: ignore[arg-type]  # literals


@dataclass
class Scripted:
    """Says what `line` says of a prefix and a sample index; `!` is a failed sample and a final `...` a truncated one."""

    line: Line
    calls: list[tuple[Steps, int]] = field(default_factory=list)

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        self.calls.append((prefix, n))
        await asyncio.sleep(0)
        return [self.completion(prefix, index) for index in range(start, start + n)]

    def completion(self, prefix: Steps, index: int) -> Completion:
        text = self.line(prefix, index)
        reason = "error" if text == "!" else "length" if text.endswith("...") else "stop"
        return Completion(text, len(text.split()), reason, index, 1000 + index)  # type: ignore[arg-type]  # literals


def omegaprm(line: Line, **options: object) -> tuple[OmegaPRM, Scripted]:
    engine = Scripted(line)
    measure = MonteCarlo(engine, grade, SAMPLING, LINES, sampler="test")
    return replace(OmegaPRM(measure, rollouts=4, filter_rollouts=4, searches=0), **options), engine  # type: ignore[arg-type]  # test shorthand


def solution(*steps: str, id: str = "s") -> Solution:  # noqa: A002
    outcome = {"yes": "right", "no": "wrong"}.get(steps[-1], "unknown")
    return Solution(id, PROBLEM.id, steps, Verdict(outcome, "exact"))  # type: ignore[arg-type]  # literals


def label(labeler: OmegaPRM, *solutions: Solution) -> Labeling:
    return asyncio.run(labeler(PROBLEM, solutions))


def hits(table: dict[Steps, int], fresh: str = "own {i} of {t}\nno") -> Line:
    """So many right rollouts at a prefix; the others are wrong and all different."""

    def line(prefix: Steps, index: int) -> str:
        return "yes" if index < table.get(prefix, 0) else fresh.format(i=index, t=len(prefix))

    return line


def edges(labelling: Labeling) -> dict[Steps, Steps]:
    prefixes = {node.id: node.prefix for node in labelling.nodes}
    return {node.prefix: prefixes[node.parent] for node in labelling.nodes if node.parent}


def test_the_worked_example_of_the_paper() -> None:
    """q -> x[1:4] with MC .25 -> x[1:6] with MC .5 -> x[1:7] with MC 0: two right edges and a wrong one."""
    labeler, engine = omegaprm(hits({(): 2, X[:4]: 1, X[:6]: 2, X[:7]: 0}))
    labelling = label(labeler, solution(*X))
    assert [(node.prefix, node.label and node.label.value) for node in labelling.nodes] == [
        ((), 0.5), (X[:4], 0.25), (X[:6], 0.5), (X[:7], 0.0),
    ]  # fmt: skip
    assert edges(labelling) == {X[:4]: (), X[:6]: X[:4], X[:7]: X[:6]}
    given = labelling.solutions[0]
    assert (given.first_error, given.reason, given.cost.rollouts) == (6, "binary_search", 12)
    none, quarter, half, zero = None, StepLabel(1, 4), StepLabel(2, 4), StepLabel(0, 4)
    assert given.labels == (none, none, none, quarter, none, half, zero, StepLabel(0, 1))
    assert process_labels(given) == (True,) * 6 + (False, None)
    assert [prefix for prefix, _ in engine.calls] == [(), X[:4], X[:6], X[:7]]
    assert all(len(node.rollouts) == 4 for node in labelling.nodes)


def test_positions_after_the_first_error_are_kept_in_the_same_prefix_tree() -> None:
    labeler, _ = omegaprm(hits({(): 2, X[:2]: 4, X[:3]: 0, X[:4]: 0}))
    labelling = label(labeler, solution(*X))
    assert labelling.solutions[0].first_error == 2
    assert edges(labelling) == {X[:2]: (), X[:3]: X[:2], X[:4]: X[:3]}


def test_the_value_of_a_rollout() -> None:
    """Q = alpha^(1-MC) * beta^(len/L), Eq. 2."""
    paper = Selection()
    assert paper.value(1.0, 0) == 1.0
    assert paper.value(0.0, 0) == 0.5
    assert paper.value(0.25, 0) == pytest.approx(0.5**0.75)
    assert paper.value(0.25, 250) == pytest.approx(0.594604 * 0.948683, rel=1e-5)
    assert Selection(alpha=0.3, beta=0.7, length=100).value(0.5, 200) == pytest.approx(0.547723 * 0.49, rel=1e-5)


def test_the_exploration_bonus_of_a_state() -> None:
    """U = c_puct * sqrt(sum N) / (1 + N), Eq. 3."""
    assert Selection().bonus(0, 0) == 0.0
    assert Selection().bonus(0, 9) == 0.375
    assert Selection().bonus(2, 9) == 0.125
    assert Selection(c_puct=1.0).bonus(3, 4) == 0.5


def node(prefix: Steps, right: int, *wrong: tuple[str, int]) -> Node:
    texts = [("yes", 1, "right")] * right + [(text, tokens, "wrong") for text, tokens in wrong]
    rollouts = tuple(
        Rollout(Completion(text, tokens, "stop", index, 0), Verdict(outcome, "exact"))  # type: ignore[arg-type]  # literals
        for index, (text, tokens, outcome) in enumerate(texts)
    )
    return Node("/".join(prefix), PROBLEM.id, "", prefix, rollouts)


def pool_of(*nodes: Node, selection: Selection | None = None) -> tuple[Pool, Tree]:
    tree = Tree(PROBLEM, MonteCarlo(Scripted(hits({})), grade, SAMPLING, LINES))
    tree.nodes.update((tree.text(one.prefix), one) for one in nodes)
    pool = Pool(selection or Selection())
    pool.offer(tree)
    return pool, tree


def pop(pool: Pool, tree: Tree) -> str:
    candidate = pool.pop(tree)
    return candidate.rollout.completion.text if candidate else ""


def test_selection_takes_the_highest_value_and_each_rollout_once() -> None:
    # Without visits U is 0: high MC first, then the shorter rollout.
    pool, tree = pool_of(node(("a",), 1, ("long", 400), ("short", 10), ("mid", 50)), node(("b",), 3, ("sure", 500)))
    assert Selection().value(0.75, 500) > Selection().value(0.25, 10)
    only_value = Selection(c_puct=0.0)
    pool.selection = only_value
    assert [pop(pool, tree) for _ in range(5)] == ["sure", "short", "mid", "long", ""]
    assert tree.visits == {"a\n": 3, "b\n": 1}


def test_priorities_are_computed_when_a_rollout_is_selected_never_before() -> None:
    """Two states of equal value: the bonus must move to the other one after each visit, although nothing was offered anew."""
    pool, tree = pool_of(
        node(("a",), 1, ("a0", 10), ("a1", 10), ("a2", 10)),
        node(("b",), 1, ("b0", 10), ("b1", 10), ("b2", 10)),
        selection=Selection(c_puct=1.0),
    )
    assert [pop(pool, tree) for _ in range(6)] == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_the_bonus_sums_the_visits_of_the_states_of_the_pool_only() -> None:
    """By hand: with N(a)=0, N(b)=1 the sum is 1; visits of a state outside the pool (MC 1) must not tip the balance."""
    tokens_b = 10
    pool, tree = pool_of(
        node(("a",), 1, ("a0", 40)), node(("b",), 1, ("b0", tokens_b)), node(("z",), 2), selection=Selection(beta=0.5, length=100)
    )
    tree.visits.update({"b\n": 1, "z\n": 10_000})
    q_a, q_b = 0.5**0.5 * 0.5**0.4, 0.5**0.5 * 0.5**0.1
    assert q_b + 0.125 * 1 / 2 > q_a + 0.125 * 1
    assert q_b + 0.125 * 100 / 2 < q_a + 0.125 * 100
    assert pop(pool, tree) == "b0"


def test_only_wrong_rollouts_of_states_with_mixed_results_wait_and_a_text_waits_once() -> None:
    undecided = Rollout(Completion("hm", 1, "stop", 9, 0), Verdict("unknown", "timeout"))
    mixed = node(("a",), 1, ("b\nno", 10), ("b\nno", 10), ("", 10))
    pool, tree = pool_of(
        replace(mixed, rollouts=(*mixed.rollouts, undecided)),
        node(("a", "b"), 1, ("no", 2)),
        node(("zero",), 0, ("z", 1)),
        node(("one",), 2),
    )
    assert [pop(pool, tree) for _ in range(2)] == ["b\nno", ""]


def test_binary_search_bounds() -> None:
    good, bad = StepLabel(1, 8), StepLabel(0, 8)
    assert bounds([None] * 4) == (0, 4)
    assert bounds([bad, None, None]) == (0, 3)
    assert bounds([good, None, bad, None]) == (0, 2)
    # A later success outvotes an earlier zero: the prefix was recoverable after all.
    assert bounds([good, bad, good, None, bad, bad]) == (2, 4)
    assert midpoint([None]) is None
    assert midpoint([good, None]) == 1


def test_the_finished_solution_is_never_probed() -> None:
    for length in range(1, 12):
        steps = (*(*X[:7], "x8", "x9", "x10")[: length - 1], "no")
        labeler, engine = omegaprm(hits({steps[:t]: 4 if t else 2 for t in range(length)}))
        [given, *_] = label(labeler, solution(*steps)).solutions
        assert given.first_error == length - 1
        assert steps not in [prefix for prefix, _ in engine.calls]
        assert given.cost.rollouts <= 4 * max(0, (length - 1).bit_length())


def test_the_filter_rollouts_are_the_roots_evidence() -> None:
    labeler, engine = omegaprm(hits({(): 3}), filter_rollouts=32, searches=3)
    labelling = label(labeler)
    assert [n for prefix, n in engine.calls if prefix == ()] == [32]
    root = labelling.nodes[0]
    assert (root.prefix, root.parent, root.label) == ((), "", StepLabel(3, 32))
    assert [s.origin for s in labelling.solutions] == ["rollout"] * 4


@pytest.mark.parametrize(("right", "skipped"), [(0, "too_hard"), (4, "too_easy")])
def test_the_filter_drops_a_question_but_every_given_solution_gets_its_label(right: int, skipped: str) -> None:
    labeler, engine = omegaprm(hits({(): right}), searches=5)
    given = [solution("a", "no"), solution("b", "yes"), solution("c", "hm")]
    labelling = label(labeler, *given)
    assert labelling.skipped == skipped
    assert [s.first_error for s in labelling.solutions] == [None, NO_ERROR, None]
    assert [s.reason for s in labelling.solutions] == [skipped, "right_answer", "unknown_answer:exact"]
    assert [n.prefix for n in labelling.nodes] == [()]
    assert len(engine.calls) == 1


def test_a_question_whose_filter_rollouts_are_all_undecided_is_dropped_with_their_reason() -> None:
    labeler, _ = omegaprm(lambda *_: "cut ...")
    labelling = label(labeler, solution("a", "no"))
    assert labelling.skipped == labelling.solutions[0].reason == "unknown_rollouts:truncated"


def test_without_a_filter_the_root_takes_k_rollouts_and_a_hopeless_question_is_searched() -> None:
    labeler, engine = omegaprm(hits({}), filter_rollouts=0, searches=2)
    labelling = label(labeler, solution("a", "b", "no"))
    assert engine.calls[0] == ((), 4)
    assert (labelling.skipped, labelling.solutions[0].first_error) == ("", 0)
    assert len(labelling.solutions) == 1


def test_no_rollout_is_paid_that_nothing_would_read() -> None:
    labeler, engine = omegaprm(hits({}))
    assert label(labeler, solution("a", "yes")).solutions[0].first_error == NO_ERROR
    assert engine.calls == []
    label(replace(labeler, filter_rollouts=0), solution("a", "no"))
    assert [prefix for prefix, _ in engine.calls] == [("a",)]


def test_every_given_solution_is_searched_before_and_whatever_the_exploration() -> None:
    wrong = [solution(*(f"{name}{i}" for i in range(5)), "no", id=name) for name in "abcd"]
    labeler, engine = omegaprm(hits({(): 2}), searches=1)
    labelling = label(labeler, wrong[0], solution("y", "yes", id="y"), *wrong[1:])
    assert [s.solution.id for s in labelling.solutions[:5]] == ["a", "y", "b", "c", "d"]
    assert [s.first_error for s in labelling.solutions[:5]] == [0, NO_ERROR, 0, 0, 0]
    assert sum(s.origin == "rollout" and s.first_error != NO_ERROR for s in labelling.solutions) == 1
    # The four searches go in step: each wave asks the same depth of all of them.
    assert [len(prefix) for prefix, _ in engine.calls[1:9]] == [3] * 4 + [1] * 4


def test_visits_count_selections() -> None:
    labeler, _ = omegaprm(hits({(): 1}), searches=2)
    labelling = label(labeler, solution("a", "b", "no"), solution("a", "b", "no"), solution("c", "yes"))
    searched = [s for s in labelling.solutions if s.solution.verdict.outcome == "wrong"]
    assert len(searched) == 4
    assert labelling.nodes[0].visits == 4
    assert [n.visits for n in labelling.nodes[1:]] == [0] * (len(labelling.nodes) - 1)


def test_no_rollout_is_searched_twice_and_the_pool_runs_dry() -> None:
    labeler, engine = omegaprm(hits({(): 1, ("own 1 of 0",): 2}), searches=100)
    labelling = label(labeler)
    texts = ["\n".join(s.solution.steps) for s in labelling.solutions]
    assert len(texts) == len(set(texts))
    # Three wrong rollouts at the root, two at the one mixed state below it, and the right ones of the root (one text).
    assert len(texts) == 3 + 2 + 1
    prefixes = ["\n".join(prefix) for prefix, _ in engine.calls]
    assert len(prefixes) == len(set(prefixes))


def test_new_wrong_rollouts_of_mixed_states_join_the_pool_and_stand_below_their_state() -> None:
    labeler, _ = omegaprm(hits({(): 1, ("own 1 of 0",): 2}), searches=100)
    labelling = label(labeler)
    deep = [s for s in labelling.solutions if s.solution.steps[0] == "own 1 of 0" and len(s.solution.steps) > 2]
    assert [s.solution.steps for s in deep] == [("own 1 of 0", "own 2 of 1", "no"), ("own 1 of 0", "own 3 of 1", "no")]
    assert [s.first_error for s in deep] == [1, 1]
    state = next(n for n in labelling.nodes if n.prefix == ("own 1 of 0",))
    assert state.visits == 2
    assert {s.solution.id for s in deep} == {f"{state.id}-2", f"{state.id}-3"}
    assert [(s.solution.index, s.solution.seed, s.solution.sampler, s.solution.tokens) for s in deep] == [
        (2, 1002, "test", 0), (3, 1003, "test", 0),
    ]  # fmt: skip


def test_equal_texts_are_folded_but_their_rollouts_all_count() -> None:
    def line(prefix: Steps, index: int) -> str:
        return "yes" if index % 2 else "same\nno"

    labeler, _ = omegaprm(line, filter_rollouts=8, searches=100)
    labelling = label(labeler)
    assert labelling.nodes[0].label == StepLabel(4, 8)
    assert [(s.solution.steps, s.first_error) for s in labelling.solutions[:1]] == [(("same", "no"), 1)]
    own = [s.solution.steps for s in labelling.solutions]
    assert len(own) == len(set(own))
    assert own.count(("yes",)) == 1


def test_a_rollout_with_the_text_of_a_given_solution_is_not_searched_again() -> None:
    labeler, _ = omegaprm(lambda prefix, index: "a\nno" if index and not prefix else "yes", searches=100)
    labelling = label(labeler, solution("a", "no"), solution("yes"))
    assert [(s.solution.steps, s.origin) for s in labelling.solutions[:2]] == [(("a", "no"), "given"), (("yes",), "given")]
    assert len(labelling.solutions) == 2


@pytest.mark.parametrize("limit", [0, 1000])
def test_given_solutions_share_their_rollouts_and_the_first_one_pays(limit: int) -> None:
    table = {(): 2, X[:4]: 1, X[:6]: 2, X[:7]: 0}
    fork = (*X[:6], "y7", "no")
    labeler, engine = omegaprm(hits(table | {fork[:7]: 3}), rollout_limit=limit)
    labelling = label(labeler, solution(*X), solution(*fork))
    called = [prefix for prefix, _ in engine.calls]
    assert len(called) == len(set(called))
    first, second = labelling.solutions[:2]
    assert (first.first_error, second.first_error) == (6, 7)
    assert second.labels[:6] == first.labels[:6] == (None, None, None, StepLabel(1, 4), None, StepLabel(2, 4))
    assert (first.cost.rollouts, second.cost.rollouts) == (12, 4)
    assert first.cost + second.cost + cost_of(labelling.nodes[:1]) == cost_of(labelling.nodes)


def test_what_is_known_of_a_prefix_bounds_the_search_of_a_rollout() -> None:
    table = {(): 3, X[:4]: 1, X[:6]: 2, X[:7]: 0}
    fork = (*X[:6], "y7", "y8", "y9", "no")
    known = hits(table | {fork[:7]: 3, fork[:8]: 0})

    def line(prefix: Steps, index: int) -> str:
        return "\n".join(fork) if not prefix and index == 3 else known(prefix, index)

    labeler, engine = omegaprm(line, searches=1)
    given, own = label(labeler, solution(*X)).solutions[:2]
    called = [prefix for prefix, _ in engine.calls]
    assert len(called) == len(set(called))
    assert called == [(), X[:4], X[:6], X[:7], fork[:8], fork[:7]]
    assert (own.solution.steps, own.first_error) == (fork, 7)
    assert own.labels[:6] == given.labels[:6] == (None, None, None, StepLabel(1, 4), None, StepLabel(2, 4))
    assert own.cost.rollouts == 8


def test_a_midpoint_without_a_decided_rollout_leaves_the_solution_undecided() -> None:
    def line(prefix: Steps, index: int) -> str:
        return {0: "yes" if index else "no", 4: "!"}[len(prefix)]

    labeler, engine = omegaprm(line)
    [given, *_] = label(labeler, solution(*X)).solutions
    assert (given.first_error, given.reason) == (None, "unknown_rollouts:engine_error")
    assert given.labels == (None,) * 7 + (StepLabel(0, 1),)
    assert process_labels(given) == (None,) * 8
    assert len(engine.calls) == 2


@pytest.mark.parametrize("limit", [*range(4, 61, 3), 4, 8])
@pytest.mark.parametrize("exact", [True, False])
def test_the_rollout_limit_is_never_exceeded(limit: int, exact: bool) -> None:
    labeler, _ = omegaprm(hits({(): 2, ("own 2 of 0",): 2}), searches=100, rollout_limit=limit, exact=exact)
    labelling = label(labeler, solution(*X), solution(*("w" + x for x in X[:-1]), "no"))
    spent = cost_of(labelling.nodes).rollouts
    assert spent <= limit
    undecided = [s for s in labelling.solutions if s.first_error is None]
    assert {s.reason for s in undecided} <= {"rollout_limit"}
    assert undecided or spent >= min(limit, 4 + 2 * 12)
    # Once the limit is spent, nothing more is taken from the pool.
    assert sum(s.origin == "rollout" for s in undecided) <= 1
    assert [s.origin for s in labelling.solutions[:2]] == ["given", "given"]


def test_without_a_limit_both_given_solutions_are_decided() -> None:
    labeler, _ = omegaprm(hits({(): 2}))
    assert [s.first_error for s in label(labeler, solution(*X), solution("a", "b", "no")).solutions[:2]] == [0, 0]


def test_the_search_limit_bounds_the_exploration() -> None:
    for searches in (0, 1, 2):
        labeler, _ = omegaprm(hits({(): 1}), searches=searches)
        wrong = [s for s in label(labeler, solution("a", "no")).solutions if s.first_error != NO_ERROR]
        assert [s.origin for s in wrong] == ["given"] + ["rollout"] * searches


def test_truncated_rollouts_are_no_candidates_and_no_negatives() -> None:
    def line(prefix: Steps, index: int) -> str:
        return ["yes", "a\nb\nno", "cut\nshort ...", "cut ..."][index]

    labeler, _ = omegaprm(line, searches=100)
    labelling = label(labeler)
    assert {n.label for n in labelling.nodes} == {StepLabel(1, 2)}
    assert not any("cut" in step for s in labelling.solutions for step in s.solution.steps)


def test_the_counts_alone_give_the_same_first_error() -> None:
    labeler, _ = omegaprm(hits({(): 1, ("own 1 of 0",): 2, X[:4]: 1}), searches=10)
    for labelled in label(labeler, solution(*X)).solutions:
        assert first_error(labelled.labels) == labelled.first_error


def test_the_search_runs_on_token_spans_as_well() -> None:
    """On single characters of a text without separators: the error is found to the span, wherever lines end."""
    text = "abcdefgh\nijklmno\nno"
    bad_from = text.index("k")

    def line(prefix: Steps, index: int) -> str:
        good = len("".join(prefix)) <= bad_from
        return "\nyes" if good and index else text[len("".join(prefix)) :]

    labeler, engine = omegaprm(line)
    spans = TokenSpans(list, LINES, target=9)
    labelling = label(replace(labeler, measure=replace(labeler.measure, steps=spans)), solution(*text.split("\n")))
    given = labelling.solutions[0]
    assert "".join(given.solution.steps) == text
    assert given.first_error is not None
    start = len("".join(given.solution.steps[: given.first_error]))
    assert start <= bad_from < start + len(given.solution.steps[given.first_error])
    assert all("".join(text[: len("".join(prefix))]) == "".join(prefix) for prefix, _ in engine.calls)
    for child, parent in edges(labelling).items():
        assert "".join(child).startswith("".join(parent))
