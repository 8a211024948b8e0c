"""Ids, labels and metadata taken from cells of any type."""

from __future__ import annotations

from datetime import date

import pytest

from openr_data.problems.cells import MAX_METADATA, id_text, metadata_of, short_text
from openr_data.problems.fields import problem_fields
from openr_data.problems.reject import RowFault, excerpt
from openr_data.problems.source import ProblemSource


@pytest.mark.parametrize(("value", "text"), [(7, "7"), (7.0, "7"), (7.5, "7.5"), (float("nan"), ""), (None, ""), (" a ", "a")])
def test_ids_are_text(value: object, text: str) -> None:
    assert id_text(value) == text


def test_ids_that_cannot_be_used() -> None:
    with pytest.raises(RowFault) as caught:
        id_text(False)
    assert caught.value.reason == "wrong_type"
    assert short_text(False) == ""


def test_metadata_keeps_scalars_and_lists_of_them() -> None:
    row: dict[str, object] = {
        "used": "x",
        "text": "é",
        "flag": True,
        "count": 3,
        "score": 0.5,
        "labels": [1, -1, None, "a", True],
        "nested": {"a": 1},
        "rows": [[1]],
        "gap": None,
        "nan": float("nan"),
        "day": date(2024, 1, 1),
        "long": "x" * (MAX_METADATA + 1),
        "bell\a": "x",
        "bell": "\a",
    }
    assert metadata_of(row, {"used"}) == {
        "text": "é",
        "flag": "true",
        "count": "3",
        "score": "0.5",
        "labels": '[1,-1,null,"a",true]',
    }


@pytest.mark.parametrize("value", [{"a": 1, "b": {"c": 2}}, [("a", 1), ("b", [[2]])], '{"a": 1, "b": {"c": 2}}'])
def test_a_column_of_metadata_is_opened(value: object) -> None:
    assert metadata_of({"metadata": value, "z": "1"}, ()) == {"a": "1", "z": "1"}


def test_a_column_of_metadata_that_is_something_else() -> None:
    assert metadata_of({"metadata": "{broken"}, ()) == {"metadata": "{broken"}
    assert metadata_of({"metadata": "text"}, ()) == {"metadata": "text"}
    assert len(metadata_of({f"c{i}": i for i in range(1000)}, ())) == 64


def test_answers_that_cannot_be_compared_do_not_make_a_column_ambiguous() -> None:
    rows = [{"question": "q", "answer": "1", "final_answer": [1]}]
    assert problem_fields(rows, ProblemSource("x"), "x").answer == "answer"


def test_excerpts_of_any_value() -> None:
    assert excerpt({"a": "x" * 500, "b": None}) == "a: " + "x" * 80 + ", b: None"
    assert excerpt(3) == "3"
