"""A training put together: what it writes, what it refuses, how it goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prm_data_sets import asked, row, save_base, write
from prm_training import furthest, weights

from openr_data.errors import InputError, OpenRDataError, RunDirError, UsageError
from openr_data.pipelines.prm import training
from openr_data.pipelines.prm.collecting import DataReport
from openr_data.pipelines.prm.config import PRMRunConfig, SourceSpec
from openr_data.pipelines.prm.preview import Piece, example_of, pieces
from openr_data.pipelines.prm.record import NAME, ROWS, PRMRunRecord
from openr_data.pipelines.prm.training import Listeners, previewed, train_prm
from openr_data.pipelines.splits import Splits
from openr_data.prm.config import IGNORE, LabelReading, PRMConfig
from openr_data.prm.prepare import prepare
from openr_data.prm.progress import Progress
from openr_data.prm.train_config import ModelChoice
from openr_data.store.lock import DirectoryLock


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("labels") / "labels.jsonl", [row(number) for number in range(40)])


def refused(kind: type[OpenRDataError], config: PRMRunConfig, out: Path, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        train_prm(config, out, **options)
    return str(caught.value)


def size(rows: Any) -> int:
    return 0 if rows is None else len(rows)


@pytest.fixture(scope="module")
def trained(base: Path, labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "prm"
    train_prm(asked(base, labels), out)
    return out


def test_a_training_leaves_a_model_and_what_it_was_made_of(base: Path, labels: Path, trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} >= {
        "config.json", "model.safetensors", "tokenizer.json", "prm_config.json", "training.json", NAME, "rejects.jsonl",
    }  # fmt: skip
    assert not (trained / ROWS).exists()
    assert not (trained / training.WORK).exists()
    record = PRMRunRecord.load(trained)
    assert record.config == asked(base, labels).plain()
    assert set(record.inputs) == {str(labels), "base"}
    tally = record.data["sources"][str(labels)]
    assert tally["solutions"] == 40 == sum(tally["splits"].values())
    assert tally["good"] == 2 * tally["rows"] - tally["bad"]
    assert 0 < tally["bad"] < tally["rows"]
    assert record.data["held_out"] == tally["splits"]["validation"] > 0
    config = PRMConfig.load(trained)
    assert (config.tag, config.labels) == ("<step>", LabelReading())


def test_the_same_training_gives_the_same_weights(base: Path, labels: Path, trained: Path, tmp_path: Path) -> None:
    heard: list[Progress] = []
    result = train_prm(asked(base, labels), tmp_path / "prm", listeners=Listeners(on_progress=heard.append))
    assert furthest(weights(tmp_path / "prm"), weights(trained)) == 0
    assert heard[-1].step == result.steps
    assert result.auroc is not None


def test_a_killed_training_goes_on_to_the_same_weights(base: Path, labels: Path, trained: Path, tmp_path: Path) -> None:
    def kill(now: Progress) -> None:
        if now.step == 3:
            raise KeyboardInterrupt

    config = asked(base, labels)
    with pytest.raises(KeyboardInterrupt):
        train_prm(config, tmp_path / "prm", listeners=Listeners(on_progress=kill))
    assert not (tmp_path / "prm" / "prm_config.json").exists()
    assert "holds a training already; --resume" in refused(UsageError, config, tmp_path / "prm")
    result = train_prm(config, tmp_path / "prm", resume=True)
    assert furthest(weights(tmp_path / "prm"), weights(trained)) == 0
    again = train_prm(config, tmp_path / "prm", resume=True)
    assert (again.steps, again.auroc) == (result.steps, result.auroc)


def test_another_configuration_is_refused_by_its_fields(base: Path, labels: Path, trained: Path) -> None:
    config = asked(base, labels)
    other = replace(config, train=replace(config.train, batch=16), overlap=0.75)
    told = refused(RunDirError, other, trained, resume=True)
    assert "overlap (0.5, now 0.75); train.batch (8, now 16)" in told
    elsewhere = replace(config, train=replace(config.train, report_to=("none-of-ours",)))
    assert PRMRunRecord.of(elsewhere, {}).config == PRMRunRecord.of(config, {}).config


def test_data_that_changed_since_are_another_training(base: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", [row(number) for number in range(20)])
    config = asked(base, file, train={"max_steps": 1})
    train_prm(config, tmp_path / "prm")
    write(file, [row(number) for number in range(21)])
    assert f"inputs.{file} (sha256:" in refused(RunDirError, config, tmp_path / "prm", resume=True)


def test_a_second_process_is_refused(base: Path, labels: Path, tmp_path: Path) -> None:
    (tmp_path / "prm").mkdir()
    with DirectoryLock(tmp_path / "prm"):
        assert "is in use by process" in refused(RunDirError, asked(base, labels), tmp_path / "prm")


def test_a_directory_of_something_else_is_left_alone(base: Path, labels: Path, tmp_path: Path) -> None:
    (tmp_path / "prm").mkdir()
    (tmp_path / "prm" / "thesis.tex").write_text("x", encoding="utf-8")
    assert "is not empty" in refused(UsageError, asked(base, labels), tmp_path / "prm")
    assert [path.name for path in (tmp_path / "prm").iterdir()] == ["thesis.tex"]
    assert "holds no training that could go on" in refused(UsageError, asked(base, labels), tmp_path / "new", resume=True)
    assert not (tmp_path / "new").exists()


LONG = row(2, id="long", steps=["1 + 1 = 2 " * 60, "x"])
TAGGED = row(4, id="tagged", steps=["so", "a <step> within"])


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            [row(number) for number in range(0, 40, 2)],
            r"^all \d+ labelled steps of the training rows are good, and .* both kinds",
        ),
        ([row(n, steps=["no"], label=0) for n in range(20)], r"^all \d+ labelled steps of the training rows are wrong"),
        ([row(0), row(1), LONG], r"^1 of 3 rows do not fit the model's context of 128 tokens .*\(row long of .* has \d+ tokens"),
        ([row(0), row(1), TAGGED], r"^1 of 3 rows .*\(row tagged of .*its step 2 holds the control token '<step>'\)"),
    ],
    ids=["all-good", "all-wrong", "too-long", "tagged"],
)
def test_data_that_cannot_be_trained_on_are_refused(base: Path, tmp_path: Path, rows: list[dict[str, Any]], told: str) -> None:
    config = asked(base, write(tmp_path / "labels.jsonl", rows), splits=Splits(1.0, 0.0, 0.0))
    assert re.search(told, refused(InputError, config, tmp_path / "prm"))
    assert not (tmp_path / "prm").exists()


def test_without_a_row_it_is_told_what_became_of_the_solutions(base: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", [row(number) for number in range(6)])
    config = asked(base, file, against=(str(file),))
    assert refused(InputError, config, tmp_path / "prm") == "no row is left to train on: 6 contaminated"


def test_rows_that_do_not_fit_are_left_out_where_that_is_asked_for(base: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", [*(row(number) for number in range(12)), LONG, TAGGED, row(50, label=9)])
    reports: list[DataReport] = []
    listeners = Listeners(on_data=reports.append)
    config = asked(base, file, splits=Splits(1.0, 0.0, 0.0), train={"max_steps": 1})
    result = train_prm(config, tmp_path / "prm", allow_dropped=True, listeners=listeners)
    assert result.auroc is None
    (tally,) = reports[0].sources.values()
    assert tally.dropped == {"too_long": 1, "not_encodable": 1}
    assert (tally.splits["train"], tally.rows, reports[0].lengths.rows, reports[0].lost) == (12, 12, 12, 2)
    rejects = [json.loads(line) for line in (tmp_path / "prm" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {each["row"]: each["reason"] for each in rejects} == {
        "long": "too_long", "tagged": "not_encodable", "labels.jsonl, line 15": "labels_mismatch",
    }  # fmt: skip


def test_a_training_that_fails_before_its_first_checkpoint_leaves_nothing(base: Path, labels: Path, tmp_path: Path) -> None:
    config = asked(base, labels)
    wrong = replace(config, train=replace(config.train, schedule="zigzag"))
    assert "there is no schedule 'zigzag'" in refused(UsageError, wrong, tmp_path / "prm")
    assert not (tmp_path / "prm").exists()
    (tmp_path / "there").mkdir()
    refused(UsageError, wrong, tmp_path / "there")
    train_prm(replace(config, train=replace(config.train, max_steps=1)), tmp_path / "there")


def test_notes_say_what_was_not_looked_at(base: Path, labels: Path, tmp_path: Path) -> None:
    told: list[str] = []
    with previewed(asked(base, labels), Listeners(warn=told.append)) as (opened, collected):
        assert opened.prepared.config.context == 128
        assert collected.report.held_out == size(collected.validation)
    assert len(told) == 1
    assert told[0].startswith("nothing was compared with evaluation sets")


def test_the_held_out_rows_are_bounded_by_their_hashes(base: Path, labels: Path) -> None:
    def held_out(most: int) -> tuple[int, int]:
        with previewed(asked(base, labels, splits=Splits(0.4, 0.6, 0.0), validation_rows=most)) as (_, collected):
            return size(collected.validation), collected.report.lengths.rows

    everything, rows = held_out(0)
    assert everything > 5
    assert held_out(5) == (5, rows)


def test_a_weight_repeats_rows_in_training_alone(base: Path, labels: Path) -> None:
    config = replace(asked(base, labels), sources=(SourceSpec(str(labels), weight=2.0),))
    with previewed(asked(base, labels)) as (_, once), previewed(config) as (_, twice):
        assert len(twice.train) == 2 * len(once.train)
        assert size(twice.validation) == size(once.validation) > 0


def test_one_row_is_shown_as_the_model_sees_it(base: Path, labels: Path) -> None:
    with previewed(asked(base, labels)) as (opened, collected):
        row_of_both = example_of(collected.train, opened.prepared.tokenizer, opened.prepared.config)
    first, second = row_of_both
    assert (first.tag, first.target, second.tag, second.target) == ("<step>", 1.0, "<step>", 0.0)
    assert re.fullmatch(r"Start with (\d+)\.\n\1 \+ 1 = \d+", first.text)
    assert second.text.startswith("\n")


def test_a_tag_behind_the_place_where_it_is_read_is_shown_and_so_is_what_follows(base: Path) -> None:
    prepared = prepare(ModelChoice(str(base)), LabelReading())
    encoded = prepared.encoder.encode("Start with 1.", ("1 + 1 = 2", "2 + 2 = 4"))
    before = [read - 1 for read in encoded.reads]
    shown = {"input_ids": [*encoded.ids, *prepared.encoder.text_ids("5")], "reads": before, "targets": [1.0, IGNORE]}
    found = pieces(shown, prepared.tokenizer, replace(prepared.config, read_offset=-1))
    assert found == (Piece("Start with 1.\n1 + 1 = 2", "<step>", 1.0), Piece("\n2 + 2 = 4", "<step>"), Piece("5"))


def test_other_processes_of_a_run_take_the_rows_of_the_first(
    base: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first one would train on is what the second one opens, in the same order, without reading the data sets."""
    config, seen = asked(base, labels), list[Any]()

    def kept(*given: Any, **_: Any) -> None:
        seen.append([part["input_ids"][:] for part in given[2]])

    monkeypatch.setattr(training, "_trained", kept)
    monkeypatch.setattr("openr_data.pipelines.prm.training.shutil.rmtree", lambda *_, **__: None)
    train_prm(config, tmp_path / "prm")
    monkeypatch.setenv("RANK", "1")
    without: Callable[..., Any] = pytest.fail
    monkeypatch.setattr(training, "open_all", without)
    train_prm(config, tmp_path / "prm")
    assert seen[0] == seen[1]
