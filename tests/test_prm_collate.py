"""Parts within a token budget, padded or packed; and which rows a step sees, whoever computes them."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from prm_training import prepared, rows

from openr_data.prm.collate import Collator, Part, Sequences, fetch
from openr_data.prm.config import IGNORE
from openr_data.prm.examples import Example
from openr_data.prm.plan import EvaluationPlan, TrainingPlan, positive_balance
from openr_data.prm.rows import tokenised


def sequences(*given: tuple[list[int], list[int], list[float]]) -> Sequences:
    ids, reads, targets = zip(*given, strict=True)
    whole = [[np.array(each, kind) for each in column] for column, kind in ((ids, "i4"), (reads, "i4"), (targets, "f4"))]
    return Sequences(whole[0], whole[1], whole[2], np.ones(len(ids), np.float32))


TWO = sequences(([5, 6, 7], [2], [0.25]), ([8, 9], [0, 1], [1.0, IGNORE]))


def test_padded_parts_by_hand() -> None:
    (part,) = Collator(100)(TWO)
    assert part["input_ids"].tolist() == [[8, 9, 0], [5, 6, 7]]
    assert part["reads"].tolist() == [[0, 1], [2, 0]]
    assert part["labels"].tolist() == [[1.0, IGNORE], [0.25, IGNORE]]
    assert part["weights"].tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert "position_ids" not in part


def test_packed_parts_by_hand() -> None:
    (part,) = Collator(100, packed=True, positive_weight=2.0)(TWO)
    assert part["input_ids"].tolist() == [[8, 9, 5, 6, 7]]
    assert part["position_ids"].tolist() == [[0, 1, 0, 1, 2]]
    assert part["reads"].tolist() == [[0, 1], [4, 0]]
    assert part["labels"].dtype == torch.float32
    assert part["labels"].tolist() == [[1.0, IGNORE], [0.25, IGNORE]]
    assert part["weights"].tolist() == [[2.0, 0.0], [1.0, 0.0]]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 100), st.booleans())
def test_parts_keep_the_budget_and_lose_nothing(lengths: list[int], budget: int, packed: bool) -> None:
    found = sequences(*(([number + 1] * length, [length - 1], [1.0]) for number, length in enumerate(lengths)))
    parts = Collator(budget, packed)(found)
    seen = []
    for part in parts:
        reads = part["reads"][:, 0]
        lines = part["input_ids"][0] if packed else part["input_ids"]
        seen += [int(lines[at]) if packed else int(lines[row, at]) for row, at in enumerate(reads)]
        assert part["input_ids"].numel() <= budget or len(reads) == 1
    assert sorted(seen) == list(range(1, len(lengths) + 1))


def test_fetch_reads_any_rows_in_any_order(tmp_path: Path) -> None:
    found = rows(tmp_path, 30).select(range(5, 25))
    fetched = fetch(found.with_format("arrow"), [7, 0])
    for place, number in enumerate((7, 0)):
        row = found[number]
        assert fetched.ids[place].tolist() == row["input_ids"]
        assert fetched.reads[place].tolist() == row["reads"]
        assert fetched.targets[place].tolist() == row["targets"]
        assert fetched.weights[place] == row["weight"]


def plan(found: Any, **settings: int) -> TrainingPlan:
    return TrainingPlan(found, Collator(64), **({"batch": 8, "accumulation": 1, "processes": 1, "seed": 3} | settings))


@pytest.mark.parametrize(("accumulation", "processes"), [(1, 2), (4, 1), (3, 2)])
def test_a_step_sees_the_same_rows_whoever_computes_them(tmp_path: Path, accumulation: int, processes: int) -> None:
    found = rows(tmp_path, 21)
    one, other = plan(found), plan(found, accumulation=accumulation, processes=processes)
    pieces = accumulation * processes
    assert (one.steps, len(one), len(other)) == (3, 3, 3 * pieces)
    for step in range(3):
        shares = [other.members(step * pieces + piece).tolist() for piece in range(pieces)]
        assert sorted(chain(*shares)) == sorted(one.members(step).tolist())
        assert max(map(len, shares)) - min(map(len, shares)) <= 2


def test_every_epoch_sees_all_rows_in_an_order_of_its_own(tmp_path: Path) -> None:
    found = plan(rows(tmp_path, 21))
    orders = []
    for epoch in (0, 1, 0):
        found.set_epoch(epoch)
        orders.append([found.members(step).tolist() for step in range(3)])
        assert sorted(chain(*orders[-1])) == list(range(21))
    assert orders[0] == orders[2] != orders[1]


def test_sequences_of_like_length_share_a_part(tmp_path: Path) -> None:
    batch = plan(rows(tmp_path, 64), batch=64)[0]
    padded = sum(part["input_ids"].numel() for part in batch["parts"])
    assert batch["tokens"] <= padded < 1.2 * batch["tokens"]


def test_an_evaluation_sees_every_row_once(tmp_path: Path) -> None:
    found = rows(tmp_path, 21)
    parts: list[Part] = []
    whole = EvaluationPlan(found, Collator(64))
    for number in range(len(whole)):
        parts += whole[number]["parts"]
    assert len(parts) == len(whole)
    known = torch.cat([part["labels"][part["labels"] != IGNORE] for part in parts])
    assert sorted(known.tolist()) == sorted(target for row in found for target in row["targets"])


def test_the_balanced_weight_by_hand(tmp_path: Path) -> None:
    """Good steps of weight 1 and 1, bad ones of weight 3."""
    made = [
        Example("a", "q", ("1", "2", "3"), (1.0, 0.75, None)),
        Example("b", "q", ("1",), (0.5,), weight=3.0),
    ]
    found = tokenised(made, prepared().encoder, tmp_path / "both").dataset
    assert positive_balance(found) == 1.5
    assert positive_balance(found.select([0])) == 1.0
