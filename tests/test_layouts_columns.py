"""Whole tables and single rows are one layout: `columns` of any readings gives the rows that `write` gives, item by item."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openr_data.layouts.base import ExportItem, ExportSolution, LayoutFault, WriteOptions
from openr_data.layouts.columnar import ARROW_LAYOUTS
from openr_data.pipelines.exporting.config import ExportConfig
from openr_data.pipelines.exporting.selection import UNBOUNDED, select
from openr_data.types import Problem, hard_labels

WORDS = ["a", "b", "", "Step 1: a", "Step 2: a", "Step ٣: c", "so:\nStep 2: b", "\x1f", "a,b", "θ ≤ “ж”", "\U0001d4d0"]
texts = st.sampled_from(WORDS)


@st.composite
def solutions(draw: st.DrawFn) -> dict[str, Any]:
    steps = draw(st.lists(texts, min_size=1, max_size=4))
    count = len(steps)
    first = draw(st.one_of(st.none(), st.integers(-1, count - 1)))
    published = draw(st.lists(st.sampled_from([True, False, None]), min_size=count, max_size=count))
    cells = st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.25, 1.0])), min_size=count, max_size=count)
    mc, kind = draw(cells), draw(st.sampled_from(["mean", "label", "rating", "progress"]))
    return {
        "steps": steps,
        "first_error": first,
        "hard": published if first is None else list(hard_labels(first, count)),
        "mc": mc,
        "estimator": [None if value is None else kind for value in mc],
        "verdict": draw(st.sampled_from(["right", "wrong", "unknown"])),
        "reason": draw(st.sampled_from(["uncertain", "binary_search"])),
        "confidence": draw(st.one_of(st.none(), st.sampled_from([0.2, 0.5, 0.9]))),
        "origin": draw(st.sampled_from(["given", "rollout"])),
    }


SCHEMA = pa.schema(
    [
        ("item", pa.int64()),
        ("problem_id", pa.string()),
        ("solution_id", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("source", pa.string()),
        ("sampler", pa.string()),
        ("steps", pa.list_(pa.string())),
        ("hard", pa.list_(pa.bool_())),
        ("mc", pa.list_(pa.float64())),
        ("estimator", pa.list_(pa.string())),
        ("first_error", pa.int32()),
        ("confidence", pa.float64()),
        ("reason", pa.string()),
        ("origin", pa.string()),
        ("verdict", pa.string()),
    ]
)


def table_of(items: list[list[dict[str, Any]]]) -> pa.Table:
    rows = [
        {**row, "item": 3 * item, "problem_id": f"p{item}", "solution_id": f"s{item}-{number}", "sampler": "m", **about(item)}
        for item, group in enumerate(items)
        for number, row in enumerate(group)
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def about(item: int) -> dict[str, str]:
    return {"question": WORDS[item % len(WORDS)], "answer": str(item), "source": "test"}


ITEMS = st.lists(st.lists(solutions(), min_size=1, max_size=5), min_size=1, max_size=4)
CONFIGS = st.builds(
    ExportConfig,
    format=st.just("trl"),
    after_error=st.sampled_from(["keep", "cut"]),
    keep_uncertain=st.booleans(),
    min_confidence=st.sampled_from([0.0, 0.5]),
    origin=st.sampled_from(["all", "given", "rollout"]),
)


def reading(row: dict[str, Any], config: ExportConfig, *, soft: bool) -> tuple[list[Any], list[Any], list[Any]] | str:
    """One solution read by hand: its steps, hard and soft labels, or why it is left out."""
    confidence = 1.0 if row["confidence"] is None else row["confidence"]
    faults = {
        "origin": config.origin not in {"all", row["origin"]},
        "undecided": row["first_error"] is None,
        "uncertain": row["reason"] == "uncertain" and not config.keep_uncertain,
        "low_confidence": confidence < config.min_confidence,
    }
    for reason, fault in faults.items():
        if fault:
            return reason
    end = len(row["steps"])
    if config.after_error == "cut" and row["first_error"] >= 0:
        end = row["first_error"] + 1
    hard = row["hard"][:end]
    values = [value(mc, kind, soft=soft) for mc, kind in zip(row["mc"], row["estimator"], strict=True)][:end]
    if soft:
        values = [float(label) if each is None and label is not None else each for each, label in zip(values, hard, strict=True)]
    return row["steps"][:end], hard, values


def value(mc: float | None, estimator: str | None, *, soft: bool) -> float | None:
    if mc is None or estimator in {*UNBOUNDED, "label"} or (estimator == "rating" and not soft):
        return None
    return (mc + 1) / 2 if estimator == "rating" else mc


@given(ITEMS, CONFIGS, st.booleans(), st.integers(0, 3))
def test_selection_reads_every_solution_as_by_hand(
    items: list[list[dict[str, Any]]], config: ExportConfig, soft: bool, skip: int
) -> None:
    rows = [row for group in items for row in group][skip:]
    found = select(table_of(items).slice(skip), config, soft=soft, every_step=False)
    by_hand = [reading(row, config, soft=soft) for row in rows]
    assert found.dropped == Counter(each for each in by_hand if isinstance(each, str))
    read = found.readings.select(["steps", "hard", "soft"]).to_pylist()
    assert [(row["steps"], row["hard"], row["soft"]) for row in read] == [each for each in by_hand if not isinstance(each, str)]


def single_rows(name: str, readings: pa.Table, options: WriteOptions) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The rows of `write`, item by item, and the reasons of what it refuses."""
    rows, dropped = [], Counter[str]()
    layout = ARROW_LAYOUTS[name].layout
    groups: dict[int, list[ExportSolution]] = {}
    for row in readings.to_pylist():
        each = ExportSolution(
            row["solution_id"],
            tuple(row["steps"]),
            tuple(row["hard"]),
            tuple(row["soft"]),
            row["first_error"],
            row["verdict"],
        )
        groups.setdefault(row["item"], []).append(each)
    for item, group in groups.items():
        problem = Problem(f"p{item // 3}", about(item // 3)["question"], about(item // 3)["answer"], "test")
        for some in [group] if layout.per_problem else [[each] for each in group]:
            try:
                rows += list(layout.write(ExportItem(problem, tuple(some)), options))
            except LayoutFault as fault:
                dropped[fault.reason] += 1
    return rows, dropped


@pytest.mark.parametrize("name", ARROW_LAYOUTS)
@given(items=ITEMS, config=CONFIGS, soft=st.booleans(), separator=st.sampled_from(["\n", "", "\n\n"]), limit=st.integers(0, 3))
def test_whole_tables_are_the_rows_of_single_items(
    name: str, items: list[list[dict[str, Any]]], config: ExportConfig, soft: bool, separator: str, limit: int
) -> None:
    arrow = ARROW_LAYOUTS[name]
    soft = soft and "soft" in arrow.layout.labels
    options = WriteOptions(soft, separator, limit)
    readings = select(table_of(items), config, soft=soft, every_step=False).readings
    expected, refused = single_rows(name, readings, options)
    found = select(table_of(items), config, soft=soft, every_step=arrow.every_step)
    written = arrow.columns(found.readings, options)
    assert written.table.schema.equals(arrow.schema(soft))
    assert written.table.to_pylist() == expected
    assert found.readings.num_rows == written.used + sum(written.dropped.values())
    told = Counter(written.dropped) + Counter({"unlabelled_step": found.dropped.get("unlabelled_step", 0)})
    assert +Counter({reason: count for reason, count in told.items() if reason != "no_pair"}) == +refused
