"""Every reason for a reject, met by a hand-made row; good rows after it are read all the same, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openr_data.errors import InputError
from openr_data.problems import REASONS, ProblemSource, Reject, read_problems
from openr_data.problems.digests import DigestTable, digest
from openr_data.types import Problem

GOOD = b'{"id": "good", "question": "q", "answer": "1"}'
LAST = b'{"id": "last", "question": "q", "answer": "1"}'
DEEP = b'{"question": "q", "answer": "1", "x": ' + b"[" * 40 + b"]" * 40 + b"}"

BAD_LINES = [
    (b'{"question": "q", "answer": ', "bad_json"),
    (b"q,1", "bad_json"),
    (b'{"question": "q\xff", "answer": "1"}', "bad_utf8"),
    (b'{"question": "\xed\xa0\x80", "answer": "1"}', "bad_utf8"),
    (b'["q", "1"]', "not_an_object"),
    (b"null", "not_an_object"),
    (b'{"question": "q", "answer": "1", "answer": "2"}', "duplicate_keys"),
    (b'{"question": "q", "answer": "1", "x": {"a": 1, "a": 1}}', "duplicate_keys"),
    (b'{"question": "q", "answer": NaN}', "nan"),
    (b'{"question": "q", "answer": "1", "x": [-Infinity]}', "nan"),
    (b'{"question": "q", "answer": "1", "x": "' + b"x" * (1 << 20) + b'"}', "too_long"),
    (b'{"question": "' + b"x" * (65 << 10) + b'", "answer": "1"}', "too_long"),
    (b'{"question": "q", "answer": "' + "é".encode() * (40 << 10) + b'"}', "too_long"),
    (b'{"question": "q", "answer": "1", "id": "' + b"x" * 600 + b'"}', "too_long"),
    (DEEP, "too_deep"),
    (b"[" * 100_000, "too_deep"),
    (b'{"question": "q", "answer": true}', "wrong_type"),
    (b'{"question": "q", "answer": ["1"]}', "wrong_type"),
    (b'{"question": {"text": "q"}, "answer": "1"}', "wrong_type"),
    (b'{"question": 5, "answer": "1"}', "wrong_type"),
    (b'{"question": "q", "answer": "1", "id": [1]}', "wrong_type"),
    (b'{"question": "q\\u0000", "answer": "1"}', "control_characters"),
    (b'{"question": "q", "answer": "1\\u001b[2J"}', "control_characters"),
    (b'{"question": "\\ud800", "answer": "1"}', "lone_surrogate"),
    (b'{"question": " ", "answer": "1"}', "no_question"),
    (b'{"answer": "1"}', "no_question"),
    (b'{"question": "q", "answer": ""}', "no_answer"),
    (b'{"question": "q", "answer": null}', "no_answer"),
    (b'{"question": "q"}', "no_answer"),
    (b'{"question": "q", "answer": "so it is\\n####"}', "no_answer"),
    (GOOD, "duplicate_id"),
    (b'{"id": "good", "question": "other", "answer": "2"}', "duplicate_id"),
]


def read(path: Path, content: bytes, **fields: str) -> list[Problem | Reject]:
    path.write_bytes(content)
    return list(read_problems(ProblemSource(str(path), **fields)))  # type: ignore[arg-type] # only text options are given here


def read_or_refuse(path: Path, content: bytes) -> list[Problem | Reject] | None:
    """`None` for a file that was refused as a whole, by the one documented error."""
    try:
        return read(path, content)
    except InputError:
        return None


@pytest.mark.parametrize(("line", "reason"), BAD_LINES, ids=lambda value: value if isinstance(value, str) else value[:30])
def test_a_bad_line_is_one_reject_and_the_reading_goes_on(line: bytes, reason: str, tmp_path: Path) -> None:
    first, reject, last = read(tmp_path / "data.jsonl", b"\n".join([GOOD, line, LAST]))
    assert isinstance(first, Problem)
    assert isinstance(last, Problem)
    assert isinstance(reject, Reject)
    assert (reject.reason, reject.line, reject.row, reject.file) == (reason, 2, 1, "data.jsonl")
    assert reject.detail


@pytest.mark.parametrize(("line", "reason"), [case for case in BAD_LINES if case[0][:1] in b"{n"])
def test_a_bad_list_element_is_the_same_reject(line: bytes, reason: str, tmp_path: Path) -> None:
    if line.endswith(b": "):
        line += b"}"  # a list element ends where its brackets do
    items = read(tmp_path / "data.json", b"[" + b",\n\n".join([GOOD, line, LAST]) + b"]")
    assert [type(item) for item in items] == [Problem, Reject, Problem]
    assert isinstance(items[1], Reject)
    assert (items[1].reason, items[1].line, items[1].row) == (reason, 3, 1)


def test_every_reason_has_a_case_here_or_with_the_solutions() -> None:
    elsewhere = {"wrong_columns", "bad_csv", "no_steps", "no_reference_answer", "ambiguous_reference_answer", "ungradable_answer"}
    assert {reason for _, reason in BAD_LINES} | elsewhere == set(REASONS)


def test_a_json_list_that_is_damaged_keeps_its_good_elements(tmp_path: Path) -> None:
    items = read(tmp_path / "data.json", b"[" + GOOD + b",, 5, " + LAST + b'] {"question": "too late"}')
    assert [item.reason if isinstance(item, Reject) else item.id for item in items] == [
        "good",
        "bad_json",
        "not_an_object",
        "last",
        "bad_json",
    ]
    items = read(tmp_path / "data.json", b"[" + GOOD + b",\n" + LAST)
    assert [item.reason if isinstance(item, Reject) else item.id for item in items] == ["good", "bad_json"]
    assert isinstance(items[1], Reject)
    assert items[1].detail == "the file ends inside the list"
    assert "last" in items[1].raw


def test_bad_csv_records(tmp_path: Path) -> None:
    header = b"id,question,answer\n"
    huge = b"h," + b"x" * (2 << 20) + b'"",1\n'
    rows = [b"a,q,1\n", b"b,q\n", b"\n", b"c,q,1,2\n", b"d,q\xff,1\n", b'"e","two\nlines",1\n', huge, b"f,q,\n", b"g,q,1\n"]
    items = read(tmp_path / "data.csv", header + b"".join(rows))
    found = [(item.reason, item.line, item.row) if isinstance(item, Reject) else item.id for item in items]
    assert found == [
        "a",
        ("wrong_columns", 3, 1),
        ("wrong_columns", 5, 2),
        ("bad_utf8", 6, 3),
        "e",
        ("too_long", 9, 5),
        ("no_answer", 10, 6),
        "g",
    ]


def test_an_unclosed_quote_in_a_csv_costs_a_bounded_part(tmp_path: Path) -> None:
    rows = [b"a,q,1\n", b'b,"q,1\n', *(b"r%d,%s,1\n" % (i, b"x" * 1000) for i in range(300))]
    items = read(tmp_path / "data.csv", b"id,question,answer\n" + b"".join(rows))
    rejects = [item for item in items if isinstance(item, Reject)]
    assert [(reject.reason, reject.line) for reject in rejects] == [("too_long", 3)]
    assert "unclosed quote" in rejects[0].detail
    assert len(items) - len(rejects) > 100
    items = read(tmp_path / "data.csv", b"id,question,answer\na,q,1\nb,q\rc,1\nd,q,1\n")
    assert [item.reason if isinstance(item, Reject) else item.id for item in items] == ["a", "bad_csv", "d"]


def test_bad_rows_of_a_parquet_file(tmp_path: Path) -> None:
    bad = pa.Array.from_buffers(pa.string(), 3, pa.array([b"ok", b"\xff", b"ok"], pa.binary()).buffers())
    table = pa.table({"question": bad, "answer": pa.array([1.5, 2.0, float("nan")])})
    pq.write_table(table, tmp_path / "data.parquet")
    items = list(read_problems(ProblemSource(str(tmp_path / "data.parquet"))))
    assert isinstance(items[0], Problem)
    assert items[0].answer == "1.5"
    assert [(item.reason, item.row) for item in items[1:] if isinstance(item, Reject)] == [("bad_utf8", 1), ("nan", 2)]


def test_a_reject_is_safe_to_write_and_to_show(tmp_path: Path) -> None:
    line = b'{"question": "\xff\x1b[31m\\ud800", "\xe2\x80\xa8": ' + b"y" * 5000
    (reject,) = [item for item in read(tmp_path / "data.jsonl", GOOD + b"\n" + line) if isinstance(item, Reject)]
    text = reject.to_json()
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 2000
    assert json.loads(text) == {
        "file": "data.jsonl",
        "line": 2,
        "row": 1,
        "reason": "bad_utf8",
        "detail": reject.detail,
        "raw": reject.raw,
    }
    assert Reject("\ud800\n", 1, 0, "bad_json", "\x00", "\ud800").to_json().isprintable()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
@example(b"\x0b\n\x1c\n\xc2\x85\n\x00")
@example(b'{"question": 1e999999999, "answer": 1e999999999}\n{"question": "q", "answer": 1e999999999}')
@example(b'{"id": 7.0, "question": "q", "answer": 100000000000000000000000000000000000000000.10}')
def test_any_bytes_are_accounted_for_line_by_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "data.jsonl"
    items = read(path, GOOD + b"\n" + data)
    assert len(items) == sum(bool(line.strip()) for line in (GOOD + b"\n" + data).split(b"\n"))
    assert all(item.reason in REASONS and item.to_json().isascii() for item in items if isinstance(item, Reject))


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["question", "answer", "####"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["question", "answer", "id", "x.y"]), inner),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(json_like, min_size=1, max_size=5), st.sampled_from([".json", ".jsonl"]))
def test_any_json_is_read_or_refused_in_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, values: list[object], suffix: str
) -> None:
    path = tmp_path_factory.mktemp("json") / f"data{suffix}"
    text = json.dumps(values) if suffix == ".json" else "\n".join(json.dumps(value) for value in values)
    items = read_or_refuse(path, text.encode())
    assert items is None or len(items) == len(values)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["data.json", "data.csv", "data.parquet", "data.arrow"]))
@example(b'{"a": "\\', "data.json")
@example(b'[{"a": "' + b"\\" * 70_001 + b'"}]', "data.json")
def test_any_bytes_in_any_file_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    items = read_or_refuse(tmp_path_factory.mktemp("any") / name, data)
    assert items is None or items


@given(st.integers(65_500, 65_560), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_the_border_of_a_chunk_may_fall_anywhere(tmp_path_factory: pytest.TempPathFactory, padding: int, quotes: int) -> None:
    rows = [{"question": "x" * padding + '\\"' * quotes, "answer": "]"}, {"question": "q", "answer": "\\"}]
    items = read(tmp_path_factory.mktemp("chunk") / "data.json", json.dumps(rows, indent=1).encode())
    texts = [(item.reason if isinstance(item, Reject) else item.answer) for item in items]
    assert texts == ["too_long" if padding + 2 * quotes > 65_536 else "]", "\\"]


def test_the_table_of_digests_keeps_what_was_put() -> None:
    table = DigestTable()
    assert all(table.put(digest(str(i)), i) is None for i in range(5000))
    assert all(table.put(digest(str(i)), 0) == i for i in range(5000))
    assert len(table) == 5000
    assert table.put(0, 1) is None
    assert table.put(0, 2) == 1
    counts = DigestTable()
    assert [counts.count(3), counts.count(3), counts.count(4)] == [1, 2, 1]
    assert digest("a", "bc") != digest("ab", "c")
