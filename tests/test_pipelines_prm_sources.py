"""Labelled data sets of every kind become one stream of solutions; what cannot be trained on is told in one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from export_runs import mixed_items, write_run
from hub_server import hub_server
from publishing import options, use_hub
from test_pipelines_stage import config, write_problems

from openr_data.errors import InputError, RunDirError, UsageError
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.exporting.config import ExportConfig
from openr_data.pipelines.exporting.export import export
from openr_data.pipelines.generate import generate
from openr_data.pipelines.prm import sources
from openr_data.pipelines.prm.config import PRMRunConfig, SourceSpec, parse_source
from openr_data.pipelines.prm.sources import Labelled, LabelledSource, open_source
from openr_data.pipelines.publishing.folder import FolderTarget
from openr_data.pipelines.publishing.hub import HubTarget
from openr_data.pipelines.publishing.publish import publish
from openr_data.pipelines.splits import Splits
from openr_data.prm.config import LabelReading
from openr_data.prm.train_config import TrainConfig
from openr_data.problems import ProblemSource, Reject
from openr_data.problems.rows import Row

ROWS = [
    {"id": "a", "generator": "m", "problem": "1 + 1?", "steps": ["one", "two"], "final_answer_correct": True, "label": -1},
    {"id": "b", "generator": "m", "problem": "1 + 2?", "steps": ["x", "y", "z"], "final_answer_correct": False, "label": 1},
    {"id": "c", "generator": "m", "problem": "1 + 3?", "steps": ["x"], "final_answer_correct": False, "label": 7},
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("sources") / "run", mixed_items(5))


def write(path: Path, rows: list[dict[str, Any]] | None = None) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows or ROWS), encoding="utf-8")
    return path


def solutions(source: LabelledSource) -> list[Labelled]:
    return [found for found in source.read() if isinstance(found, Labelled)]


def keys(source: LabelledSource) -> list[tuple[str, tuple[str, ...], int | None]]:
    return [(one.question, one.solution.solution.steps, one.solution.first_error) for one in solutions(source)]


def test_a_data_set_is_named_with_weight_and_revision(tmp_path: Path) -> None:
    assert parse_source("runs/labels") == SourceSpec("runs/labels")
    assert parse_source("runs/labels=2.0") == SourceSpec("runs/labels", weight=2.0)
    assert parse_source("owner/name@main=1") == SourceSpec("owner/name", "main", 1.0)
    odd = write(tmp_path / "a=b@c.jsonl")
    assert parse_source(str(odd)) == SourceSpec(str(odd))
    assert parse_source(f"{odd}=.5") == SourceSpec(str(odd), weight=0.5)


@pytest.mark.parametrize("text", ["runs/labels=0", "runs/labels=-1", "runs/labels=many", "runs/labels=inf", "runs/labels=nan"])
def test_a_weight_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="the weight of a data set is a positive number"):
        parse_source(text)


def test_a_run_its_published_folder_and_its_export_say_the_same(run: Path, tmp_path: Path) -> None:
    publish(run, FolderTarget(str(tmp_path / "set")), options())
    export(run, ExportConfig("processbench"), tmp_path / "export")
    of_run, of_set = open_source(SourceSpec(str(run))), open_source(SourceSpec(str(tmp_path / "set")))
    assert sorted(map(str, keys(of_run))) == sorted(map(str, keys(of_set)))
    assert of_run.complete
    assert of_run.layout == "omegaprm"
    exported = open_source(SourceSpec(str(tmp_path / "export")))
    assert exported.layout == "processbench"
    assert set(keys(exported)) <= set(keys(of_run))
    assert len({of_run.digest, of_set.digest, exported.digest}) == 3


def test_a_file_streams_its_rows_and_tells_those_that_are_not_of_its_layout(tmp_path: Path) -> None:
    source = open_source(SourceSpec(str(write(tmp_path / "rows.jsonl"))))
    assert [question for question, _, _ in keys(source)] == ["1 + 1?", "1 + 2?"]
    (reject,) = (found for found in source.read() if isinstance(found, Reject))
    assert (reject.reason, reject.line) == ("labels_mismatch", 3)
    assert len(list(source.read())) == 3


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one.jsonl"), write(tmp_path / "two.jsonl")
    assert open_source(SourceSpec(str(one))).digest == open_source(SourceSpec(str(two))).digest
    write(two, ROWS[:2])
    assert open_source(SourceSpec(str(one))).digest != open_source(SourceSpec(str(two))).digest


def test_neutral_ratings_are_read_as_asked(tmp_path: Path) -> None:
    steps = [{"completions": [{"text": "a", "rating": rating}], "chosen_completion": 0} for rating in (1, 0)]
    file = write(
        tmp_path / "prm800k.jsonl", [{"question": {"problem": "q"}, "label": {"steps": steps, "finish_reason": "solution"}}]
    )
    good, bad = (solutions(open_source(SourceSpec(str(file)), neutral))[0].solution for neutral in ("good", "bad"))
    assert (good.first_error, bad.first_error) == (-1, 1)


def test_an_unfinished_run_is_said_to_be_one(tmp_path: Path) -> None:
    source = open_source(SourceSpec(str(write_run(tmp_path / "run", mixed_items(4), finished=False))))
    assert not source.complete


def test_what_has_no_labels_is_refused(tmp_path: Path, run: Path) -> None:
    generate(config(write_problems(tmp_path / "problems.jsonl", 3)), RunOptions(tmp_path / "solved"))
    with pytest.raises(InputError, match=r"holds solutions without labels; `openr-data label .* labels their steps"):
        open_source(SourceSpec(str(tmp_path / "solved")))
    with pytest.raises(InputError, match=r"is of no layout that is known here; .* so it has no labels to train on"):
        open_source(SourceSpec(str(tmp_path / "problems.jsonl")))
    with pytest.raises(InputError, match="there is no file or directory not-there"):
        open_source(SourceSpec("not-there"))
    with pytest.raises(UsageError, match="a revision belongs to a data set on the Hub"):
        open_source(SourceSpec(str(run), "main"))
    with pytest.raises(RunDirError, match="is not a run itself, but holds run"):
        open_source(SourceSpec(str(run.parent)))


def test_a_data_set_of_the_hub_is_read_at_its_commit(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with hub_server(tmp_path / "hub") as server:
        use_hub(monkeypatch, server)
        publish(run, HubTarget("alice/steps"), options())
        source = open_source(SourceSpec("alice/steps", "main"))
        assert sorted(map(str, keys(source))) == sorted(map(str, keys(open_source(SourceSpec(str(run))))))
        assert source.digest.startswith("hub:alice/steps@")


def test_a_data_set_of_others_on_the_hub_is_read_by_its_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(name: str, **_: object) -> None:
        raise InputError(f"{name} was not published by openr-data")

    def rows(source: ProblemSource) -> Iterator[Row]:
        asked.append(f"{source.revision}/{source.split}")
        values: list[Mapping[str, Any]] = [
            {"input": "q Step 1: a ки\nStep 2: b ки", "label": "q Step 1: a +\nStep 2: b -", "task": "t"}
        ]
        for number, value in enumerate(values):
            yield Row("peiyi9979/Math-Shepherd/train", number + 1, number, value, value)

    monkeypatch.setattr(sources, "load", refuse)
    monkeypatch.setattr("openr_data.problems.reader.hub_rows", rows)
    monkeypatch.setattr("openr_data.problems.fingerprint.hub_revision", lambda _: "abc")
    source = open_source(parse_source("peiyi9979/Math-Shepherd@v1=2"))
    assert keys(source) == [("q", ("Step 1: a", "Step 2: b"), 1)]
    assert (source.layout, source.digest, source.spec.weight) == ("math-shepherd", "hub:peiyi9979/Math-Shepherd@abc", 2.0)
    assert set(asked) == {"v1/train"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"sources": ()}, "name at least one labelled data set"),
        ({"sources": (SourceSpec("a"), SourceSpec("a", weight=2.0))}, "a is given twice"),
        ({"train": TrainConfig(labels=LabelReading(threshold=1.0))}, "a threshold of values"),
        ({"train": TrainConfig(labels=LabelReading("soft", 0.5))}, "soft ones are the values themselves"),
        ({"splits": Splits(0.0, 0.5, 0.5)}, "leave nothing for training"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(wrong: dict[str, Any], told: str) -> None:
    values: dict[str, Any] = {"sources": (SourceSpec("a"),), **wrong}
    with pytest.raises(UsageError, match=told):
        PRMRunConfig(**values).checked()
