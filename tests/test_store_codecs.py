"""Values survive the journal and the tables."""

import json
import struct
from dataclasses import replace
from typing import get_args

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.store import codecs
from openr_data.store.frames import pack_completion, pack_tables, unpack_completion, unpack_tables
from openr_data.store.schemas import TABLES, arrow_schema, card_features, features
from openr_data.types import (
    Completion,
    Cost,
    Estimate,
    FinishReason,
    LabeledSolution,
    Labeling,
    Node,
    Outcome,
    Problem,
    Rollout,
    Solution,
    StepLabel,
    Verdict,
)

quick = settings(max_examples=40, deadline=None)
any_text = st.text(st.characters(), max_size=12)  # lone surrogates too
clean_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
counts = st.integers(0, 2**31 - 1)
seeds = st.integers(0, 2**63 - 1)
reasons = st.sampled_from(get_args(FinishReason))
floats = st.floats(allow_nan=False, width=64)


def completions(text: st.SearchStrategy[str]) -> st.SearchStrategy[Completion]:
    return st.builds(
        Completion, text=text, token_count=counts, finish_reason=reasons, index=counts, seed=seeds, logprob=st.none() | floats
    )


def verdicts(text: st.SearchStrategy[str]) -> st.SearchStrategy[Verdict]:
    return st.builds(Verdict, st.sampled_from(get_args(Outcome)), text, st.none() | text)


def problems(text: st.SearchStrategy[str]) -> st.SearchStrategy[Problem]:
    return st.builds(
        Problem,
        id=text,
        question=text,
        answer=text,
        source=text,
        difficulty=text,
        metadata=st.dictionaries(text, text, max_size=3),
    )


def solutions(text: st.SearchStrategy[str]) -> st.SearchStrategy[Solution]:
    return st.builds(
        Solution,
        id=text,
        problem_id=text,
        steps=st.lists(text, max_size=4).map(tuple),
        verdict=verdicts(text),
        tokens=counts,
        sampler=text,
        finish_reason=reasons,
        index=counts,
        seed=seeds,
    )


labels = st.integers(1, 100).flatmap(lambda n: st.builds(StepLabel, st.integers(0, n), st.just(n)))
shares = st.floats(0, 1)
estimates = st.builds(Estimate, shares, st.sampled_from(["mean", "posterior"]), st.none() | shares)


@st.composite
def labeled_solutions(draw: st.DrawFn) -> LabeledSolution:
    solution = draw(solutions(clean_text))
    size = len(solution.steps)
    return LabeledSolution(
        solution=solution,
        labels=tuple(draw(st.lists(st.none() | labels, min_size=size, max_size=size))),
        first_error=draw(st.none() | st.integers(-1, size)),
        method=draw(clean_text),
        cost=Cost(draw(counts), draw(counts)),
        reason=draw(clean_text),
        origin=draw(st.sampled_from(["given", "rollout"])),
        estimates=draw(st.just(()) | st.lists(estimates, min_size=size, max_size=size).map(tuple)) if size else (),
        confidence=draw(st.none() | shares),
        notes=draw(st.dictionaries(clean_text, clean_text, max_size=2)),
    )


def nodes(text: st.SearchStrategy[str]) -> st.SearchStrategy[Node]:
    rollouts = st.lists(st.builds(Rollout, completions(text), verdicts(text)), max_size=3).map(tuple)
    return st.builds(
        Node,
        id=text,
        problem_id=text,
        parent=text,
        prefix=st.lists(text, max_size=3).map(tuple),
        rollouts=rollouts,
        visits=counts,
    )


