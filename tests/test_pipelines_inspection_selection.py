"""Which solutions `inspect` finds: the same as looking at every record, for any conditions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pipelines_stage import config, labels, write_problems

from openr_data.errors import UsageError
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.inspection import chosen, records
from openr_data.pipelines.label import label
from openr_data.pipelines.selection import Choice, select
from openr_data.store.read import ItemRecords, RunReader
from openr_data.types import NO_ERROR, LabeledSolution


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Right, wrong and undecided solutions, given ones and rollouts, in three shards."""
    base = tmp_path_factory.mktemp("selection")
    script = "error=0.15,recovery=0.05,truncate=0.1"
    generate(config(write_problems(base / "problems.jsonl", 20), script), RunOptions(base / "solutions"))
    how = labels(base / "solutions", method="omegaprm", rollouts=3, filter_rollouts=6)
    label(replace(how, engine=replace(how.engine, script=script)), RunOptions(base / "run"))
    return base / "run"


def meets(item: ItemRecords, one: LabeledSolution, choice: Choice) -> bool:
    """The conditions, each as its option describes it."""
    first = "undecided" if one.first_error is None else "none" if one.first_error == NO_ERROR else str(one.first_error + 1)
    wanted = {"": True, "any": first not in {"undecided", "none"}}.get(choice.first_error, first == choice.first_error)
    values = [estimate.value if estimate else None for estimate in one.estimates]
    if choice.step:
        values = values[choice.step - 1 : choice.step]
    low, high = choice.min_value, choice.max_value
    bounded = low is not None or high is not None
    inside = any(v is not None and (low is None or v >= low) and (high is None or v <= high) for v in values)
    texts = (item.problem.question, *one.solution.steps)
    return (
        choice.problem in {"", item.problem.id}
        and choice.solution in {"", one.solution.id}
        and wanted
        and (inside or not bounded)
        and choice.method in {"", one.method}
        and choice.verdict in {"", one.solution.verdict.outcome}
        and choice.origin in {"", one.origin}
        and choice.source in {"", item.problem.source}
        and any(choice.contains in text for text in texts)
    )


VALUES = st.none() | st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.8, 1.0])
CHOICES = st.builds(
    Choice,
    first_error=st.sampled_from(["", "", "none", "undecided", "any", "2", "4", "99"]),
    min_value=VALUES,
    max_value=VALUES,
    step=st.sampled_from([0, 0, 1, 3, 40]),
    method=st.sampled_from(["", "omegaprm", "mips"]),
    verdict=st.sampled_from(["", "", "right", "wrong", "unknown"]),
    origin=st.sampled_from(["", "", "given", "rollout"]),
    contains=st.sampled_from(["", "", "7", "(", "Step", "answer is"]),
)


@settings(max_examples=60)
@given(choice=CHOICES, count=st.integers(0, 6), seed=st.integers(0, 3))
def test_what_is_found_is_what_looking_at_every_record_finds(run: Path, choice: Choice, count: int, seed: int) -> None:
    try:
        choice.checked()
    except UsageError:
        return
    reader = RunReader.open(run)
    expected = [(i.item, one.solution.id) for i in reader.items() for one in i.labeled if meets(i, one, choice)]
    found = select(reader, replace(choice, show=10_000))
    assert (found.matched, found.total) == (len(expected), reader.size("labeled").rows)
    assert sorted((item, each) for item, ids in found.taken.items() for each in ids) == sorted(expected)
    drawn = select(reader, replace(choice, sample=count or 1, seed=seed)).taken
    places = {(item, each) for item, ids in drawn.items() for each in ids}
    assert places <= set(expected)
    assert len(places) == min(count or 1, len(expected))
    assert drawn == select(reader, replace(choice, sample=count or 1, seed=seed)).taken


def test_seeds_draw_different_samples(run: Path) -> None:
    reader = RunReader.open(run)
    drawn = [select(reader, Choice(sample=5, seed=seed)).taken for seed in range(4)]
    assert drawn[0] == select(reader, Choice(sample=5)).taken
    assert any(each != drawn[0] for each in drawn)


