"""`openr-data report`: what it prints, writes and exits with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from statistics_runs import write_labels, write_solutions
from test_pipelines_statistics import golden
from typer.testing import CliRunner

from openr_data.cli.app import app
from openr_data.data_cards.report import render_report, sections
from openr_data.data_cards.statistics import Histogram, Overlap, Statistics, StepBalance
from openr_data.errors import OpenRDataError
from openr_data.types import Cost, LabeledSolution, Labeling, Problem, Solution, Verdict

NASTY = "evil|<script>`[x](http://y) \x1b[31m\n# head"


def report(*arguments: object) -> Any:
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, ["report", *map(str, arguments)])


def mistake(*arguments: object) -> tuple[int, str]:
    """Exit code and sentence of what went wrong; (0, "") of nothing."""
    fault = report(*arguments).exception
    if fault is None:
        return 0, ""
    assert isinstance(fault, OpenRDataError)
    return fault.exit_code, str(fault)


def test_tables_and_bars_on_a_terminal(tmp_path: Path) -> None:
    seen = report(golden(tmp_path / "run"))
    assert seen.exit_code == 0
    shown = [" ".join(line.split()) for line in seen.stdout.splitlines()]
    for line in (
        "problems 3",
        "left out 1 too_easy",
        "sources 2 one, 1 (no name)",
        "answers 2 wrong, 1 right, 1 unknown",
        "repeated 1 questions, 1 solutions of the same question",
        "right steps 5 (56%)",
        "solutions with a first wrong step 2 (50%)",
        "undecided because of 1 disagreement",
        "mean value by tenth - - - - - 0.12 - - - 0.50",
        "tokens in a solution 20.0 10 20 28 29.8 30",
    ):
        assert line in shown, line
    assert any("█" in line for line in shown)


def test_the_whole_value_as_json_and_the_report_as_markdown(tmp_path: Path) -> None:
    run = golden(tmp_path / "run")
    benchmark = tmp_path / "bench.jsonl"
    benchmark.write_text(json.dumps({"id": "b|1", "question": "what is 1+1?"}) + "\n")
    seen = report(run, run, "--against", benchmark, "--out", tmp_path / "new" / "report.md", "--json")
    assert seen.exit_code == 0
    value = json.loads(seen.stdout)
    assert (value["complete"], value["problems"], value["balance"]) == (True, 3, {"right": 5, "wrong": 3, "unlabelled": 1})
    assert value["first_errors"] == {"0": 1, "1": 1}
    assert value["overlaps"][0]["examples"] == [["a", "b|1", 1.0], ["b", "b|1", 1.0]]
    assert len(value["agreements"]) == 6  # of the two methods in either run
    text = (tmp_path / "new" / "report.md").read_text()
    assert text.startswith("# Report on run\n\n## Contents\n")
    assert "| right steps | 5 (56%) |" in text
    assert r"| a | bench.jsonl | b\|1 | 100% |" in text
    assert "| 0.5 to 0.6 | 1 | ██████████ |" in text  # one of two values in the first bin


def test_an_overlap_can_fail_a_pipeline(tmp_path: Path) -> None:
    run, benchmark = golden(tmp_path / "run"), tmp_path / "bench.jsonl"
    against = (run, "--against", benchmark, "--fail-on-overlap")
    benchmark.write_text(json.dumps({"problem": "Nothing alike"}) + "\n")
    assert mistake(*against) == (0, "")
    benchmark.write_text(json.dumps({"problem": "What is 1 + 1?"}) + "\n")
    code, said = mistake(*against)
    assert (code, said.split(":")[0]) == (1, "2 overlaps with benchmarks")
    assert mistake(run, "--against", benchmark) == (0, "")
    benchmark.write_text(json.dumps({"text": "What is 1 + 1?"}) + "\n")
    assert mistake(*against)[0] == 3
    assert mistake(*against, "--question-field", "text")[0] == 1


def test_mistakes_are_told_in_one_line_and_nothing_is_overwritten(tmp_path: Path) -> None:
    run, there = golden(tmp_path / "run"), tmp_path / "report.md"
    there.write_text("mine")
    solutions = write_solutions(tmp_path / "solutions", [(Problem("p", "1?", "1"), [])])
    cases: tuple[tuple[tuple[object, ...], int, str], ...] = (
        ((run, "--fail-on-overlap"), 2, "name one with --against"),
        ((run, "--out", there), 2, "is there already"),
        ((run, "--threshold", 0), 2, "lies above 0"),
        ((run, solutions), 2, "has no labels to compare"),
        ((tmp_path,), 4, "is not a run directory"),
        ((run, "--against", tmp_path / "none.jsonl"), 3, "there is no file or directory"),
    )
    for arguments, code, expected in cases:
        found, said = mistake(*arguments)
        assert (found, expected in said, "\n" in said) == (code, True, False), said
    assert there.read_text() == "mine"


def test_an_unfinished_run_says_so(tmp_path: Path) -> None:
    young = write_labels(
        tmp_path / "young", [(Problem(str(k), "1?", "1"), Labeling(str(k), (), ())) for k in range(3)], finish=False
    )
    seen = report(young)
    assert (seen.exit_code, "problems 2" in " ".join(seen.stdout.split())) == (0, True)
    assert "is not complete: this is what is sealed so far" in " ".join(seen.stderr.split())


def test_text_of_files_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    problem = Problem("p", "1?", "1", NASTY)
    solution = Solution("s", "p", ("a",), Verdict("unknown", NASTY))
    labeled = LabeledSolution(solution, (None,), None, NASTY, Cost(), NASTY)
    run = write_labels(tmp_path / "run", [(problem, Labeling("p", (labeled,), (), NASTY))])
    seen = report(run, "--out", tmp_path / "report.md")
    assert seen.exit_code == 0
    assert "\x1b[31m" not in seen.stdout
    assert "<script>" in seen.stdout
    text = (tmp_path / "report.md").read_text()
    assert not re.search(r"(?<!\\)(<script|\]\(http|`\[)|\x1b|^# head", text, re.MULTILINE)


def test_what_there_is_nothing_to_say_about_is_left_out() -> None:
    titles = [section.title for section in sections(Statistics())]
    assert titles == ["Contents"]
    found = Statistics(
        methods={f"m{k}": 1 for k in range(14)},
        balance=StepBalance(1, 0, 0),
        steps=1,
        first_errors={0: 2, 30: 1, 99: 3},
        values={"mean": Histogram((0.0, 0.5, 1.0), (0, 3))},
        overlaps=(Overlap("b.jsonl", 2, 0, 0, 8, 0.5),),
    )
    text = render_report("x", found)
    assert "2 of 2 other kinds" in text
    assert "| 0 to 0.5 | 0 |  |" in text
    assert "| later | 4 | ████████████████████ |" in text
    assert "## Nearest" not in text
    assert render_report("x", found) == text
