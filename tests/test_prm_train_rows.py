"""Training rows: what is written, what is dropped and told, what is an error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from prm_training import examples, prepared

from openr_data.errors import InputError
from openr_data.prm.config import IGNORE
from openr_data.prm.encode import Encoder
from openr_data.prm.examples import Example
from openr_data.prm.rows import NOTHING_TO_LEARN, TOO_LONG, tokenised

ENCODER = prepared().encoder


def test_a_row_holds_ids_reads_and_targets(tmp_path: Path) -> None:
    found = tokenised([Example("a", "q", ("12", "34"), (0.25, 1.0), weight=2.0)], ENCODER, tmp_path)
    encoded = ENCODER.encode("q", ("12", "34"))
    (row,) = list(found.dataset)
    assert row == {
        "row": 0,
        "input_ids": list(encoded.ids),
        "reads": list(encoded.reads),
        "targets": [0.25, 1.0],
        "weight": 2.0,
        "length": len(encoded.ids),
    }
    assert [row["input_ids"][at] for at in row["reads"]] == [prepared().config.tag_id] * 2


def test_a_row_ends_at_its_last_step_with_a_loss(tmp_path: Path) -> None:
    found = tokenised([Example("a", "q", ("12", "34", "56"), (None, 0.0, None))], ENCODER, tmp_path)
    encoded = ENCODER.encode("q", ("12", "34", "56"))
    row = found.dataset[0]
    assert row["input_ids"] == list(encoded.ids[: encoded.reads[1] + 1])
    assert row["targets"] == [IGNORE, 0.0]
    assert row["length"] == len(row["input_ids"])


def test_what_cannot_be_trained_on_is_dropped_and_told(tmp_path: Path) -> None:
    short = Encoder(prepared().tokenizer, replace(prepared().config, context=20))
    given = [
        Example("good", "q", ("12",), (1.0,)),
        Example("long", "q" * 30, ("12",), (1.0,)),
        Example("masked", "q", ("12",), (None,)),
        Example("weightless", "q", ("12",), (1.0,), weight=0.0),
        Example("tagged", "q", ("12", "3<step>4"), (1.0, 1.0)),
        Example("stepless", "q", (), ()),
    ]
    heard: list[int] = []
    found = tokenised(given, short, tmp_path, heard.append)
    assert found.dataset["row"][:] == [0]
    assert sum(heard) == len(given)
    assert found.dropped[TOO_LONG] == 1
    assert found.dropped[NOTHING_TO_LEARN] == 3
    (other,) = set(found.dropped) - {TOO_LONG, NOTHING_TO_LEARN}
    assert "one of its steps holds the control token '<step>'" in other
    assert found.ids == {TOO_LONG: ("long",), NOTHING_TO_LEARN: ("masked", "weightless", "stepless"), other: ("tagged",)}


def test_only_the_first_few_ids_of_a_reason_are_kept(tmp_path: Path) -> None:
    found = tokenised([Example(f"m{number}", "q", ("1",), (None,)) for number in range(9)], ENCODER, tmp_path)
    assert found.dropped[NOTHING_TO_LEARN] == 9
    assert found.ids[NOTHING_TO_LEARN] == ("m0", "m1", "m2", "m3", "m4")
    assert len(found.dataset) == 0


class _LosesTags:
    """An encoder that finds fewer tags than there are steps."""

    def encode(self, question: str, steps: tuple[str, ...]) -> object:
        encoded = ENCODER.encode(question, steps)
        return replace(encoded, reads=encoded.reads[:-1])


def test_tags_that_do_not_match_targets_name_the_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row r7 has 1 step tags and 2 targets"):
        tokenised([Example("r7", "q", ("1", "2"), (1.0, 0.0))], _LosesTags(), tmp_path)  # type: ignore[arg-type]
    assert not (tmp_path / "rows.arrow").exists()


@pytest.mark.parametrize(("target", "weight"), [(1.5, 1.0), (-0.1, 1.0), (float("nan"), 1.0), (1.0, -1.0), (1.0, float("nan"))])
def test_targets_and_weights_out_of_range_name_the_row(tmp_path: Path, target: float, weight: float) -> None:
    with pytest.raises(InputError, match="row r3"):
        tokenised([Example("r3", "q", ("1",), (target,), weight=weight)], ENCODER, tmp_path)


def test_many_rows_are_written_in_groups_and_mapped(tmp_path: Path) -> None:
    found = tokenised(examples(2345), ENCODER, tmp_path)
    assert found.dataset["row"][:] == list(range(2345))
    assert found.dataset.cache_files[0]["filename"] == str(tmp_path / "rows.arrow")
    assert found.dataset.data.column("row").num_chunks == 3