def test_the_records_that_were_chosen_are_whole_and_in_order(run: Path) -> None:
    """Wrong ones first within a problem; the measured prefixes only where they are asked for."""
    whole = {item.item: item for item in records(run)}
    found = chosen(run, Choice(show=10_000), rollouts=True)
    items = list(found.items)
    assert [item.item for item in items] == sorted(number for number, item in whole.items() if item.labeled)
    for item in items:
        original = whole[item.item]
        assert sorted(one.solution.id for one in item.labeled) == sorted(one.solution.id for one in original.labeled)
        assert replace(item, labeled=()) == replace(original, labeled=())
        dull = [one.first_error in {None, NO_ERROR} for one in item.labeled]
        assert dull == sorted(dull)
    few = list(chosen(run, Choice(first_error="any")).items)
    assert sum(len(item.labeled) for item in few) == 3
    assert all(not item.nodes for item in few)
    (first,) = chosen(run, Choice()).items
    assert first.labeled[0].first_error is not None
    assert first.labeled[0].first_error >= 0


def test_a_problem_without_solutions_is_shown_with_its_reason(tmp_path: Path) -> None:
    from store_runs import write_run

    write_run(tmp_path / "run", range(4), total=4)
    found = chosen(tmp_path / "run", Choice(problem="p2"))
    (item,) = found.items
    assert (found.matched, item.skipped, item.labeled) == (0, "too easy", ())
    assert list(chosen(tmp_path / "run", Choice(problem="p2", verdict="right")).items) == []


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(problem="nobody"), "has no problem 'nobody' in its finished shards"),
        (Choice(solution="nobody"), "has no solution 'nobody' in its finished shards"),
        (Choice(verdict="good"), "--verdict is one of right, wrong, unknown, not 'good'"),
        (Choice(origin="mine"), "--origin is one of given, rollout, not 'mine'"),
        (Choice(first_error="0"), "--first-error is none, undecided, any, or the number of a step from 1, not '0'"),
        (Choice(first_error="-1"), "number of a step from 1"),
        (Choice(first_error="9" * 5000), "number of a step from 1"),
        (Choice(min_value=float("nan")), "--min-value is a number, and nan is none"),
        (Choice(max_value=float("nan")), "--max-value is a number, and nan is none"),
        (Choice(min_value=0.5, max_value=0.2), "no value is at least 0.5"),
        (Choice(step=2), "give its number, from 1, with --min-value or --max-value"),
        (Choice(show=1, sample=1), "give one of them"),
        (Choice(seed=1), "give --sample as well"),
    ],
)
def test_a_choice_that_cannot_be_is_told(run: Path, choice: Choice, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        chosen(run, choice)


def test_a_solution_of_another_problem_is_told(run: Path) -> None:
    items = [item for item in records(run) if item.labeled]
    with pytest.raises(UsageError, match="belongs to problem"):
        chosen(run, Choice(problem=items[0].problem.id, solution=items[1].labeled[0].solution.id))


def test_a_run_without_labels_has_no_values(run: Path) -> None:
    solutions = run.parent / "solutions"
    with pytest.raises(UsageError, match="holds solutions without labels, which --first-error and --method cannot look at"):
        chosen(solutions, Choice(first_error="2", method="mips"))
    found = chosen(solutions, Choice(verdict="wrong", show=2))
    assert [one.verdict.outcome for item in found.items for one in item.solutions] == ["wrong", "wrong"]


def test_only_the_chosen_items_are_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard that holds none of them may be gone."""
    reader = RunReader.open(run)
    last = list(reader.items())[-1]
    first = reader.manifest.shards[0]
    assert list(reader.items(only=[last.item])) == [last]
    path = run / first.files["rollouts"].path
    hidden = path.rename(path.with_suffix(".away"))
    try:
        assert list(reader.items(only=[last.item])) == [last]
    finally:
        hidden.rename(path)
    assert list(reader.items(only=[])) == []
    assert [item.item for item in reader.items(only={17, 3, 500})] == [3, 17]
