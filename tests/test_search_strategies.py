"""Every strategy against a tiny case that is worked out by hand."""

from __future__ import annotations

import asyncio

import pytest
from search_cases import LINES, SAMPLING, Judge, Policy, Scores, final, odds, run, step, texts

from openr_data.errors import EngineError, UsageError
from openr_data.search.base import Found
from openr_data.search.config import CUE, SearchConfig
from openr_data.search.explorer import Resources
from openr_data.search.run import search
from openr_data.search.summary import Summariser
from openr_data.types import Completion

TREE = {
    "": [step("a"), step("b"), step("c"), step("a")],
    "a\n": [final("A1"), step("a2")],
    "b\n": [step("b1"), step("b2")],
    "c\n": [final("C1"), final("C2")],
    "a\na2\n": [final("A3"), final("A4")],
    "b\nb1\n": [final("B1"), final("B2")],
    "b\nb2\n": [final("B3"), final("B4")],
}
VALUES = {
    "a": 0.9, "b": 0.8, "c": 0.1, "A1": 0.6, "a2": 0.7, "b1": 0.5, "b2": 0.4, "C1": 0.2, "C2": 0.2,
    "A3": 0.9, "A4": 0.3, "B1": 0.8, "B2": 0.7, "B3": 0.6, "B4": 0.6,
}  # fmt: skip


def test_beam_keeps_the_best_and_lets_ended_ones_go() -> None:
    """n = 4, width 2: two places. Round 1: a, b, c (a twice, merged). Best: a .9, b .8. Round 2: A1 (ended), a2 .7, b1 .5, b2 .4.
    Best two: a2, A1 (.6, ended): one place is left, for a2. Round 3: A3 (.9), A4 (.3) end.
    """
    policy = Policy(TREE)
    found = run(policy, Judge(VALUES), "beam", n=4, width=2)
    assert texts(found) == ["a/A1", "a/a2/A3", "a/a2/A4"]
    assert [(prefix, n) for prefix, n, *_ in policy.asked] == [("", 4), ("a\n", 2), ("b\n", 2), ("a\na2\n", 2)]


def test_beam_with_copies_draws_as_many_in_every_round() -> None:
    """The place of A1 goes to the next best open one, b1 (.5): a2 and b1 go on."""
    policy = Policy(TREE)
    found = run(policy, Judge(VALUES), "beam", n=4, width=2, refill="copy")
    assert texts(found) == ["a/A1", "a/a2/A3", "a/a2/A4", "b/b1/B1", "b/b1/B2"]
    assert [n for _, n, *_ in policy.asked] == [4, 2, 2, 2, 2]


def test_beam_with_one_path_left_gives_it_the_places() -> None:
    """One distinct first step for two places: it is continued four times (copy), or twice (none)."""
    table = {"": [step("a")], "a\n": [final("A1"), final("A2"), final("A3"), final("A4")]}
    judge = {"a": 0.5, "A1": 0.5, "A2": 0.5, "A3": 0.5, "A4": 0.5}
    assert len(run(Policy(table), Judge(judge), "beam", n=4, width=2, refill="copy").candidates) == 4
    assert len(run(Policy(table), Judge(judge), "beam", n=4, width=2).candidates) == 4


def test_copies_of_a_step_are_merged_before_they_are_scored_and_never_vote() -> None:
    judge = Judge(VALUES)
    found = run(Policy(TREE), judge, "beam", n=4, width=2)
    assert judge.asked[:3] == [("a",), ("b",), ("c",)]
    first = next(node for node in found.tree if node.steps == ("a",))
    assert (first.copies, first.tokens, first.spent) == (2, 2, 4)
    assert len(set(texts(found))) == len(texts(found))


