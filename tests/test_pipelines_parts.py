"""A run done in shares and merged: the bytes, counts and failures of one process, from the command line and from Python."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_cli import Run, run  # noqa: F401  (a fixture)
from test_pipelines_stage import config, data_bytes, labels, write_problems

from openr_data.errors import InputError, Interrupted, RunDirError, UsageError
from openr_data.pipelines.config import GenerateConfig, RunOptions
from openr_data.pipelines.generate import generate, generate_stage
from openr_data.pipelines.label import label
from openr_data.pipelines.merge import MergeSummary, merge
from openr_data.pipelines.parts import Marks, Share, content
from openr_data.pipelines.progress import Snapshot
from openr_data.pipelines.sources import GradedItem
from openr_data.pipelines.stage import run_stage
from openr_data.problems import ProblemSource
from openr_data.store.journal import Journal
from openr_data.store.opening import JOURNAL
from openr_data.store.run_record import RunRecord
from openr_data.types import Problem, Solution, Verdict

ITEMS = 20


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ProblemSource:
    """Twenty problems, and two rows that cannot be used."""
    path = tmp_path_factory.mktemp("input") / "problems.jsonl"
    write_problems(path, ITEMS)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:5], '{"id": "x"}', *lines[5:], "not json"]) + "\n")
    return ProblemSource(str(path))


@pytest.fixture(scope="module")
def solved(source: ProblemSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("solved") / "run"
    generate(exact(source), RunOptions(out))
    return out


def exact(source: ProblemSource, script: str = "error=0.1,recovery=0") -> GenerateConfig:
    return config(source, script, grader="exact")


def share_of(out: Path, index: int, count: int, **changes: object) -> RunOptions:
    share = Share(index, count)
    return replace(RunOptions(out, part=str(share), share=share), **changes)  # type: ignore[arg-type]  # fields by name


def in_shares(settings: GenerateConfig, folder: Path, count: int) -> list[Path]:
    parts = [folder / f"part-{index}" for index in range(1, count + 1)]
    for index, part in enumerate(parts, 1):
        generate(settings, share_of(part, index, count))
    return parts


@pytest.mark.parametrize("count", [1, 7, 23])
def test_generate_in_shares_is_the_run_of_one_process(source: ProblemSource, solved: Path, tmp_path: Path, count: int) -> None:
    summary = merge(in_shares(exact(source), tmp_path, count), tmp_path / "run")
    assert data_bytes(tmp_path / "run") == data_bytes(solved)
    assert (summary.items, summary.rejected, summary.failed, summary.parts) == (ITEMS, 2, 0, count)
    alone, merged = RunRecord.load(solved), RunRecord.load(tmp_path / "run")
    for name in ("completions", "tokens", "paid_completions", "paid_tokens"):
        assert merged.totals[name] == alone.totals[name]
    assert merged.identity == alone.identity
    assert merged.settings == alone.settings


def test_label_in_shares_is_the_run_of_one_process(solved: Path, tmp_path: Path) -> None:
    settings = replace(labels(solved), grader="exact", format="arrow")
    label(settings, RunOptions(tmp_path / "alone"))
    parts = [tmp_path / f"part-{index}" for index in (1, 2, 3)]
    for index, part in enumerate(parts, 1):
        label(settings, share_of(part, index, 3))
    merge(parts, tmp_path / "run")
    assert data_bytes(tmp_path / "run") == data_bytes(tmp_path / "alone")
    arrow = [path.relative_to(tmp_path / "alone") for path in (tmp_path / "alone" / "arrow").rglob("*.arrow")]
    assert arrow
    assert all((tmp_path / "run" / path).read_bytes() == (tmp_path / "alone" / path).read_bytes() for path in arrow)


def test_problems_that_fail_in_a_part_fail_in_the_run_and_are_tried_again(source: ProblemSource, tmp_path: Path) -> None:
    settings = exact(source, "error=0.1,recovery=0,fail=0.1,fail_times=1")
    generate(settings, RunOptions(tmp_path / "alone"))
    summary = merge(in_shares(settings, tmp_path, 3), tmp_path / "run")
    assert summary.failed > 0
    assert data_bytes(tmp_path / "run") == data_bytes(tmp_path / "alone")
    again = generate(settings, RunOptions(tmp_path / "run", mode="resume"))
    assert again.items == ITEMS
    assert RunRecord.load(tmp_path / "run").status == "finished"


def test_a_share_that_was_stopped_goes_on_and_pays_nothing_twice(
    source: ProblemSource, solved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [tmp_path / "1", tmp_path / "2"]
    generate(exact(source), share_of(parts[0], 1, 2))
    put = Journal.put_result

    async def dying(self: Journal, item: int, value: bytes) -> None:
        if item > 10:
            raise KeyboardInterrupt
        await put(self, item, value)

    monkeypatch.setattr(Journal, "put_result", dying)
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        generate(exact(source), share_of(parts[1], 2, 2))
    monkeypatch.setattr(Journal, "put_result", put)
    with pytest.raises(RunDirError, match=r"items are in none of the 2 parts .*; continue part 2/2 in .*2 with --resume"):
        merge(parts, tmp_path / "run")
    generate(exact(source), share_of(parts[1], 2, 2, mode="resume"))
    summary = merge(parts, tmp_path / "run")
    assert data_bytes(tmp_path / "run") == data_bytes(solved)
    assert summary.totals["paid_completions"] == RunRecord.load(solved).totals["paid_completions"]


def test_a_merged_run_is_a_run_like_any_other(source: ProblemSource, tmp_path: Path) -> None:
    merge(in_shares(exact(source), tmp_path, 2), tmp_path / "run")
    again = generate(exact(source), RunOptions(tmp_path / "run", mode="resume"))
    assert (again.items, again.tokens) == (ITEMS, 0)
    labelled = label(replace(labels(tmp_path / "run"), grader="exact"), RunOptions(tmp_path / "labels"))
    assert labelled.items == ITEMS
    fresh = generate(exact(source), RunOptions(tmp_path / "fresh", reuse=(tmp_path / "run",)))
    assert fresh.tokens == 0


def test_an_input_that_changes_while_a_share_is_done_is_noticed_and_named(source: ProblemSource, tmp_path: Path) -> None:
    """The hash of a file is taken when a run starts, and its rows are read as they are needed."""
    path = tmp_path / "problems.jsonl"
    path.write_bytes(source.path.read_bytes())
    mine = ProblemSource(str(path))
    generate(exact(mine), share_of(tmp_path / "1", 1, 2))
    stage = generate_stage(exact(mine).checked())
    path.write_text(path.read_text().replace('"id": "chain-7"', '"id": "chain-7b"', 1))
    assert '"chain-7b"' in path.read_text()
    run_stage(stage, share_of(tmp_path / "2", 2, 2))
    with pytest.raises(RunDirError, match=r"one of the items 7 to 8 is not the same for"):
        merge([tmp_path / "1", tmp_path / "2"], tmp_path / "run")


def test_a_file_that_changed_between_the_shares_is_refused(source: ProblemSource, tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_bytes(source.path.read_bytes())
    generate(exact(ProblemSource(str(path))), share_of(tmp_path / "1", 1, 2))
    path.write_text(path.read_text().replace("chain-7", "chain-7b"))
    generate(exact(ProblemSource(str(path))), share_of(tmp_path / "2", 2, 2))
    with pytest.raises(RunDirError, match=r"are parts of different runs: inputs\.problems"):
        merge([tmp_path / "1", tmp_path / "2"], tmp_path / "run")


def test_the_commands(run: Run, source: ProblemSource, tmp_path: Path) -> None:  # noqa: F811  (the fixture)
    common = ("generate", source.path, "--engine", "scripted", "--grader", "exact")
    for index in (1, 2):
        assert run(*common, "--shard", f"{index}/2", "--out", tmp_path / str(index)).code == 0
    said = run("merge", tmp_path / "1", tmp_path / "2", "--out", tmp_path / "run", "--json")
    assert json.loads(said.out)["items"] == ITEMS
    assert json.loads(said.out)["changed"]
    said = run("merge", tmp_path / "1", tmp_path / "2", "--out", tmp_path / "run")
    assert said.code == 0
    assert "were merged into" in said.err
    assert "nothing was changed" in said.err
    said = run("merge", tmp_path / "1", tmp_path / "1", "--out", tmp_path / "other")
    assert (said.code, "is given twice" in said.err) == (2, True)
    said = run("merge", tmp_path / "1", "--out", tmp_path / "other")
    assert (said.code, "10 of 20 items are in none of the 1 parts" in said.err.replace("\n", " ")) == (4, True)
    assert not (tmp_path / "other").exists()
    said = run(*common, "--shard", "2/3", "--out", tmp_path / "1", "--resume")
    assert (said.code, "is part 1/2 of a run" in said.err) == (4, True)
    said = run(*common, "--out", tmp_path / "1", "--resume")
    assert (said.code, "merge the parts" in said.err) == (4, True)
    said = run("inspect", tmp_path / "1")
    assert (said.code, "is part 1/2 of a run; `openr-data merge` makes" in said.err) == (4, True)
    assert run("verify", tmp_path / "1").code == 0


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "-1/2", "1/2/3", "1.5/2"])
def test_a_share_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--shard is i/n with 1 <= i <= n, such as 1/4, not"):
        Share.parse(text)


@pytest.mark.parametrize("count", [1, 2, 3, 10])
@pytest.mark.parametrize("items", [0, 1, 9, 30])
def test_the_shares_are_all_items_once(count: int, items: int) -> None:
    shares = [Share(index + 1, count) for index in range(count)]
    assert all(sum(item in share for share in shares) == 1 for item in range(items))
    assert [share.size(items) for share in shares] == [sum(item in share for item in range(items)) for share in shares]


def test_the_content_of_an_item_is_its_problem_and_its_solutions() -> None:
    def solution(*steps: str) -> Solution:
        return Solution("s", "p", steps, Verdict("right", "exact"))

    problem = Problem("p", "2+2", "4")
    items = [problem, replace(problem, answer="5"), replace(problem, id="q"), replace(problem, question="2+2\ud800")]
    graded = [
        GradedItem(problem, solutions) for solutions in ((solution("a", "b"),), (solution("ab"),), (solution("a"), solution("b")))
    ]
    contents = [content(item) for item in (*items, *graded)]
    assert len(set(contents)) == len(contents)
    assert content(replace(problem, metadata={"level": "1"})) == content(problem)
    first, second = Marks(wanted=True), Marks(wanted=True)
    assert [first.next(item) for item in items] == [second.next(item) for item in items]
    assert Marks(wanted=False).next(problem) == (0, bytes(32))


def test_a_part_of_an_input_without_problems_is_refused_before_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text('{"question": "", "answer": "1"}\n')
    with pytest.raises(InputError, match="holds no problem"):
        generate(exact(ProblemSource(str(path))), share_of(tmp_path / "1", 1, 2))
    assert not (tmp_path / "1" / JOURNAL).exists()


def test_a_merge_that_is_interrupted_says_how_it_goes_on(source: ProblemSource, tmp_path: Path) -> None:
    def interrupted(_: Snapshot) -> None:
        raise KeyboardInterrupt

    parts = in_shares(exact(source), tmp_path, 2)
    with pytest.raises(Interrupted, match="the merge was stopped; the same command does the rest"):
        merge(parts, tmp_path / "run", report=interrupted)
    assert merge(parts, tmp_path / "run").changed


def test_the_summary_says_what_was_merged(source: ProblemSource, tmp_path: Path) -> None:
    summary = merge(in_shares(exact(source), tmp_path, 2), tmp_path / "run")
    assert isinstance(summary, MergeSummary)
    assert summary.rows == {"solutions": 4 * ITEMS, "problems": ITEMS}
    assert summary.out == str(tmp_path / "run")
