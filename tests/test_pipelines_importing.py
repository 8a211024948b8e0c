"""A published file becomes a run in which every row is accounted for, and from which it comes back as it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from store_runs import data_digests

from openr_data.errors import InputError, RunDirError, UsageError
from openr_data.layouts import LAYOUTS
from openr_data.layouts.base import ReadOptions
from openr_data.layouts.faithful import faithful_rows
from openr_data.pipelines.importing.run import ImportConfig, ImportSummary, import_file
from openr_data.problems import ProblemSource
from openr_data.store.read import RunReader
from openr_data.store.verify import verify_run

SHARED = Path(os.environ.get("OPENR_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")

BENCH = [
    {
        "id": f"x-{n}",
        "generator": "G",
        "problem": f"Q{n // 2} θ°’",
        "steps": ["a", "b\u2028"],
        "final_answer_correct": True,
        "label": -1,
    }
    for n in range(7)
]


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8", newline="\n")
    return path


def imported(path: Path, out: Path, layout: str = "auto", **options: Any) -> ImportSummary:
    shard_size, limit = options.pop("shard_size", 5000), options.pop("limit", 0)
    reading = options.pop("reading", ReadOptions())
    return import_file(ImportConfig(ProblemSource(str(path), limit=limit), layout, reading, shard_size), out, **options)


def rows_of(run: Path, layout: str) -> list[dict[str, Any]]:
    items = RunReader.open(run).items()
    return [row for item in items for row in faithful_rows(LAYOUTS[layout], item.problem, item.labeled)]


def rejects(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "rejects.jsonl").read_text("utf-8").splitlines()]


def test_rows_of_one_question_that_stand_together_are_one_problem(tmp_path: Path) -> None:
    summary = imported(write_lines(tmp_path / "bench.jsonl", BENCH), tmp_path / "run")
    assert (summary.format, summary.rows, summary.used, summary.items, summary.solutions) == ("processbench", 7, 7, 4, 7)
    assert (summary.steps, summary.labelled, summary.rejected) == (14, 14, {})
    items = list(RunReader.open(tmp_path / "run").items())
    assert [len(item.labeled) for item in items] == [2, 2, 2, 1]
    assert len({item.problem.id for item in items}) == 4
    assert [one.solution.index for one in items[0].labeled] == [0, 1]
    assert rows_of(tmp_path / "run", "processbench") == BENCH
    assert verify_run(tmp_path / "run").whole


def test_a_question_or_an_id_that_comes_again_is_kept_apart(tmp_path: Path) -> None:
    rows = [BENCH[0], BENCH[2], BENCH[0]]
    imported(write_lines(tmp_path / "bench.jsonl", rows), tmp_path / "run")
    items = list(RunReader.open(tmp_path / "run").items())
    assert items[2].problem.id == f"{items[0].problem.id}#2"
    assert items[2].labeled[0].solution.id == "x-0#2"
    assert rows_of(tmp_path / "run", "processbench") == rows


def test_every_row_is_used_or_rejected_with_its_reason(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "bench.jsonl", [BENCH[0], {**BENCH[1], "label": 9}, {**BENCH[2], "steps": []}])
    with path.open("ab") as file:
        file.write(
            b'{"problem": "\xff"}\nnot json\n{"problem": "\\ud800", "steps": ["a"], "label": -1, "final_answer_correct": true}\n'
        )
        file.write(b'{"problem": " ", "steps": ["a"], "label": -1, "final_answer_correct": true}\n')
    summary = imported(path, tmp_path / "run", "processbench")
    assert (summary.rows, summary.used) == (7, 1)
    assert summary.rejected == {
        "bad_json": 1,
        "bad_utf8": 1,
        "labels_mismatch": 1,
        "lone_surrogate": 1,
        "no_question": 1,
        "no_steps": 1,
    }
    assert [(note["row"], note["reason"]) for note in rejects(tmp_path / "run")] == [
        (1, "labels_mismatch"),
        (2, "no_steps"),
        (3, "bad_utf8"),
        (4, "bad_json"),
        (5, "lone_surrogate"),
        (6, "no_question"),
    ]


def test_strict_ends_at_the_first_bad_row(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "bench.jsonl", [BENCH[0], {**BENCH[1], "label": 9}])
    with pytest.raises(InputError, match=r"bench.jsonl, line 2: `label` is 9, and there are 2 steps"):
        imported(path, tmp_path / "run", strict=True)


def test_what_came_to_nothing_leaves_the_directory_free(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "bench.jsonl", [BENCH[0], {**BENCH[1], "label": 9}])
    with pytest.raises(InputError, match=r"no row of"):
        imported(path, tmp_path / "run", "prm800k")
    with pytest.raises(InputError, match=r"line 2"):
        imported(path, tmp_path / "run", strict=True)
    assert imported(path, tmp_path / "run").used == 1


def test_a_run_is_not_imported_and_options_that_say_nothing_are_refused(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "bench.jsonl", BENCH)
    for reading, name in ((ReadOptions(threshold=0.5), "--threshold"), (ReadOptions(neutral="bad"), "--neutral")):
        with pytest.raises(UsageError, match=rf"{name} says nothing to the layout processbench"):
            imported(path, tmp_path / "run", reading=reading)
    imported(path, tmp_path / "run")
    with pytest.raises(UsageError, match=r"is a run of openr-data already"):
        imported(tmp_path / "run", tmp_path / "again")


def test_an_unknown_layout_is_told_with_the_known_ones(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "odd.jsonl", [{"prompt\x1b": 1}])
    with pytest.raises(InputError, match=r"is of no layout that is known here; columns seen: prompt\\x1b; name it with --format"):
        imported(path, tmp_path / "run")
    with pytest.raises(UsageError, match=r"--format is auto or one of prm800k, .*not 'xml'"):
        imported(path, tmp_path / "run", "xml")
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match=r"no row of .* is of the layout processbench: odd.jsonl, line 1"):
        imported(path, tmp_path / "run", "processbench")


def test_an_empty_file_and_one_of_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match=r"holds no row that can be read"):
        imported(tmp_path / "empty.jsonl", tmp_path / "run")
    (tmp_path / "utf16.jsonl").write_text(json.dumps(BENCH[0]) + "\n", encoding="utf-16")
    with pytest.raises(InputError):
        imported(tmp_path / "utf16.jsonl", tmp_path / "run", "processbench")


def test_a_run_that_is_there_is_refused_and_resumed_only_as_itself(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "bench.jsonl", BENCH)
    imported(path, tmp_path / "run")
    before = data_digests(tmp_path / "run")
    with pytest.raises(RunDirError, match=r"already holds a run"):
        imported(path, tmp_path / "run")
    imported(path, tmp_path / "run", mode="resume")
    assert data_digests(tmp_path / "run") == before
    with pytest.raises(RunDirError, match=r"written by a different run: config.run.source.limit \(0, now 3\)"):
        imported(path, tmp_path / "run", mode="resume", limit=3)
    assert data_digests(tmp_path / "run") == before


def test_a_damaged_shard_is_made_again(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "bench.jsonl", BENCH)
    imported(path, tmp_path / "run", shard_size=1)
    before = data_digests(tmp_path / "run")
    shard = tmp_path / "run" / "data" / "labeled" / "train-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:-9])
    imported(path, tmp_path / "run", shard_size=1, mode="resume")
    assert data_digests(tmp_path / "run") == before


@pytest.mark.slow
def test_kill_9_leaves_what_the_same_command_finishes(tmp_path: Path) -> None:
    rows = [{**BENCH[0], "id": f"x-{n}", "problem": f"Q{n}"} for n in range(3000)]
    path = write_lines(tmp_path / "bench.jsonl", rows)
    imported(path, tmp_path / "whole", shard_size=100)
    arguments = [str(path), "--out", str(tmp_path / "run"), "--shard-size", "100", "--resume", "--format", "processbench"]
    command = [sys.executable, "-m", "openr_data", "import", *arguments]
    for wait in (2, 6):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "run").glob("data/labeled/*.parquet"))) < wait and time.monotonic() < deadline:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    subprocess.run(command, check=True, capture_output=True)
    assert data_digests(tmp_path / "run") == data_digests(tmp_path / "whole")


def test_parquet_and_folders_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(BENCH[:4]), tmp_path / "data" / "a.parquet")
    pq.write_table(pa.Table.from_pylist(BENCH[4:]), tmp_path / "data" / "b.parquet")
    assert imported(tmp_path / "data", tmp_path / "run").rows == 7
    assert rows_of(tmp_path / "run", "processbench") == BENCH


def test_the_limit_counts_rows(tmp_path: Path) -> None:
    summary = imported(write_lines(tmp_path / "bench.jsonl", BENCH), tmp_path / "run", limit=3)
    assert (summary.rows, summary.items) == (3, 2)


def test_a_value_that_json_has_no_word_for_costs_its_row_alone(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{**row, "blob": b"x" if n == 1 else None} for n, row in enumerate(BENCH)])
    pq.write_table(table, tmp_path / "a.parquet")
    summary = imported(tmp_path / "a.parquet", tmp_path / "run", "processbench")
    assert (summary.used, summary.rejected) == (6, {"wrong_type": 1})


def test_the_command_says_what_it_guessed_and_counts_every_row(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "bench.jsonl", [*BENCH, {**BENCH[0], "label": 5}])
    command = [sys.executable, "-m", "openr_data", "import", str(path), "--out", str(tmp_path / "run"), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    said = json.loads(done.stdout)
    assert (said["format"], said["rows"], said["used"], said["rejected"]) == ("processbench", 8, 7, {"labels_mismatch": 1})
    assert "the columns are those of processbench" in done.stderr
    wrong = subprocess.run([*command, "--neutral", "perhaps"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.strip() == "error: --neutral is good, bad or none, not 'perhaps'"


SAMPLES = {
    "samples_prm800k.jsonl": ("prm800k", 6, {"give_up": 1, "screening": 1}),
    "samples_math-shepherd.jsonl": ("math-shepherd", 7, {}),
    "samples_math-aps.jsonl": ("math-aps", 3, {}),
    "samples_math-aps-tree.jsonl": ("math-aps-tree", 3, {}),
    "processbench_gsm8k.json": ("processbench", 400, {}),
    "processbench_math.json": ("processbench", 1000, {}),
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared data")
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_published_samples_come_back_row_by_row(name: str, tmp_path: Path) -> None:
    layout, rows, refused = SAMPLES[name]
    summary = imported(SHARED / name, tmp_path / "run")
    assert (summary.format, summary.rows, summary.rejected) == (layout, rows, refused)
    text = (SHARED / name).read_text("utf-8")
    published = json.loads(text) if name.endswith(".json") else [json.loads(line) for line in text.splitlines()]
    refused_rows = {note["row"] for note in rejects(tmp_path / "run")}
    assert rows_of(tmp_path / "run", layout) == [row for number, row in enumerate(published) if number not in refused_rows]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared data")
def test_all_of_prm800k_samples_come_back_with_what_is_set_aside(tmp_path: Path) -> None:
    summary = imported(SHARED / "samples_prm800k.jsonl", tmp_path / "run", reading=ReadOptions(keep_excluded=True))
    assert (summary.rows, summary.used) == (6, 6)
    published = [json.loads(line) for line in (SHARED / "samples_prm800k.jsonl").read_text("utf-8").splitlines()]
    assert rows_of(tmp_path / "run", "prm800k") == published


def test_columns_of_times_and_bytes_are_no_reason_to_fall_over(tmp_path: Path) -> None:
    rows = pa.table({"prompt": ["Q"], "completions": [["a"]], "labels": [[True]]})
    when = rows.append_column("when", pa.array([1], pa.timestamp("s")))
    pq.write_table(when, tmp_path / "when.parquet")
    assert imported(tmp_path / "when.parquet", tmp_path / "run").format == "trl"
    assert rows_of(tmp_path / "run", "trl")[0]["when"] == "1970-01-01T00:00:01"
    pq.write_table(rows.append_column("raw", pa.array([b"x"])), tmp_path / "raw.parquet")
    with pytest.raises(InputError, match=r"layout trl: raw.parquet, line 1: a value cannot be kept: a value of type bytes"):
        imported(tmp_path / "raw.parquet", tmp_path / "other")