def test_a_prefix_is_ranked_by_the_chosen_aggregation() -> None:
    """Last: y (.9) beats v (.6). Min: x/y has .2, u/v .6."""
    table = {"": [step("x"), step("u")], "x\n": [step("y")], "u\n": [step("v")], "x\ny\n": [final("Y")], "u\nv\n": [final("V")]}
    values = {"x": 0.2, "u": 0.6, "y": 0.9, "v": 0.7, "Y": 0.9, "V": 0.9}
    # Width 1, two places: both first steps go on, and then both second ones.
    assert len(run(Policy(table), Judge(values), "beam", n=2, width=1).candidates) == 2
    last = run(
        Policy({"": [step("x"), step("u")], "x\n": [final("y")], "u\n": [final("v")]}), Judge(values), "dvts", n=2, width=2
    )
    assert texts(last) == ["u/v"]
    by_min = run(Policy(table), Judge(values), "beam", n=2, width=2, rank="min")
    assert texts(by_min) == ["u/v/V"]


def test_dvts_follows_the_best_step_of_every_tree() -> None:
    """Two trees of width 2: samples 0, 1 (a, b) and 2, 3 (c, a). Both follow a; of its continuations a tree t draws 2t, 2t + 1,
    which are the same two here: a2 (.7) beats A1 (.6, ended: a result), then A3 beats A4 (ended, a sibling).
    """
    policy = Policy(TREE)
    found = run(policy, Judge(VALUES), "dvts", n=4, width=2)
    assert texts(found) == ["a/a2/A3", "a/A1", "a/a2/A4"] * 2
    assert [(prefix, start) for prefix, _, start, _ in policy.asked].count(("", 2)) == 1


def test_smaller_budgets_of_dvts_are_the_first_trees_of_larger_ones() -> None:
    small = run(Policy(TREE), Judge(VALUES), "dvts", n=2, width=2)
    large = run(Policy(TREE), Judge(VALUES), "dvts", n=4, width=2)
    assert texts(large)[: len(texts(small))] == texts(small)
    assert large.tree[1 : len(small.tree)] == small.tree[1:]


def test_an_unfinished_sibling_is_no_result() -> None:
    table = {"": [step("a"), step("b")], "a\n": [final("A")]}
    found = run(Policy(table), Judge({"a": 0.9, "b": 0.8, "A": 0.5}), "dvts", n=2, width=2)
    assert texts(found) == ["a/A"]


def test_best_of_n_keeps_copies_and_smaller_budgets_are_the_first_of_larger() -> None:
    table = {"": [final("x\nA"), final("y\nB"), final("x\nA")]}
    values = Judge({"x": 0.5, "y": 0.5, "A": 0.5, "B": 0.5})
    assert texts(run(Policy(table), values, "best_of_n", n=3)) == ["x/A", "y/B", "x/A"]
    assert texts(run(Policy(table), values, "best_of_n", n=2)) == ["x/A", "y/B"]
    assert texts(run(Policy(table), None, "best_of_n", n=2)) == ["x/A", "y/B"]


def test_greedy_is_one_sample_of_temperature_zero() -> None:
    policy = Policy({"": [final("A")]})
    assert texts(run(policy, None, "greedy")) == ["A"]
    assert policy.samplings[0].temperature == 0.0


def test_an_attempt_is_shown_the_last_ones_of_its_chain() -> None:
    """Two chains of three attempts; `shown` 1."""
    policy = Policy({"": [final(f"t{index}") for index in range(6)]})
    found = run(policy, None, "revision", n=6, chains=2, shown=1)
    assert [(path.chain, path.steps[0]) for path in found.candidates] == [
        (0, "t0"), (0, "t2"), (0, "t4"), (1, "t1"), (1, "t3"), (1, "t5"),
    ]  # fmt: skip
    questions = [question for *_, question in policy.asked]
    assert questions[:2] == ["Q", "Q"]
    assert "Attempt 1:\nt0" in questions[2]
    assert "t0" not in questions[4]
    assert "Attempt 2:\nt2" in questions[4]


