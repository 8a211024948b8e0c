"""Data sets become rows: weights, splits by question, the guard against evaluation sets; every solution is accounted for."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from export_runs import labelled, mixed_items, write_run

from openr_data.errors import InputError, UsageError
from openr_data.pipelines.prm.config import PRMRunConfig, SourceSpec
from openr_data.pipelines.prm.contamination import Guard
from openr_data.pipelines.prm.mixing import Drawn, Dropped, Mixture, SourceTally, copies
from openr_data.pipelines.prm.sources import Labelled, LabelledSource, open_source
from openr_data.pipelines.splits import NAMES, Splits
from openr_data.prm.config import LabelReading
from openr_data.prm.train_config import TrainConfig

DATA = Path(os.environ.get("OPENR_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")
ALL_TRAIN = Splits(1.0, 0.0, 0.0)


def questions(name: str, count: int, *, wrong: bool = False, weight: float = 1.0) -> LabelledSource:
    """One solution of two steps for each question."""

    def read() -> Any:
        for number in range(count):
            error = 1 if wrong else -1
            yield Labelled(f"What is {number} + {number}?", labelled(f"{name}-{number}", ["so", f"{2 * number}"], error))

    return LabelledSource(SourceSpec(name, weight=weight), f"sha256:{name}", "test", read)


def mixture(sources: Sequence[LabelledSource], against: Sequence[Path] = (), **settings: Any) -> Mixture:
    config = PRMRunConfig(tuple(source.spec for source in sources), **{"splits": ALL_TRAIN, **settings}).checked()
    return Mixture(sources, config, Guard([str(path) for path in against], config.ngram, config.overlap))


def drawn(found: Mixture) -> list[Drawn]:
    return [one for one in found.draw() if isinstance(one, Drawn)]


def balanced(tally: SourceTally) -> bool:
    return tally.solutions == sum(tally.splits.values()) + sum(tally.dropped.values())


def test_every_solution_of_a_run_is_a_row_or_told(tmp_path: Path) -> None:
    mixed = mixture([open_source(SourceSpec(str(write_run(tmp_path / "run", mixed_items(6)))))], splits=Splits())
    dropped = [one for one in mixed.draw() if isinstance(one, Dropped)]
    (tally,) = mixed.tallies.values()
    assert tally.dropped == {"undecided": 6, "uncertain": 6} == Counter(one.reason for one in dropped)
    assert balanced(tally)
    assert (tally.solutions, sum(tally.splits.values())) == (42, 30)
    assert dropped[0].row == "p0/open"


def test_uncertain_and_unsure_labels_are_taken_or_left_as_asked(tmp_path: Path) -> None:
    source = open_source(SourceSpec(str(write_run(tmp_path / "run", mixed_items(3)))))
    taken = mixture([source], keep_uncertain=True, min_confidence=0.5)
    rows = {one.example.id: one.example.targets for one in drawn(taken)}
    assert rows["p0/unsure"] == (1.0, 0.0)
    assert "p0/first" not in rows
    (tally,) = taken.tallies.values()
    assert tally.dropped == {"undecided": 3, "low_confidence": 3}


def test_targets_follow_the_reading(tmp_path: Path) -> None:
    source = open_source(SourceSpec(str(write_run(tmp_path / "run", mixed_items(1)))))
    read = {
        kind: {one.example.id: one.example.targets for one in drawn(mixture([source], train=TrainConfig(labels=reading)))}
        for kind, reading in {"hard": LabelReading(), "soft": LabelReading("soft"), "half": LabelReading(threshold=0.75)}.items()
    }
    assert read["hard"]["p0/wrong"] == (1.0, 0.0, None)
    assert read["soft"]["p0/wrong"] == (0.75, 0.0, None)
    assert read["half"]["p0/wrong"] == (0.0, None, None)


def test_the_balance_counts_the_steps_of_training_rows_as_they_are_seen() -> None:
    mixed = mixture([questions("a", 10, weight=2.0), questions("b", 10, wrong=True)])
    list(mixed.draw())
    a, b = mixed.tallies.values()
    assert (a.rows, a.good, a.bad, a.masked) == (20, 40, 0, 0)
    assert (b.rows, b.good, b.bad, b.masked) == (10, 10, 10, 0)


def test_a_weight_is_how_often_rows_are_seen_relative_to_their_number() -> None:
    mixed = mixture([questions("a", 400, weight=0.25)])
    seen = [one.copies for one in drawn(mixed)]
    assert set(seen) == {0, 1}
    assert 70 <= sum(seen) <= 130  # 100 expected, deviation 8.7
    assert mixed.tallies["a"].rows == sum(seen)
    assert seen == [one.copies for one in drawn(mixture([questions("a", 400, weight=0.25)]))]


def test_copies_are_the_weight_on_average_and_differ_by_seed() -> None:
    rows = [str(row) for row in range(1000)]
    counts = [copies(2.5, row, 0) for row in rows]
    assert set(counts) == {2, 3}
    assert abs(sum(counts) / len(counts) - 2.5) < 0.05
    assert counts != [copies(2.5, row, 1) for row in rows]
    assert {copies(1.0, row, 0) for row in rows} == {1}


def test_a_question_is_in_the_same_split_in_every_data_set() -> None:
    mixed = drawn(mixture([questions("a", 60), questions("b", 60, wrong=True)], splits=Splits(0.6, 0.2, 0.2)))
    splits: dict[str, set[str]] = {}
    for one in mixed:
        splits.setdefault(one.example.question, set()).add(one.split)
    assert all(len(each) == 1 for each in splits.values())
    assert set.union(*splits.values()) == set(NAMES)


def test_only_training_rows_are_repeated() -> None:
    found = drawn(mixture([questions("a", 60, weight=3.0)], splits=Splits(0.6, 0.2, 0.2)))
    assert {one.copies for one in found if one.split == "train"} == {3}
    assert {one.copies for one in found if one.split != "train"} == {1}


def test_questions_of_evaluation_sets_are_left_out_and_counted(tmp_path: Path) -> None:
    known = "A train leaves the station at noon with forty passengers and stops twice; how many are left at the end of the day?"
    near = known.replace("forty", "fifty")
    bench = tmp_path / "bench.jsonl"
    bench.write_text(
        "".join(json.dumps({"id": "b", "problem": text}) + "\n" for text in (known, "What is 3 + 3?")), encoding="utf-8"
    )

    def read() -> Any:
        for number, text in enumerate((known, f"  {known}\n", near, "What is 4 + 4?", "what  is 3 + 3")):
            yield Labelled(text, labelled(f"s{number}", ["so", "8"], 1))

    mixed = mixture([LabelledSource(SourceSpec("a"), "", "test", read)], [bench])
    told = [one for one in mixed.draw() if isinstance(one, Dropped)]
    assert [one.row for one in told] == ["s0", "s1", "s2", "s4"]
    assert {one.detail for one in told} == {"its question stands in bench.jsonl"}
    assert mixed.contaminated == {"bench.jsonl": 4}
    assert mixed.tallies["a"].dropped == {"contaminated": 4}
    assert Guard([str(bench)], 8, 0.5).sizes == {"bench.jsonl": 2}


def test_a_guard_that_cannot_compare_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"other": 1}\n', encoding="utf-8")
    with pytest.raises(InputError):
        Guard([str(empty)], 8, 0.5)
    with pytest.raises(UsageError, match="n-gram"):
        Guard([], 0, 0.5)


def test_a_limit_is_of_solutions_of_each_data_set() -> None:
    mixed = mixture([questions("a", 10), questions("b", 3)], limit=4)
    list(mixed.draw())
    assert [tally.solutions for tally in mixed.tallies.values()] == [4, 3]


REAL = {
    "samples_prm800k.jsonl": ("prm800k", {"give_up": 1, "screening": 1}),
    "samples_math-shepherd.jsonl": ("math-shepherd", {}),
    "samples_math-aps.jsonl": ("math-aps", {}),
    "samples_math-aps-tree.jsonl": ("math-aps-tree", {}),
    "processbench_gsm8k.json": ("processbench", {}),
}


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_every_known_layout_of_real_files_becomes_rows(kind: Any) -> None:
    sources = [open_source(SourceSpec(str(DATA / name))) for name in REAL]
    mixed = mixture(sources, splits=Splits(), train=TrainConfig(labels=LabelReading(kind)))
    found = list(mixed.draw())
    for (layout, unreadable), tally in zip(REAL.values(), mixed.tallies.values(), strict=True):
        assert (tally.layout, tally.unreadable) == (layout, unreadable)
        assert balanced(tally)
        assert not tally.dropped
    solutions = [tally.solutions for tally in mixed.tallies.values()]
    assert solutions == [28, 7, 124, 158, 400]
    assert len(found) == sum(solutions) + 2


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")
def test_the_questions_of_a_benchmark_are_all_found_in_it() -> None:
    sources = [open_source(SourceSpec(str(DATA / "processbench_gsm8k.json")))]
    mixed = mixture(sources, [DATA / "math500.jsonl", DATA / "processbench_gsm8k.json"])
    assert not drawn(mixed)
    assert mixed.contaminated == {"processbench_gsm8k.json": 400}


def test_what_was_drawn_and_refused_later_is_taken_back() -> None:
    tally = SourceTally(solutions=1)
    one = replace(drawn(mixture([questions("a", 1, wrong=True)]))[0], copies=2)
    tally.add(one)
    assert (tally.rows, tally.good, tally.bad) == (2, 2, 2)
    tally.refuse(one, "too_long")
    assert (tally.rows, tally.good, tally.bad, tally.dropped) == (0, 0, 0, {"too_long": 1})
    assert balanced(tally)
