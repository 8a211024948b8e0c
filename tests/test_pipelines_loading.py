"""`openr_data.load`: whatever it opens, records and frames say the same, and what cannot be opened is told in one sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from publishing import options, small_run
from store_runs import write_run
from test_pipelines_stage import config, write_problems

import openr_data
from openr_data.errors import InputError, OpenRDataError, RunDirError, UsageError
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.exporting.config import ExportConfig
from openr_data.pipelines.exporting.export import export
from openr_data.pipelines.generate import generate
from openr_data.pipelines.loading.step_frame import COLUMNS
from openr_data.pipelines.publishing.folder import FolderTarget
from openr_data.pipelines.publishing.publish import publish
from openr_data.pipelines.splits import Splits
from openr_data.store.read import RunReader
from openr_data.types import NO_ERROR, StepLabel

ITEMS = 24


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("loading") / "run", ITEMS)


@pytest.fixture(scope="module")
def published(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "set"
    publish(run, FolderTarget(str(folder)), options())
    return folder


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("solved")
    generate(config(write_problems(base / "problems.jsonl", 5)), RunOptions(base / "run"))
    return base / "run"


def processbench(path: Path, *rows: dict[str, object]) -> Path:
    usual = {"id": "p", "generator": "m", "problem": "2 + 2?", "steps": ["one", "two", "three"], "final_answer_correct": False}
    path.write_text("\n".join(json.dumps({**usual, **row}) for row in rows), encoding="utf-8")
    return path


def test_records_are_those_of_the_run(run: Path) -> None:
    data = openr_data.load(run)
    items = list(RunReader.open(run).items())
    assert list(data) == list(data.records()) == items
    assert len(data) == ITEMS == len(items)
    assert list(data.problems()) == [item.problem for item in items]
    assert list(data.labeled()) == [one for item in items for one in item.labeled]
    assert list(data.solutions()) == [one.solution for item in items for one in item.labeled]
    assert list(data.nodes()) == [node for item in items for node in item.nodes]
    assert [item.nodes for item in data.records(rollouts=False)] == [()] * ITEMS
    assert (data.complete, data.tables) == (True, ("labeled", "problems", "nodes", "rollouts"))


def test_the_steps_are_those_of_the_records(run: Path) -> None:
    """Every column against the typed values, the intervals against `StepLabel.interval`."""
    expected = []
    for one in openr_data.load(run).labeled():
        estimates = one.estimates or (None,) * len(one.labels)
        for index, (text, label, estimate, hard) in enumerate(
            zip(one.solution.steps, one.labels, estimates, one.hard_labels, strict=True)
        ):
            low, high = label.interval() if label else (None, None)
            counts = (label.hits, label.rollouts) if label else (None, None)
            value = (estimate.value, estimate.estimator, estimate.good) if estimate else (None, None, None)
            wrong = None if one.first_error is None else index == one.first_error
            ids = (one.solution.problem_id, one.solution.id)
            expected.append((*ids, index, text, *counts, value[0], low, high, *value[1:], hard, wrong, one.method))
    frame = openr_data.load(run).steps()
    assert tuple(frame.columns) == COLUMNS
    assert frame.height == len(expected) > 50
    for found, wanted in zip(frame.iter_rows(), expected, strict=True):
        assert found == pytest.approx(wanted, nan_ok=False) if None not in wanted else _close(found, wanted)


def _close(found: tuple[object, ...], wanted: tuple[object, ...]) -> bool:
    return all(a == b or (isinstance(b, float) and a == pytest.approx(b)) for a, b in zip(found, wanted, strict=True))


def test_the_interval_of_no_hits_is_the_one_worked_by_hand(tmp_path: Path) -> None:
    """0 of 8: upper bound z^2 / (n + z^2) = 3.8416 / 11.8416."""
    write_run(tmp_path / "run", range(2), total=2)
    frame = openr_data.load(tmp_path / "run").steps()
    zero = frame.filter(hits=0, rollouts=8).row(0, named=True)
    assert zero["low"] == 0.0
    assert zero["high"] == pytest.approx(3.8416 / 11.8416)
    assert StepLabel(0, 8).interval()[1] == pytest.approx(3.8416 / 11.8416)


def test_frames_tables_and_data_sets_hold_the_same_rows(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = openr_data.load(run)
    rows = list(RunReader.open(run).rows("labeled"))
    assert data.frame().to_dicts() == data.table("labeled").to_pylist() == rows
    assert data.scan("nodes").collect().to_dicts() == list(RunReader.open(run).rows("nodes"))
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    loaded = data.dataset(cache_dir=str(tmp_path))
    assert list(loaded) == rows
    assert loaded.features["steps"].feature.dtype == "string"


def test_solutions_without_labels_have_steps_all_the_same(solved: Path) -> None:
    data = openr_data.load(solved)
    texts = [(one.id, index, text) for one in data.solutions() for index, text in enumerate(one.steps)]
    steps = data.steps()
    assert steps.select("solution_id", "index", "text").rows() == texts
    assert steps.drop("problem_id", "solution_id", "index", "text").null_count().sum_horizontal().item() == 10 * len(texts)
    with pytest.raises(UsageError, match="no table 'labeled'; it has solutions, problems"):
        data.labeled()
    with pytest.raises(UsageError, match="no table 'rollouts'"):
        data.frame("rollouts")


def test_an_unfinished_run_gives_what_is_sealed(tmp_path: Path) -> None:
    write_run(tmp_path / "run", range(6))  # of shards of four: one is sealed
    data = openr_data.load(tmp_path / "run")
    assert (data.complete, len(data), len(list(data))) == (False, 4, 4)
    assert "only what is finished so far" in repr(data)
    write_run(tmp_path / "begun", range(2))
    begun = openr_data.load(tmp_path / "begun")
    assert (begun.complete, len(begun), list(begun)) == (False, 0, [])
    assert begun.steps().is_empty()
    assert begun.frame().columns == openr_data.load(tmp_path / "run").frame().columns
    assert begun.dataset().num_rows == begun.statistics().solutions == 0
    assert "begun" in begun._repr_html_()


def test_a_published_folder_holds_the_records_of_its_run(run: Path, published: Path) -> None:
    data, original = openr_data.load(published), openr_data.load(run)
    assert {item.item: item for item in data} == {item.item: item for item in original}
    assert data.info.splits == ("train", "validation", "test")
    assert (data.info.method, data.info.command) == (original.info.method, "label")
    parts = [openr_data.load(published, split=name) for name in data.info.splits]
    assert [item for part in parts for item in part] == list(data)
    assert all(len(part) for part in parts)
    assert data.steps().sort("solution_id", maintain_order=True).equals(original.steps().sort("solution_id", maintain_order=True))
    with pytest.raises(UsageError, match="statistics are counted over a run"):
        data.statistics()


def test_a_published_folder_is_no_run(published: Path) -> None:
    with pytest.raises(RunDirError, match=r"is a published data set and no run directory; openr_data\.load opens it"):
        RunReader.open(published)


def test_a_published_folder_without_a_shard_is_refused(published: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(published, tmp_path / "set"))
    next(folder.glob("data*/nodes/train-*.parquet")).unlink()
    with pytest.raises(RunDirError, match="missing or not whole"):
        openr_data.load(folder)
    assert len(openr_data.load(folder, split="test")) > 0


def test_of_two_versions_nothing_is_mixed(published: Path, tmp_path: Path) -> None:
    """A publication to a folder replaces `run.json` before `manifest.json`."""
    assert openr_data.load(published).info.method == "omegaprm"
    between = Path(shutil.copytree(published, tmp_path / "set"))
    record = (between / "run.json").read_text()
    (between / "run.json").write_text(record.replace("omegaprm", "mips"))
    assert openr_data.load(between).info.method == ""


def test_a_manifest_cannot_lead_out_of_its_folder(published: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(published, tmp_path / "set"))
    body = json.loads((folder / "manifest.json").read_text())
    for each in body["files"]:
        each["path"] = "../" + each["path"]
    (folder / "manifest.json").write_text(json.dumps(body))
    with pytest.raises(InputError, match="holds no tables"):
        openr_data.load(folder)
    body["files"] = [{"path": "data/labeled/train-00000-of-00001.parquet", "rows": "many"}]
    (folder / "manifest.json").write_text(json.dumps(body))
    with pytest.raises(RunDirError, match=r"manifest\.json is damaged"):
        openr_data.load(folder)
    (folder / "manifest.json").write_text(json.dumps({**body, "schema_version": 99}))
    with pytest.raises(InputError, match="published with data schema 99"):
        openr_data.load(folder)


def test_a_published_file_is_read_without_a_run(tmp_path: Path) -> None:
    file = processbench(tmp_path / "errors.jsonl", {"label": 1}, {"id": "q", "problem": "3 + 3?", "label": -1}, {"steps": []})
    data = openr_data.load(file)
    assert (data.info.kind, data.info.layout, len(data)) == ("file", "processbench", 2)
    assert [one.first_error for one in data.labeled()] == [1, NO_ERROR]
    assert data.steps()["hard"].to_list() == [True, False, False, True, True, True]
    assert data.steps()["rollouts"].null_count() == 6
    assert sum(data.info.rejected.values()) == 1
    assert "left out" in repr(data)
    assert data.dataset().num_rows == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["errors.jsonl"]
    assert len(openr_data.load(file, layout="processbench")) == 2
    with pytest.raises(UsageError, match="layout is auto or one of"):
        openr_data.load(file, layout="guess")


def test_an_export_is_read_in_its_own_layout(run: Path, tmp_path: Path) -> None:
    how = ExportConfig("trl", splits=Splits(0.6, 0.2, 0.2))
    export(run, how, tmp_path / "out")
    data = openr_data.load(tmp_path / "out")
    assert (data.info.kind, data.info.layout) == ("export", "trl")
    decided = [one for one in openr_data.load(run).labeled() if one.first_error is not None]
    found = sorted((one.solution.steps, one.hard_labels) for one in data.labeled())
    assert found == sorted((one.solution.steps, one.hard_labels) for one in decided)
    parts = [openr_data.load(tmp_path / "out", split=name).frame().height for name in ("train", "validation", "test")]
    assert sum(parts) == len(found)
    assert all(parts)
    with pytest.raises(InputError, match="no data files of the split 'dev'"):
        openr_data.load(tmp_path / "out", split="dev")
    next((tmp_path / "out" / "data").glob("test-*")).unlink()
    assert openr_data.load(tmp_path / "out", split="train").frame().height == parts[0]
    with pytest.raises(RunDirError, match="is missing or not whole; export the run again"):
        openr_data.load(tmp_path / "out")


def test_what_cannot_be_opened_is_told_in_one_sentence(run: Path, tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.jsonl"
    unknown.write_text('{"a": 1}\n')
    (tmp_path / "empty").mkdir()
    cases: list[tuple[str, dict[str, str], type[OpenRDataError], str]] = [
        ("nowhere", {}, InputError, "there is no file or directory nowhere; give a path, or OWNER/NAME"),
        (str(tmp_path / "nowhere"), {}, InputError, "there is no file or directory"),
        (str(run.parent), {}, RunDirError, "is not a run itself, but holds run"),
        (str(tmp_path / "empty"), {}, RunDirError, "holds no run"),
        (str(unknown), {}, InputError, "name it with layout"),
        (str(run), {"split": "test"}, UsageError, "has no split 'test'"),
        (str(run), {"revision": "main"}, UsageError, "a revision belongs to a data set on the Hub"),
        (str(unknown), {"split": "train"}, UsageError, "which has no splits"),
    ]
    for place, how, kind, words in cases:
        with pytest.raises(kind, match=words) as told:
            openr_data.load(place, **how)
        assert "\n" not in str(told.value)
    assert len(openr_data.load(run, split="train")) == ITEMS


def test_a_damaged_file_is_told_by_records_frames_and_tables(run: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(run, tmp_path / "run"))
    shard = next((broken / "data" / "labeled").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-40])
    data = openr_data.load(broken)
    for read in (lambda: list(data), data.frame, data.table, data.steps, data.statistics):
        with pytest.raises(RunDirError, match="damaged or missing"):
            read()


def test_what_a_notebook_shows_is_escaped(tmp_path: Path) -> None:
    steps = ["<script>alert(1)</script>", "\x1b[31mred"]
    file = processbench(tmp_path / "<b>x.jsonl", {"id": "<i>", "problem": "a < b & c?", "steps": steps, "label": 0})
    shown = openr_data.load(file)._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "a &lt; b &amp; c?" in shown
    assert "&lt;b&gt;x.jsonl" in shown
    assert "\x1b" not in shown + repr(openr_data.load(file))


def test_importing_the_package_loads_nothing_heavy() -> None:
    probe = "import sys, openr_data; openr_data.__version__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    assert {"polars", "pyarrow", "torch", "datasets", "typer", "huggingface_hub"}.isdisjoint(loaded)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = openr_data.lode  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    assert {"load", "Corpus", "__version__"} <= set(dir(openr_data))
