"""Hub data sets, with the library's functions answered by local data: what is asked for, and how a failure is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pytest

from openr_data.errors import InputError
from openr_data.problems import ProblemSource, input_hash, read_problems, usable_problems
from openr_data.types import Problem

ROWS = [{"question": "p", "answer": "#### 1"}, {"question": "q", "answer": "#### 2"}]


def test_rows_are_streamed_from_the_named_split(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(path: str, name: str | None = None, **options: Any) -> datasets.IterableDataset:
        asked.append((path, name, options))
        return datasets.Dataset.from_list(ROWS).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    source = ProblemSource("owner/set", config="main", split="test", revision="abc", limit=1)
    (problem,) = read_problems(source)
    assert isinstance(problem, Problem)
    assert asked == [("owner/set", "main", {"split": "test", "revision": "abc", "streaming": True})]
    assert problem == next(usable_problems(source))
    assert (problem.id, problem.answer, problem.source) == ("owner/set-0", "1", "owner/set")


def test_a_real_stream_of_the_library_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.Dataset.from_list(ROWS * 300).to_parquet(str(tmp_path / "rows.parquet"))
    stream = datasets.load_dataset("parquet", data_files=str(tmp_path / "rows.parquet"), split="train", streaming=True)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: stream)
    problems = list(usable_problems(ProblemSource("owner/set", split="train")))
    assert [problem.id for problem in problems] == [f"owner/set-{row}" for row in range(600)]


def test_a_single_split_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "get_dataset_split_names", lambda *_, **__: ["only"])
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, split, **__: iter(ROWS) if split == "only" else iter([]))
    assert len(list(read_problems(ProblemSource("owner/set")))) == 2
    monkeypatch.setattr(datasets, "get_dataset_split_names", lambda *_, **__: ["train", "test"])
    with pytest.raises(InputError, match="has the splits train, test; choose one with --split"):
        list(read_problems(ProblemSource("owner/set")))


@pytest.mark.parametrize("error", [ValueError("Unknown split 'x'"), ConnectionError("offline"), RuntimeError("broken")])
def test_a_failure_is_one_sentence_without_secrets(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise type(error)(f"{error} https://host/file?signature=topsecret\nmore lines")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(InputError, match=r"owner/set cannot be read from the Hub .*; check its name") as caught:
        list(read_problems(ProblemSource("owner/set", split="x")))
    assert "topsecret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_connection_lost_on_the_way_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> Any:
        yield ROWS[0]
        raise OSError("connection lost")

    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows())
    with pytest.raises(InputError, match="connection lost"):
        list(read_problems(ProblemSource("owner/set", split="x")))


def test_the_hash_names_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: SimpleNamespace(hash="0123abc"))
    assert input_hash(ProblemSource("owner/set", revision="main")) == "hub:owner/set@0123abc"