def test_a_solution_that_is_cut_is_made_to_answer() -> None:
    """100 tokens are too few: the text gets the cue, and the answer is greedy. Its tokens are forced ones."""
    thought = "x" * 200
    policy = Policy({"": [final(thought, 200)], "x" * 100 + CUE: [final("7", 1)]})
    found = run(policy, None, "forcing", n=1)
    (path,) = found.candidates
    assert (path.end, path.forced) == ("finished", CUE)
    assert LINES.join(path.steps) == "x" * 100 + CUE + "7"
    assert policy.samplings[1].temperature == 0.0
    assert (found.bill.generated, found.bill.forced, found.bill.discarded) == (101, 1, 0)
    assert policy.asked[1][0] == "x" * 100 + CUE  # no separator before the continuation


def test_thinking_that_ends_too_early_goes_on() -> None:
    """Ended after 2 tokens of 5: `Wait`, 2 more, and again `Wait`, as `waits` allows; then it stands."""
    table = {"": [final("a")], "a\nWait": [final(", b")], "a\nWait, b\nWait": [final(", c")]}
    found = run(Policy(table), None, "forcing", n=1, min_tokens=5, waits=2)
    assert texts(found) == ["a/Wait, b/Wait, c"]
    assert found.bill.generated == 6
    assert texts(run(Policy(table), None, "forcing", n=1, min_tokens=5, waits=1)) == ["a/Wait, b"]
    assert texts(run(Policy(table), None, "forcing", n=1, min_tokens=2, waits=2)) == ["a"]


def test_thinking_ends_at_its_mark() -> None:
    policy = Policy({"": [step("thought")], "thought</think>\n Therefore the answer is ": [final("7", 1)]})
    found = run(policy, None, "forcing", n=1, think_end="</think>")
    assert texts(found) == ["thought</think>/ Therefore the answer is 7"]
    assert "</think>" in policy.samplings[0].stop


def test_any_strategy_can_force_an_answer() -> None:
    table = {"": [step("a", 60)], "a\n": [final("b" * 60, 60)], "a\n" + "b" * 40 + CUE: [final("7", 1)]}
    found = run(Policy(table), Judge({"a": 0.5}), "dvts", n=1, width=1, force=True)
    assert LINES.join(found.candidates[0].steps).endswith("answer is 7")
    assert found.bill.forced == 1


def test_a_summary_is_kept_and_its_tokens_are_apart() -> None:
    async def go() -> tuple[Found, Policy]:
        asked = Policy({"": [final("In short, 4", 3), Completion("", 0, "error", 1, 0)]})
        use = Resources(Policy({"": [final("x\nA"), final("y\nB")]}), LINES, SAMPLING)
        found = await search("Q", use, SearchConfig("best_of_n", n=2), Summariser(asked, SAMPLING))
        return found, asked

    found, asked = asyncio.run(go())
    assert [path.summary for path in found.candidates] == ["In short, 4"] * 2
    assert (found.bill.summary, found.bill.generated) == (6, 4)
    assert "x\nA" in asked.asked[0][3]


def test_a_summary_that_is_lost_leaves_the_solution_to_speak() -> None:
    async def go() -> Found:
        lost = Policy({"": [Completion("", 0, "error", 0, 0)]})
        use = Resources(Policy({"": [final("x\nA")]}), LINES, SAMPLING)
        return await search("Q", use, SearchConfig("best_of_n", n=1), Summariser(lost, SAMPLING))

    assert asyncio.run(go()).candidates[0].summary is None


