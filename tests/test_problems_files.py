"""Each format gives the same problems; what cannot be read as a whole is one clear sentence."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openr_data.errors import InputError, UsageError
from openr_data.problems import ProblemSource, Reject, input_hash, read_problems, source_kind, usable_problems
from openr_data.types import Problem

ROWS = [
    {"id": "a", "question": "What is 1 + 1?\nThink.", "answer": "2", "level": "easy"},
    {"id": "b", "question": 'Say "é" in, LaTeX: $\\frac{1}{2}$', "answer": "\\frac{1}{2}", "level": "hard"},
    {"id": "c", "question": "東京 [1], {2}", "answer": "1,5", "level": "easy"},
]
WANTED = [Problem(r["id"], r["question"], r["answer"], "data", r["level"], {}) for r in ROWS]


def write_csv(path: Path, delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(ROWS[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(ROWS)


def write_arrow_file(path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def write_arrow_stream(path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)


def lines(ending: str = "\n", **options: bool) -> str:
    return "".join(json.dumps(row, **options) + ending for row in ROWS)  # type: ignore[arg-type] # plain json options


WRITERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "jsonl": ("data.jsonl", lambda path: path.write_text(lines())),
    "jsonl, raw UTF-8, CRLF, no last newline": (
        "data.jsonl",
        lambda path: path.write_bytes(lines("\r\n", ensure_ascii=False).rstrip().encode()),
    ),
    "jsonl, byte order mark": ("data.JSONL", lambda path: path.write_text("\ufeff" + lines(), encoding="utf-8")),
    "jsonl, blank lines": ("data.ndjson", lambda path: path.write_text("\n  \n" + lines("\n\n"))),
    "json list": ("data.json", lambda path: path.write_text(json.dumps(ROWS))),
    "json list, indented": ("data.json", lambda path: path.write_text("\ufeff \n" + json.dumps(ROWS, indent=2), "utf-8")),
    "json object with a list": (
        "data.json",
        lambda path: path.write_text(json.dumps({"version": [1, 2], "rows": ROWS, "n": {"a": [{}]}}, indent=1)),
    ),
    "json lines in a .json": ("data.json", lambda path: path.write_text(lines())),
    "csv": ("data.csv", write_csv),
    "tsv": ("data.tsv", lambda path: write_csv(path, "\t")),
    "parquet": ("data.parquet", lambda path: pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=1)),
    "arrow file": ("data.arrow", write_arrow_file),
    "arrow stream": ("data.arrow", write_arrow_stream),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_problems(name: str, tmp_path: Path) -> None:
    file, write = WRITERS[name]
    write(tmp_path / file)
    assert list(read_problems(ProblemSource(str(tmp_path / file)))) == WANTED


def test_a_single_pretty_printed_object_is_one_row(tmp_path: Path) -> None:
    row = {**ROWS[0], "trace": [{"text": "a list of objects that is not the list of problems"}]}
    (tmp_path / "data.json").write_text(json.dumps(row, indent=2))
    assert list(read_problems(ProblemSource(str(tmp_path / "data.json")))) == WANTED[:1]


def test_saved_data_sets_and_their_splits(tmp_path: Path) -> None:
    data = datasets.Dataset.from_list(ROWS)
    data.save_to_disk(str(tmp_path / "one"), num_shards=2)
    datasets.DatasetDict({"train": data, "test": data.select([1])}).save_to_disk(str(tmp_path / "two"))

    def ids(source: ProblemSource) -> list[str]:
        return [problem.id for problem in usable_problems(source)]

    assert ids(ProblemSource(str(tmp_path / "one"))) == ["a", "b", "c"]
    assert ids(ProblemSource(str(tmp_path / "two"), split="test")) == ["b"]
    with pytest.raises(InputError, match="splits train, test; choose one with --split"):
        read_problems(ProblemSource(str(tmp_path / "two")))
    (tmp_path / "one" / "state.json").write_text('{"_data_files": [{"filename": "../secret.arrow"}]}')
    with pytest.raises(InputError, match="names data files that are not there"):
        read_problems(ProblemSource(str(tmp_path / "one")))
    (tmp_path / "one" / "state.json").write_text("[")
    with pytest.raises(InputError, match=r"state\.json of the saved data set one is damaged"):
        read_problems(ProblemSource(str(tmp_path / "one")))


def test_a_directory_is_its_data_files_in_order(tmp_path: Path) -> None:
    for name, row in (("train/b.jsonl", ROWS[1]), ("train/a.jsonl", ROWS[0]), ("test.jsonl", ROWS[2])):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({key: row[key] for key in ("question", "answer")}) + "\n")
    (tmp_path / ".hidden.jsonl").write_text("{")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("about")
    everything = [problem.id for problem in usable_problems(ProblemSource(str(tmp_path)))]
    assert everything == ["test-0", "train/a-0", "train/b-0"]
    train = [problem.id for problem in usable_problems(ProblemSource(str(tmp_path), split="train"))]
    assert train == ["train/a-0", "train/b-0"]
    with pytest.raises(InputError, match="no data files of the split 'dev'"):
        read_problems(ProblemSource(str(tmp_path), split="dev"))
    (tmp_path / "x.csv").write_text("question,answer\n")
    with pytest.raises(InputError, match="holds csv and jsonl files"):
        read_problems(ProblemSource(str(tmp_path)))


def test_the_problems_of_a_run_directory_can_be_used_again(tmp_path: Path) -> None:
    row = {"item": 0, "problem_id": "a", "question": "q", "answer": "2", "source": "s", "difficulty": "hard", "skipped": ""}
    for table, metadata in (("problems", '{"seed":"0"}'), ("rollouts", "{}")):
        (tmp_path / "data" / table).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist([{**row, "metadata": metadata}]), tmp_path / "data" / table / "train-00000.parquet")
    (tmp_path / "run.json").write_text("{}")
    (problem,) = usable_problems(ProblemSource(str(tmp_path)))
    assert problem == Problem("a", "q", "2", "s", "hard", {"item": "0", "seed": "0", "skipped": ""})


def test_rows_without_an_id_are_named_after_file_and_row(tmp_path: Path) -> None:
    (tmp_path / "my set.jsonl").write_text('{"question": "q", "answer": 1}\nbroken\n{"question": "r", "answer": 2, "id": null}\n')
    items = list(read_problems(ProblemSource(str(tmp_path / "my set.jsonl"))))
    assert [item.id for item in items if isinstance(item, Problem)] == ["my set-0", "my set-2"]


def test_the_limit_counts_problems_not_rows(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text("broken\n" + lines())
    items = list(read_problems(ProblemSource(str(tmp_path / "data.jsonl"), limit=2)))
    assert [type(item) for item in items] == [Reject, Problem, Problem]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.jsonl", b"", "is empty: it holds no rows"),
        ("data.jsonl", b" \n\n", "is empty"),
        ("data.json", b"", "is empty"),
        ("data.json", b"[ ]", "is empty"),
        ("data.csv", b"question,answer\n", "is empty"),
        ("data.csv", b"question,question\n1,2\n", "must name the columns, each once"),
        ("data.json", b'"text"', "not a JSON list or object"),
        ("data.json", b'{"a": [{}], "b": [{}]}', "exactly one list of objects; lists found: a, b"),
        ("data.json", b'{"a": [{"question": ', "ends inside a JSON object"),
        ("data.jsonl", '{"question": 1}'.encode("utf-16"), "is UTF-16 or UTF-32 text; convert it to UTF-8 first"),
        ("data.csv", "question,answer\n".encode("utf-16"), "is UTF-16"),
        ("data.json", "[1]".encode("utf-16-le"), "is UTF-16"),
        ("data.parquet", b"PAR1 not really", "cannot be read as Parquet or Arrow"),
        ("data.arrow", b"", "cannot be read as Parquet or Arrow"),
        ("data.txt", b"question", r"no suffix that can be read; use one of: \.jsonl, "),
        ("data", b"question", "no suffix that can be read"),
    ],
)
def test_files_that_cannot_be_read_say_so(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(read_problems(ProblemSource(str(tmp_path / name))))


def test_a_parquet_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="fetch or write it again"):
        list(read_problems(ProblemSource(str(path))))


@pytest.mark.parametrize("location", ["missing.jsonl", "./owner/name", "owner/name.jsonl", "plain", "", " ", "a\0b", "x" * 5000])
def test_places_that_are_not_there(location: str) -> None:
    with pytest.raises(InputError):
        read_problems(ProblemSource(location))


def test_kinds_of_sources(tmp_path: Path) -> None:
    assert source_kind(ProblemSource(str(tmp_path))) == "path"
    assert source_kind(ProblemSource("openai/gsm8k")) == "hub"
    assert source_kind(ProblemSource("builtin")) == "builtin"
    with pytest.raises(UsageError, match="cannot be negative"):
        ProblemSource("builtin", limit=-1)
    with pytest.raises(InputError, match="holds no data files"):
        read_problems(ProblemSource(str(tmp_path)))


def test_the_builtin_task_is_drawn_by_count_and_seed() -> None:
    source = ProblemSource("builtin", count=5, difficulty=4, seed=7)
    problems = list(read_problems(source))
    assert len(problems) == 5
    assert problems == list(read_problems(source))
    assert list(read_problems(ProblemSource("builtin", count=5, difficulty=4, seed=7, limit=2))) == problems[:2]
    assert list(read_problems(ProblemSource("builtin", count=5, difficulty=4, seed=8))) != problems


def test_the_input_hash_follows_the_content_alone(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"abc")
    known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert input_hash(ProblemSource(str(path))) == known
    assert input_hash(ProblemSource(str(path), limit=3, question_field="q")) == known
    whole = input_hash(ProblemSource(str(tmp_path)))
    (tmp_path / "more.jsonl").write_bytes(b"abc")
    assert input_hash(ProblemSource(str(tmp_path))) != whole
    assert input_hash(ProblemSource("builtin", seed=1)) != input_hash(ProblemSource("builtin", seed=2))
