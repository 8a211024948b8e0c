"""`inspect` as a person meets it: numbers, bars and coloured solutions, in any terminal; and as a program meets it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from store_runs import write_run
from test_cli import Run, Said
from test_cli import run as run  # noqa: PLC0414  # the fixture
from test_pipelines_stage import config, labels, write_problems

from openr_data.cli.charts import bars, histogram_rows, show_charts, tail
from openr_data.cli.inspect import passed
from openr_data.cli.show import show_labeled, show_problem
from openr_data.data_cards.statistics import Histogram, Statistics, StepBalance
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.importing.rows import choose_layout
from openr_data.pipelines.importing.run import ImportConfig, import_file
from openr_data.pipelines.label import label
from openr_data.problems import ProblemSource
from openr_data.store.read import ItemRecords
from openr_data.types import Cost, Estimate, LabeledSolution, Node, Problem, Solution, Verdict


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("inspect")
    generate(config(write_problems(base / "problems.jsonl", 12)), RunOptions(base / "solutions"))
    label(labels(base / "solutions", filter_rollouts=0, searches=0), RunOptions(base / "labels"))
    return base / "labels"


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("imported")
    row = {"id": "a", "generator": "m", "problem": "Ünïcode?", "final_answer_correct": False}
    rows = [
        {**row, "steps": ["eins", "zwei", "drei"], "label": 1},
        {**row, "id": "b", "problem": "2?", "steps": ["x"], "label": -1},
    ]
    (base / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = ProblemSource(str(base / "rows.jsonl"))
    import_file(ImportConfig(source, choose_layout(source, "auto").name), base / "run")
    return base / "run"


def in_terminal(columns: int, *arguments: object, **environment: str) -> Said:
    told = subprocess.run(
        [sys.executable, "-m", "openr_data", *map(str, arguments)],
        capture_output=True,
        check=False,
        env={**os.environ, "COLUMNS": str(columns), **environment},
    )
    return Said(told.returncode, told.stdout.decode(), told.stderr.decode())


def test_the_summary_tells_the_facts_of_the_report(run: Run, labelled: Path) -> None:
    said = run("inspect", labelled)
    words = " ".join(said.out.split())
    counted = json.loads(run("inspect", labelled, "--json").out)
    stats = counted["statistics"]
    assert f"{stats['balance']['right']:,}" in words
    assert f"{sum(stats['first_errors'].values())} with a first wrong step, {stats['without_error']} without one" in words
    cost = stats["cost"]
    assert f"per step {cost['rollouts'] / cost['labelled_steps']:.2f} rollouts" in words
    for title in ("steps by label", "first wrong step", "value of a step", "steps in a solution"):
        assert title in words
    assert re.search(r"^x +\d", said.out, re.MULTILINE)  # a solution with a wrong step is shown


@pytest.mark.parametrize("columns", [40, 80, 140])
def test_no_line_of_the_summary_is_wider_than_the_terminal(labelled: Path, columns: int) -> None:
    said = in_terminal(columns, "inspect", labelled, "--show", 0)
    assert (said.code, said.err) == (0, "")
    assert max(map(len, said.out.splitlines())) <= columns
    assert "\x1b" not in said.out  # a pipe has no colours
    assert "█" in said.out


def test_a_terminal_without_unicode_gets_bars_all_the_same(labelled: Path) -> None:
    said = in_terminal(80, "inspect", labelled, "--show", 0, PYTHONIOENCODING="ascii")
    assert said.code == 0, said.err
    assert said.out.isascii()
    assert re.search(r"right +[\d,]+ +#+", said.out)


def test_conditions_combine_and_say_how_many_matched(run: Run, labelled: Path) -> None:
    everything = json.loads(run("inspect", labelled, "--show", 1000, "--json").out)
    solutions = [one for item in everything["records"] for one in item["labeled"]]
    wanted = [s for s in solutions if s["first_error"] == 3 and any(e and e["value"] <= 0.2 for e in s["estimates"])]
    assert wanted
    conditions = ("--first-error", 4, "--max-value", 0.2, "--origin", "given")
    said = run("inspect", labelled, *conditions)
    shown = min(3, len(wanted))
    assert f"{shown} shown of {len(wanted)} that match, among {len(solutions)} solutions" in " ".join(said.out.split())
    assert "records" not in said.out.split("\n")[0]
    found = json.loads(run("inspect", labelled, *conditions, "--show", 1000, "--json").out)
    assert found["matched"] == len(wanted)
    assert sorted(s["solution"]["id"] for i in found["records"] for s in i["labeled"]) == sorted(
        s["solution"]["id"] for s in wanted
    )


def test_no_match_is_no_error(run: Run, labelled: Path) -> None:
    said = run("inspect", labelled, "--method", "mips")
    assert (said.code, said.out) == (0, "")
    assert "none of 48 solutions meets this condition; methods here: omegaprm" in said.err
    two = run("inspect", labelled, "--contains", "xyzzy", "--verdict", "right")
    assert "none of 48 solutions meets all 2 conditions" in two.err
    assert "sources here:" in run("inspect", labelled, "--source", "nowhere").err
    empty = json.loads(run("inspect", labelled, "--contains", "xyzzy", "--json").out)
    assert (empty["matched"], empty["records"]) == (0, [])


def test_mistakes_are_one_sentence_with_exit_code_2(run: Run, labelled: Path) -> None:
    for arguments, words in (
        (("--problem", "nobody"), "has no problem 'nobody'"),
        (("--first-error", "x"), "--first-error is none, undecided, any"),
        (("--min-value", 1, "--max-value", 0), "no value is at least 1"),
        (("--show", 2, "--sample", 2), "give one of them"),
        (("--seed", 2), "give --sample as well"),
    ):
        said = run("inspect", labelled, *arguments)
        assert (said.code, said.out) == (2, "")
        assert words in said.err
        assert said.err.count("\n") == 1


def test_a_sample_is_the_same_for_the_same_seed(run: Run, labelled: Path) -> None:
    first, again, other = (run("inspect", labelled, "--sample", 4, "--seed", seed, "--json").out for seed in (1, 1, 2))
    assert first == again != other
    assert sum(len(item["labeled"]) for item in json.loads(first)["records"]) == 4


def test_rollouts_are_shown_for_what_was_found(run: Run, labelled: Path) -> None:
    said = run("inspect", labelled, "--first-error", "any", "--show", 1, "--rollouts", 1)
    assert "prefix of" in said.out
    facts = json.loads(run("inspect", labelled, "--first-error", "any", "--show", 1, "--rollouts", 1, "--json").out)
    nodes = [node for item in facts["records"] for node in item["nodes"]]
    assert {len(node["rollouts"]) for node in nodes} == {1}


def test_only_the_prefixes_of_shown_solutions_are_shown() -> None:
    def node(*prefix: str) -> Node:
        return Node("/".join(prefix), "p", "", prefix, ())

    nodes = (node(), node("a"), node("b"), node("a", "c"))
    problem, solution = Problem("p", "?", "1"), Solution("s", "p", ("a", "d"), Verdict("wrong", "exact"))
    one = LabeledSolution(solution, (None, None), 1, "m", Cost(), "x")
    assert passed(ItemRecords(0, problem, "", labeled=(one,), nodes=nodes)) == nodes[:2]
    assert passed(ItemRecords(0, problem, "", nodes=nodes)) == nodes


def test_a_long_question_stays_in_one_line_where_it_is_searched(run: Run, tmp_path: Path) -> None:
    long = "What is " + " + ".join(map(str, range(60))) + "?"
    row = {"prompt": long, "completions": ["1770"], "labels": [True]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    import_file(ImportConfig(ProblemSource(str(tmp_path / "rows.jsonl")), "trl"), tmp_path / "run")
    assert long in run("inspect", tmp_path / "run").out.splitlines()
    console = Console(width=60, force_terminal=True, record=True)
    show_problem(console, Problem("p", long, "1770"))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 60
    assert " ".join(line.strip() for line in lines[1:-1]) == long


def test_imported_labels_are_shown_without_counts(run: Run, imported: Path) -> None:
    said = run("inspect", imported, "--show", 2)
    assert said.code == 0, said.err
    words = " ".join(said.out.split())
    assert "import" in words
    assert "1 with a first wrong step, 1 without one, 0 undecided" in words
    assert "hits" not in words
    assert "rollouts" not in words
    assert "first wrong step: 2 (published) (processbench)" in words
    assert "zwei" in run("inspect", imported, "--first-error", 2, "--method", "processbench").out
    assert json.loads(run("inspect", imported, "--json").out)["statistics"]["balance"] == {
        "right": 2,
        "wrong": 2,
        "unlabelled": 0,
    }


def test_an_unfinished_run_says_so(run: Run, tmp_path: Path) -> None:
    write_run(tmp_path / "run", range(6))
    said = run("inspect", tmp_path / "run")
    assert said.code == 0
    assert "not complete" in said.err
    write_run(tmp_path / "begun", range(2))
    begun = run("inspect", tmp_path / "begun")
    assert (begun.code, "not complete" in begun.err) == (0, True)
    assert "no finished shard yet" in run("inspect", tmp_path / "begun", "--problem", "p1").err


def test_published_hard_labels_colour_the_steps_that_they_speak_of() -> None:
    solution = Solution("s", "p", ("bad", "good", "open"), Verdict("unknown", "published"))
    estimates = (Estimate(0.0, "label"), Estimate(1.0, "label"), None)
    one = LabeledSolution(solution, (None,) * 3, 0, "trl", Cost(), "published", estimates=estimates, hard=(False, True, None))
    console = Console(width=80, record=True, force_terminal=True, color_system="standard")
    show_labeled(console, one)
    coloured = console.export_text(styles=True)
    assert re.findall(r"\x1b\[(\d+)m(bad|good|open)", coloured) == [("31", "bad"), ("32", "good"), ("33", "open")]


def test_bars_are_as_long_as_their_share() -> None:
    console = Console(width=80, record=True)
    console.print(bars(console, "title", [("a", 8), ("b", 4), ("c", 0), ("d", 1)]))
    lines = [line.split() for line in console.export_text().splitlines()]
    assert lines == [["title"], ["a", "8", "█" * 16], ["b", "4", "█" * 8], ["c", "0"], ["d", "1", "██"]]


def test_charts_without_values_are_left_out() -> None:
    console = Console(width=80, record=True)
    show_charts(console, Statistics())
    assert console.export_text() == ""
    show_charts(console, Statistics(balance=StepBalance(3, 1, 0), values={"verdict": Histogram((0.0, 1.0), (5,))}))
    assert [line.split() for line in console.export_text().splitlines() if line.strip()] == [
        ["steps", "by", "label"], ["right", "3", "█" * 16], ["wrong", "1", "█████▍"], ["no", "label", "0"],
    ]  # fmt: skip


@given(st.dictionaries(st.integers(0, 60), st.integers(1, 99)), st.integers(2, 12))
def test_no_first_error_is_lost_in_the_tail(counts: dict[int, int], rows: int) -> None:
    shown = tail(counts, rows)
    assert sum(count for _, count in shown) == sum(counts.values())
    assert len(shown) <= rows
    for index, (name, count) in enumerate(shown[: rows - 1]):
        assert (name, count) == (str(index + 1), counts.get(index, 0))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=45))
def test_no_value_is_lost_when_bins_are_put_together(counts: list[int]) -> None:
    shown = histogram_rows(Histogram(tuple(range(len(counts) + 1)), tuple(counts)))
    assert sum(count for _, count in shown) == sum(counts)
    assert len(shown) <= 10