def test_guided_strategies_need_a_scorer() -> None:
    for strategy in ("beam", "dvts", "mcts"):
        with pytest.raises(UsageError, match=f"--strategy {strategy} is guided by a process reward model"):
            run(Policy(TREE), None, strategy, n=4, width=2)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"strategy": "beam", "n": 6, "width": 4}, "--width 4 divides, not 6"),
        ({"strategy": "bean"}, "--strategy is one of greedy"),
        ({"n": 0}, "--n must be at least 1"),
        ({"rank": "max"}, "--rank-by is one of last, mean, min, product"),
        ({"strategy": "revision", "n": 5, "chains": 2}, "--chains 2 does not divide the 5 attempts"),
        ({"noise": 2.0}, "--noise is a share"),
        ({"cap": 5, "force": True}, "--max-question-tokens 5 is too small for one answer: give at least 33"),
    ],
)
def test_a_wrong_setting_is_one_sentence(settings: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        SearchConfig(**settings).checked()  # type: ignore[arg-type]


# --- what goes wrong on the way


def test_what_has_no_score_stands_below_what_has_one_and_is_not_lost() -> None:
    """b cannot be scored: a goes on, whatever its score. Where nothing can be scored the first one goes on."""
    table = {"": [step("b"), step("a")], "a\n": [final("A")], "b\n": [final("B")]}
    assert texts(run(Policy(table), Judge({"a": 0.01, "A": 0.5}), "dvts", n=2, width=2)) == ["a/A"]
    found = run(Policy(table), Judge({}), "dvts", n=2, width=2)
    assert texts(found) == ["b/B"]
    assert (found.candidates[0].margins, found.candidates[0].unscored) == ((), "not written down")


def test_lost_samples_are_counted_and_the_others_go_on() -> None:
    table = {"": [Completion("", 0, "error", 0, 0), step("a")], "a\n": [final("A")]}
    found = run(Policy(table), Judge({"a": 0.5, "A": 0.5}), "beam", n=2, width=2)
    assert (texts(found), found.lost) == (["a/A"], 1)


def test_an_engine_that_ignores_stop_strings_brings_several_steps() -> None:
    table = {"": [step("a\nb", 4)], "a\nb\n": [final("C")]}
    found = run(Policy(table), Judge({"a": 0.5, "b": 0.5, "C": 0.5}), "dvts", n=1, width=1)
    assert texts(found) == ["a/b/C"]
    assert found.bill.generated == 6


def test_where_the_engine_does_not_say_it_the_step_says_whether_it_is_the_last() -> None:
    policy = Policy({"": [step("a", ended=None)], "a\n": [step("so 4", ended=None)]})
    use = Resources(policy, LINES, SAMPLING, Judge({"a": 0.5, "so 4": 0.5}), lambda text: "so" in text)
    found = asyncio.run(search("Q", use, SearchConfig("dvts", n=1, width=1)))
    assert [(path.steps, path.end) for path in found.candidates] == [(("a", "so 4"), "finished")]


def test_a_whole_solution_ends_whatever_the_engine_says_of_its_stop() -> None:
    """A server that does not say why it stopped, and a stop string of the template: both are ends of a solution."""
    for ended in (None, False):
        found = run(Policy({"": [step("x\nso on", ended=ended)]}), None, "best_of_n", n=1)
        assert [path.end for path in found.candidates] == ["finished"]


def test_a_path_whose_continuations_are_lost_is_kept_as_far_as_it_came() -> None:
    table = {"": [step("a")], "a\n": [Completion("", 3, "error", 0, 0)]}
    for strategy in ("beam", "dvts", "mcts"):
        found = run(Policy(table), Judge({"a": 0.5}), strategy, n=1, width=1)
        assert [(path.steps, path.end) for path in found.candidates] == [(("a",), "cut")]
        assert (found.lost, found.bill.generated, found.bill.discarded) == (1, 5, 3)


def test_scores_that_are_not_of_the_steps_are_an_error() -> None:
    async def confused(question: str, prefixes: object, /) -> list[Scores]:
        return [Scores((1.0, 2.0))]

    use = Resources(Policy(TREE), LINES, SAMPLING, confused)
    with pytest.raises(EngineError, match="2 scores for 1 steps"):
        asyncio.run(search("Q", use, SearchConfig("dvts", n=1, width=1)))


def test_a_cap_for_less_than_a_token_each_serves_the_first_sample() -> None:
    found = run(Policy({"": [final("abcdef", 6)]}), None, "best_of_n", n=8, cap=5)
    assert [(path.steps, path.end, path.tokens) for path in found.candidates] == [(("abcde",), "cut", 5)]
    assert found.stopped == "budget"


def test_a_blank_line_is_no_end_and_two_are() -> None:
    table = {"": [step("a")], "a\n": [step("", 1)], "a\n\n": [step("", 1)]}
    found = run(Policy(table), Judge({"a": 0.5}), "dvts", n=1, width=1)
    assert found.candidates[0].end == "finished"
    table["a\n\n"] = [final("B")]
    assert texts(run(Policy(table), Judge({"a": 0.5}), "dvts", n=1, width=1)) == ["a\n/B"]


def test_nothing_at_all_is_no_candidate() -> None:
    found = run(Policy({"": [final("", 1)]}), Judge({}), "dvts", n=1, width=1)
    assert (found.candidates, found.bill.generated, found.bill.discarded) == ((), 1, 1)


def test_the_depth_is_bounded() -> None:
    table = {"\n".join("a" * depth) + "\n" * bool(depth): [step("a")] for depth in range(9)}
    for strategy in ("beam", "dvts", "mcts"):
        found = run(Policy(table), Judge({"a": 0.5}), strategy, n=1, width=1, depth=3)
        assert [(len(path.steps), path.end) for path in found.candidates] == [(3, "cut")]


def test_margins_are_of_the_steps() -> None:
    found = run(Policy(TREE), Judge(VALUES), "beam", n=4, width=2)
    for path in found.candidates:
        assert path.margins == tuple(odds(VALUES[each]) for each in path.steps)


def test_what_ended_is_a_result_at_the_depth_limit_too() -> None:
    """Depth 2, one place: A1 ended, and a2, which is better, is as far as it came. At depth 1 there are first steps alone."""
    assert texts(run(Policy(TREE), Judge(VALUES), "beam", n=2, width=2, depth=2)) == ["a/A1", "a/a2"]
    ends = {"": [final("A"), final("B"), final("C"), final("D")]}
    found = run(Policy(ends), Judge({"A": 0.9, "B": 0.8, "C": 0.7, "D": 0.6}), "beam", n=4, width=4, depth=1)
    assert texts(found) == ["A", "B", "C", "D"]


def test_what_was_cut_takes_no_place_from_what_can_go_on() -> None:
    """One place: the long step is cut and scores best, the other goes on and ends."""
    table = {"": [step("long step", 20), step("b")], "b\n": [final("B")]}
    found = run(Policy(table), Judge({"long": 0.99, "b": 0.5, "B": 0.5}), "beam", n=2, width=2, step_tokens=10)
    assert [(text, path.end) for text, path in zip(texts(found), found.candidates, strict=True)] == [
        ("long", "cut"),
        ("b/B", "finished"),
    ]


def test_a_forced_answer_ends_with_its_line_or_its_tokens() -> None:
    """It is asked for up to the end of a line, and one that fills its tokens is an answer all the same."""
    cue = "a and on a" + CUE
    policy = Policy({"": [step("a and on and on", 90)], cue: [step("42, as 6 * 7 is, and so on", 60)]})
    found = run(policy, None, "forcing", n=1, cap=90, answer_tokens=30)
    (path,) = found.candidates
    assert (path.end, path.forced) == ("finished", CUE)
    assert policy.samplings[-1].stop == ("\n",)


def test_equal_thoughts_go_on_in_different_ways() -> None:
    table = {"": [final("t")] * 2, "t\nWait": [final(" w1"), final(" w2")]}
    found = run(Policy(table), None, "forcing", n=2, min_tokens=10, waits=1)
    assert texts(found) == ["t/Wait w1", "t/Wait w2"]


@pytest.mark.parametrize("strategy", ["best_of_n", "beam", "dvts", "mcts"])
def test_a_cap_that_cuts_the_last_samples_is_said_to_have_ended_the_search(strategy: str) -> None:
    table = {"": [step("abcdefghij", 10)]}
    found = run(Policy(table), Judge({"abcde": 0.5}), strategy, n=4, width=4, cap=20)
    assert (found.stopped, found.bill.generated) == ("budget", 20)


@pytest.mark.parametrize("wrong", [{"c_base": 0.0}, {"c_base": -1.0}, {"c_init": float("nan")}, {"c_uct": -1.0}])
def test_constants_of_tree_search_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="--c-base"):
        SearchConfig("mcts", **wrong).checked()  # type: ignore[arg-type]
