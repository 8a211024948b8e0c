"""`export`: every solution accounted for, labels as asked, files that load, published rows given back, nothing half-done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from export_runs import imported, labelled, mixed_item, mixed_items, write_run

from openr_data.errors import InputError, OpenRDataError, RunDirError, UsageError
from openr_data.layouts import LAYOUTS
from openr_data.layouts.columnar import ARROW_LAYOUTS
from openr_data.pipelines.exporting import files as export_files
from openr_data.pipelines.exporting.config import ExportConfig, ExportSummary
from openr_data.pipelines.exporting.export import export
from openr_data.pipelines.importing.run import ImportConfig, import_file
from openr_data.pipelines.splits import Splits
from openr_data.problems import ProblemSource
from openr_data.types import Problem

ITEMS = 7


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("export") / "run", mixed_items(ITEMS))


@pytest.fixture(scope="module")
def datasets() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        import datasets as library

        patch.setattr("datasets.config.HF_HUB_OFFLINE", True)
        library.disable_progress_bars()
        yield library
        library.enable_progress_bars()


def rows_of(out: Path, split: str = "train") -> list[dict[str, Any]]:
    """The rows as they lie in the files, without the `datasets` library."""
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    for path in sorted((out / "data").glob(f"{split}-*")):
        if path.suffix == ".parquet":
            rows += pq.read_table(path).to_pylist()
        else:
            rows += [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    return rows


def accounted(summary: ExportSummary) -> bool:
    return summary.solutions == summary.used + sum(summary.dropped.values())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_solution_is_used_or_dropped_with_its_reason(run: Path, tmp_path: Path, layout: str) -> None:
    summary = export(run, ExportConfig(layout), tmp_path / "out")
    assert accounted(summary)
    assert summary.solutions == 7 * ITEMS
    assert (summary.dropped["undecided"], summary.dropped["uncertain"]) == (ITEMS, ITEMS)
    assert summary.rows == len(rows_of(tmp_path / "out")) == sum(summary.splits.values()) > 0
    assert not summary.faithful


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_loads_with_equal_rows(run: Path, tmp_path: Path, layout: str, datasets: Any) -> None:
    out = tmp_path / "out"
    summary = export(run, ExportConfig(layout, splits=Splits(0.5, 0.25, 0.25)), out)
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == summary.splits
    assert len(summary.splits) > 1
    for name, split in loaded.items():
        assert split.to_list() == rows_of(out, name)
        assert list(split.column_names) == list(LAYOUTS[layout].columns)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_card_spells_the_features_as_the_datasets_library_does(run: Path, tmp_path: Path, layout: str, datasets: Any) -> None:
    from huggingface_hub import DatasetCard

    out = tmp_path / "out"
    export(run, ExportConfig(layout), out)
    (info,) = DatasetCard.load(out / "README.md").data.to_dict()["dataset_info"]
    loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert info["features"] == loaded.features._to_yaml_list()
    if layout in ARROW_LAYOUTS:
        (file,) = (out / "data").iterdir()
        assert datasets.Dataset.from_parquet(str(file), cache_dir=str(tmp_path / "c")).features == loaded.features


def test_hard_labels_of_trl(run: Path, tmp_path: Path) -> None:
    export(run, ExportConfig("trl"), tmp_path / "out")
    rows = rows_of(tmp_path / "out")[:5]
    question = "Was ist 0 + 1? ∑ “θ” \U0001d4d0"
    assert rows[1] == {"prompt": question, "completions": ["0 + 1 ≤ …", "also 0", "Schluß"], "labels": [True, False, False]}
    assert [row["labels"] for row in rows] == [[True] * 2, [True, False, False], [False] * 2, [True] * 3, [True, False]]


def test_soft_labels_are_measured_and_else_the_hard_ones(run: Path, tmp_path: Path) -> None:
    summary = export(run, ExportConfig("trl", labels="soft"), tmp_path / "out")
    labels = [row["labels"] for row in rows_of(tmp_path / "out")[:5]]
    assert labels == [[1.0, 1.0], [0.75, 0.0, 0.0], [0.0, 0.0], [1.0, 1.0, 1.0], [0.5, 0.0]]
    assert summary.filled == (1 + 1 + 3) * ITEMS
    assert "int(label)" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_cutting_ends_a_solution_with_its_first_error(run: Path, tmp_path: Path) -> None:
    summary = export(run, ExportConfig("trl", after_error="cut"), tmp_path / "out")
    labels = [row["labels"] for row in rows_of(tmp_path / "out")[:5]]
    assert labels == [[True, True], [True, False], [False], [True, True, True], [True, False]]
    assert summary.steps == 10 * ITEMS
    export(run, ExportConfig("openr", after_error="cut"), tmp_path / "json")
    assert [row["label"] for row in rows_of(tmp_path / "json")[:3]] == [["+", "+"], ["+", "-"], ["-"]]


@pytest.mark.parametrize(
    ("config", "used", "dropped"),
    [
        (ExportConfig("trl", keep_uncertain=True), 6, {"undecided": 1}),
        (ExportConfig("trl", min_confidence=0.5), 4, {"undecided": 1, "uncertain": 1, "low_confidence": 1}),
        (ExportConfig("trl", keep_uncertain=True, min_confidence=0.7), 4, {"undecided": 1, "low_confidence": 2}),
        (ExportConfig("trl", origin="rollout"), 1, {"origin": 6}),
        (ExportConfig("trl", origin="given"), 4, {"origin": 1, "undecided": 1, "uncertain": 1}),
        (ExportConfig("sft"), 2, {"undecided": 1, "uncertain": 1, "wrong_answer": 2, "wrong_step": 1}),
    ],
)
def test_what_is_left_out_and_why(run: Path, tmp_path: Path, config: ExportConfig, used: int, dropped: dict[str, int]) -> None:
    summary = export(run, config, tmp_path / "out")
    assert summary.used == used * ITEMS
    assert dict(summary.dropped) == {reason: count * ITEMS for reason, count in dropped.items()}


def test_pairs_come_from_solutions_and_from_right_rollouts(run: Path, tmp_path: Path) -> None:
    export(run, ExportConfig("step-dpo", pairs_per_problem=0), tmp_path / "out")
    rows = [row for row in rows_of(tmp_path / "out") if row["prompt"] == mixed_item(0)[0].question]
    shared, opened = "0 + 1 ≤ …", "0 + 1 ≤ …\n"
    chosen = {(row["initial_reason_steps"], row["rejected"], row["chosen"]) for row in rows}
    assert chosen == {
        *((opened, wrong, right) for wrong in ("also 0", "oh") for right in ("also 1", "noch", "Anders gesagt.")),
        ("", "falsch", shared),
        ("", "falsch", "Vorn."),
    }
    assert len(rows) == len(chosen)
    rolled = next(row for row in rows if row["chosen"] == "Anders gesagt.")
    assert rolled["full_chosen"] == "Anders gesagt.\nEnde."
    assert {(row["dataset"], row["answer"]) for row in rows} == {("test", "1")}


def test_the_bound_on_pairs_is_per_problem_and_told(run: Path, tmp_path: Path) -> None:
    every = export(run, ExportConfig("step-dpo", pairs_per_problem=0), tmp_path / "every")
    bound = export(run, ExportConfig("step-dpo", pairs_per_problem=3), tmp_path / "bound")
    assert (bound.rows, bound.rows + bound.left_out, every.left_out) == (3 * ITEMS, every.rows, 0)
    first = [row["rejected"] for row in rows_of(tmp_path / "bound")[:3]]
    assert first == ["also 0", "falsch", "oh"]  # every rejected one has its turn


def test_a_question_stands_in_one_split(run: Path, tmp_path: Path) -> None:
    splits = Splits(0.5, 0.25, 0.25)
    for layout in ("trl", "processbench"):
        export(run, ExportConfig(layout, splits=splits), tmp_path / layout)
        name = "prompt" if layout == "trl" else "problem"
        for split in ("train", "validation", "test"):
            assert all(splits.of(row[name]) == split for row in rows_of(tmp_path / layout, split))


@pytest.mark.parametrize("layout", ["trl", "openr"])
def test_files_are_bounded_and_named_when_their_number_is_known(run: Path, tmp_path: Path, layout: str, datasets: Any) -> None:
    out = tmp_path / "out"
    summary = export(run, ExportConfig(layout, shard_bytes=600), out)
    assert len(summary.files) > 1
    names = [Path(file.path).name for file in summary.files]
    assert names == [f"train-{i:05d}-of-{len(names):05d}{Path(names[0]).suffix}" for i in range(len(names))]
    if layout == "openr":
        assert all(file.bytes <= 600 for file in summary.files)
    loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == summary.rows
    (out / summary.files[-1].path).unlink()
    with pytest.raises(datasets.exceptions.NonMatchingSplitsSizesError):
        datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache2"))


def test_texts_are_the_same_bytes_in_json(run: Path, tmp_path: Path) -> None:
    export(run, ExportConfig("processbench"), tmp_path / "out")
    (file,) = (tmp_path / "out" / "data").iterdir()
    data = file.read_bytes()
    assert "Was ist 3 + 1? ∑ “θ” \U0001d4d0".encode() in data
    assert b"\\u" not in data
    assert b"\r" not in data


PUBLISHED: dict[str, list[dict[str, Any]]] = {
    "trl": [
        {"prompt": "θ?", "completions": ["a", "b"], "labels": [True, False]},
        {"prompt": "θ?", "completions": ["a", "b", "c"], "labels": [False, None, True]},
        {"prompt": "Q", "completions": ["x"], "labels": [None]},
    ],
    "scan": [{"question": "q", "steps": ["a", "b"], "scores": [1.0, 0.25]}, {"question": "r", "steps": ["a"], "scores": [None]}],
    "rlhflow": [
        {"conversations": [{"content": "Q? Step 1: a", "role": "user"}, {"content": "-", "role": "assistant"}]},
    ],
    "sft": [{"prompt": "a", "completion": "b\n\nc\n"}, {"prompt": "a", "completion": "d"}],
    "preference": [{"prompt": "a", "chosen": "b", "rejected": "c\nd"}, {"prompt": "a", "chosen": "e", "rejected": "f"}],
    "step-dpo": [
        {
            "dataset": "d",
            "prompt": "p",
            "initial_reason_steps": "Step 1: a\nStep 2:",
            "chosen": " b",
            "rejected": " c",
            "full_chosen": " b\nStep 3: d",
            "full_rejected": " c",
            "answer": "1",
        }
    ],
}


@pytest.mark.parametrize("layout", PUBLISHED)
def test_a_published_file_comes_back_row_by_row(tmp_path: Path, layout: str, datasets: Any) -> None:
    run = imported(tmp_path, layout, PUBLISHED[layout])
    summary = export(run, ExportConfig(layout), tmp_path / "out")
    assert (summary.faithful, summary.dropped) == (True, {})
    assert rows_of(tmp_path / "out") == PUBLISHED[layout]
    assert [Path(file.path).suffix for file in summary.files] == [".parquet"]
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.to_list() == PUBLISHED[layout]


@pytest.mark.parametrize("layout", PUBLISHED)
def test_columns_that_we_do_not_know_come_back_as_json_lines(tmp_path: Path, layout: str) -> None:
    rows = [{**row, "id": number, "θ": ["x", None]} for number, row in enumerate(PUBLISHED[layout])]
    summary = export(imported(tmp_path, layout, rows), ExportConfig(layout), tmp_path / "out")
    assert rows_of(tmp_path / "out") == rows
    assert [Path(file.path).suffix for file in summary.files] == [".jsonl"]


def test_hard_and_soft_rows_in_one_file_come_back(tmp_path: Path, datasets: Any) -> None:
    rows = [PUBLISHED["trl"][0], {"prompt": "s", "completions": ["a", "b"], "labels": [0.5, 1.0]}]
    summary = export(imported(tmp_path, "trl", rows), ExportConfig("trl"), tmp_path / "out")
    found = rows_of(tmp_path / "out")
    assert (found, repr(found)) == (rows, repr(rows))
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert (loaded.to_list(), summary.labels) == (rows, "published")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_export_is_recognised_imported_and_exported_again_as_it_was(run: Path, tmp_path: Path, layout: str) -> None:
    first = export(run, ExportConfig(layout), tmp_path / "first")
    guessed: list[str] = []
    source = ProblemSource(str(tmp_path / "first" / "data"))
    summary = import_file(ImportConfig(source, "auto"), tmp_path / "again", on_layout=guessed.append)
    assert (guessed, summary.rejected, summary.rows) == ([layout], {}, first.rows)
    second = export(tmp_path / "again", ExportConfig(layout), tmp_path / "second")
    assert second.faithful
    assert rows_of(tmp_path / "second") == rows_of(tmp_path / "first")


def test_the_card_says_whose_labels_they_are(run: Path, tmp_path: Path) -> None:
    def card(source: Path, layout: str) -> str:
        export(source, ExportConfig(layout), tmp_path / f"{source.name}-{layout}")
        return (tmp_path / f"{source.name}-{layout}" / "README.md").read_text(encoding="utf-8")

    ours, theirs = card(run, "trl"), imported(tmp_path, "scan", PUBLISHED["scan"][:1])
    assert "annotations_creators:\n- machine-generated" in ours
    assert "binary search over each wrong solution" in ours
    assert "7 left out: undecided" in ours
    for layout in ("scan", "trl"):
        said = card(theirs, layout)
        assert "annotations_creators:\n- found" in said
        assert "The labels are not ours" in said
        assert "a right answer reached by wrong steps" not in said
    assert "The rows are those that were imported" in card(theirs, "scan")


def test_what_is_asked_of_the_labels_ends_faithfulness(tmp_path: Path) -> None:
    run = imported(tmp_path, "trl", PUBLISHED["trl"])
    summary = export(run, ExportConfig("trl", labels="hard"), tmp_path / "out")
    assert (summary.faithful, dict(summary.dropped)) == (False, {"undecided": 1, "unlabelled_step": 1})
    assert rows_of(tmp_path / "out") == PUBLISHED["trl"][:1]


def test_one_published_layout_becomes_another(tmp_path: Path) -> None:
    run = imported(tmp_path, "scan", [{"question": "q", "steps": ["a", "b"], "scores": [1.0, 0.25]}])
    export(run, ExportConfig("trl"), tmp_path / "trl")
    assert rows_of(tmp_path / "trl") == [{"prompt": "q", "completions": ["a", "b"], "labels": [True, False]}]


def test_a_rating_is_a_soft_value(tmp_path: Path) -> None:
    solution = labelled("s", ["a", "b", "c"], 2, values=[1.0, 0.0, -1.0], estimator="rating")
    run = write_run(tmp_path / "run", [(Problem("p", "q", "1"), [solution], [])])
    export(run, ExportConfig("scan"), tmp_path / "out")
    assert rows_of(tmp_path / "out")[0]["scores"] == [1.0, 0.5, 0.0]


def test_values_that_are_no_probabilities_are_refused_as_soft_labels(tmp_path: Path) -> None:
    solution = labelled("s", ["a", "b"], 1, values=[0.25, -0.5], estimator="advantage")
    run = write_run(tmp_path / "run", [(Problem("p", "q", "1"), [solution], [])])
    with pytest.raises(UsageError, match=r"advantage.*--labels hard"):
        export(run, ExportConfig("scan"), tmp_path / "out")
    assert export(run, ExportConfig("scan", labels="hard"), tmp_path / "out").rows == 1


def test_the_same_export_again_changes_nothing(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = export(run, ExportConfig("trl"), out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = export(run, ExportConfig("trl"), out)
    assert again.unchanged
    assert (again.rows, again.files) == (first.rows, first.files)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    with pytest.raises(RunDirError, match="other options"):
        export(run, ExportConfig("trl", labels="soft"), out)
    (out / first.files[0].path).unlink()
    with pytest.raises(RunDirError, match="is missing or was changed"):
        export(run, ExportConfig("trl"), out)


def test_two_exports_have_the_same_bytes(run: Path, tmp_path: Path) -> None:
    for layout in ("step-dpo", "math-aps"):
        one, two = (export(run, ExportConfig(layout), tmp_path / f"{layout}{number}") for number in (1, 2))
        assert [file.sha256 for file in one.files] == [file.sha256 for file in two.files]
        assert (tmp_path / f"{layout}1" / "README.md").read_bytes() == (tmp_path / f"{layout}2" / "README.md").read_bytes()


def test_a_directory_with_something_else_is_left_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RunDirError, match="not an export of openr-data"):
        export(run, ExportConfig("trl"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
    with pytest.raises(RunDirError, match="inside the run"):
        export(run, ExportConfig("trl"), run / "export")


def test_an_empty_directory_may_be_filled(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert export(run, ExportConfig("trl"), tmp_path / "out").rows == 5 * ITEMS


@pytest.mark.parametrize("layout", ["trl", "openr"])
def test_what_breaks_off_leaves_nothing(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(export_files, "sync_file", full)
        with pytest.raises(OpenRDataError, match="No space left"):
            export(run, ExportConfig(layout), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_is_cleared_away(run: Path, tmp_path: Path) -> None:
    left = tmp_path / ".out.partial" / "data"
    left.mkdir(parents=True)
    (left / "train-00000.parquet").write_bytes(b"half")
    (left.parent / "README.md").write_bytes(b"half")
    summary = export(run, ExportConfig("trl"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file()) == sorted(
        ["README.md", "export.json", Path(summary.files[0].path).name]
    )


def test_what_cannot_be_exported_is_said_in_a_sentence(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--format is one of prm800k, .*, not 'csv'"):
        export(run, ExportConfig("csv"), tmp_path / "out")
    with pytest.raises(UsageError, match="no place for soft labels"):
        export(run, ExportConfig("rlhflow", labels="soft"), tmp_path / "out")
    unfinished = write_run(tmp_path / "unfinished", mixed_items(4), finished=False)
    with pytest.raises(RunDirError, match=r"not finished.*--resume"):
        export(unfinished, ExportConfig("trl"), tmp_path / "out")
    undecided = write_run(tmp_path / "undecided", [(Problem("p", "q", "1"), [labelled("s", ["a"], None)], [])])
    with pytest.raises(InputError, match="undecided 1"):
        export(undecided, ExportConfig("trl"), tmp_path / "out")
    damaged = write_run(tmp_path / "damaged", mixed_items(2))
    (damaged / "data" / "labeled" / "train-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunDirError, match="verify"):
        export(damaged, ExportConfig("trl"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / ".out.partial").exists()


def test_spans_of_tokens_join_without_a_separator(tmp_path: Path) -> None:
    problem, solutions, nodes = mixed_item(0)
    run = write_run(tmp_path / "run", [(problem, solutions, nodes)], settings={"separator": ""})
    export(run, ExportConfig("sft"), tmp_path / "sft")
    assert rows_of(tmp_path / "sft")[0]["completion"] == "0 + 1 ≤ …also 1"
    export(run, ExportConfig("step-dpo", pairs_per_problem=0), tmp_path / "pairs")
    assert "Anders gesagt." not in {row["chosen"] for row in rows_of(tmp_path / "pairs")}
    export(run, ExportConfig("preference"), tmp_path / "whole")
    assert rows_of(tmp_path / "whole")[0]["prompt"].startswith(f"{problem.question}\n")


def test_what_nobody_measured_or_graded_is_not_given_out_as_that(tmp_path: Path) -> None:
    signs = [{"input": "Q? Step 1: a ки\nStep 2: b ки", "label": "Q? Step 1: a +\nStep 2: b +", "task": "GSM8K"}]
    shepherd = imported(tmp_path, "math-shepherd", signs)
    assert export(shepherd, ExportConfig("scan"), tmp_path / "scan").filled == 2
    assert export(shepherd, ExportConfig("sft"), tmp_path / "sft").rows == 1
    with pytest.raises(InputError, match="not_measured 1"):
        export(shepherd, ExportConfig("math-aps"), tmp_path / "aps")
    steps = [{"completions": [{"text": text, "rating": 1} for text in "ab"], "chosen_completion": 0}]
    rated = imported(tmp_path, "prm800k", [{"question": {"problem": "Q"}, "label": {"steps": steps}}])
    with pytest.raises(InputError, match="unknown_answer 2"):
        export(rated, ExportConfig("sft"), tmp_path / "prefixes")