def through_arrow(table: str, rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """What a row is after the journal and an Arrow table of the declared schema."""
    stored = [row for _, row, _ in unpack_tables(pack_tables({table: rows}))]
    back: list[dict[str, object]] = pa.Table.from_pylist(
        [{"item": 0, **row} for row in stored], schema=arrow_schema(table)
    ).to_pylist()
    return back


@quick
@given(completions(any_text), st.sampled_from([None, False, True]))
def test_a_completion_survives_the_journal_bit_for_bit(completion: Completion, ended: bool | None) -> None:
    told = replace(completion, ended=ended)
    assert unpack_completion(pack_completion(told)) == told


@pytest.mark.parametrize(("code", "reason"), [(0, "stop"), (1, "length"), (2, "error")])
def test_a_journal_from_before_says_nothing_of_the_end(code: int, reason: FinishReason) -> None:
    written = struct.pack("<BIqqd", code, 3, 5, 7, -1.5) + b"text"
    assert unpack_completion(written) == Completion("text", 3, reason, 5, 7, -1.5, None)


@quick
@given(problems(clean_text))
def test_a_problem_survives_its_table(problem: Problem) -> None:
    (row,) = through_arrow("problems", [codecs.problem_row(problem)])
    assert codecs.read_problem(row) == problem
    assert row["lossy"] is False


@quick
@given(solutions(clean_text))
def test_a_solution_survives_its_table(solution: Solution) -> None:
    (row,) = through_arrow("solutions", [codecs.solution_row(solution)])
    assert codecs.read_solution(row) == solution


@quick
@given(labeled_solutions())
def test_a_labelled_solution_survives_its_table(labeled: LabeledSolution) -> None:
    (row,) = through_arrow("labeled", [codecs.labeled_row(Problem("p", "q", "a"), labeled)])
    assert codecs.read_labeled(row) == labeled
    assert (row["question"], row["answer"]) == ("q", "a")


@quick
@given(nodes(clean_text))
def test_a_node_and_its_rollouts_survive_their_tables(node: Node) -> None:
    (row,) = through_arrow("nodes", [codecs.node_row(node)])
    rollouts = through_arrow("rollouts", codecs.rollout_rows(node))
    assert codecs.read_node(row, rollouts) == node
    assert (row["hits"], row["decided"], row["depth"]) == (node.hits, node.decided, len(node.prefix))
    assert row["hits"] <= row["decided"] == len(node.rollouts) - row["unknown"]  # type: ignore[operator]  # cells are objects


@quick
@given(solutions(any_text))
def test_a_lone_surrogate_is_replaced_and_flagged_and_nothing_else_is(solution: Solution) -> None:
    (row,) = through_arrow("solutions", [codecs.solution_row(solution)])
    stored = codecs.read_solution(row)
    expected = ["".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in step) for step in solution.steps]
    assert list(stored.steps) == expected
    assert row["lossy"] == (stored != solution)


def test_surrogates_in_metadata_are_flagged() -> None:
    row = codecs.problem_row(Problem("p", "q", "a", metadata={"level\ud83d": "1"}))
    assert row["lossy"] is True
    assert json.loads(row["metadata"]) == {"level\ufffd": "1"}


@pytest.mark.parametrize(
    ("first_error", "hard"),
    [(-1, [True, True, True]), (0, [False, False, False]), (2, [True, True, False]), (None, [None, None, None])],
)
def test_the_hard_reading_is_whether_a_step_stands_before_the_first_error(
    first_error: int | None, hard: list[bool | None]
) -> None:
    solution = Solution("s", "p", ("a", "b", "c"), Verdict("wrong", "different", "3"))
    labeled = LabeledSolution(solution, (StepLabel(1, 4), None, StepLabel(0, 4)), first_error, "omegaprm", Cost(), "x")
    labeled = replace(labeled, estimates=(Estimate(0.25, "mean"), None, Estimate(0.0, "mean", 0.5)))
    row = codecs.labeled_row(Problem("p", "q", "a"), labeled)
    assert row["hard"] == hard
    assert (row["hits"], row["rollouts"]) == ([1, None, 0], [4, None, 4])
    assert (row["mc"], row["estimator"], row["good"]) == ([0.25, None, 0.0], ["mean", None, "mean"], [None, None, 0.5])


def test_every_table_is_declared_as_the_datasets_library_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import Features

    for name, spec in TABLES.items():
        theirs = Features.from_arrow_schema(arrow_schema(name).remove_metadata())
        assert features(spec) == theirs.to_dict()
        assert card_features(spec) == theirs._to_yaml_list()
        assert spec.columns[0].name == "item"
        assert all(column.doc.endswith(".") for column in spec.columns)


def test_rows_of_an_item_carry_exactly_the_declared_columns() -> None:
    problem = Problem("p", "q", "a")
    solution = Solution("s", "p", ("a",), Verdict("right", "exact", "1"))
    node = Node("n", "p", "", (), (Rollout(Completion("t", 1, "stop", 0, 0), Verdict("right", "exact", "1")),))
    labeled = LabeledSolution(solution, (None,), -1, "m", Cost(), "right_answer")
    tables = codecs.labeling_tables(problem, Labeling("p", (labeled,), (node,), "too easy")) | codecs.generation_tables(
        problem, [solution]
    )
    assert set(tables) == set(TABLES) - {"searches", "candidates", "branches"}  # those are of `evaluate`
    for name, rows in tables.items():
        assert [set(row) for row in rows] == [{*TABLES[name].names} - {"item"}]
