"""Parts of a run and their merge: the bytes of one process, everything counted once, and a sentence for what does not fit."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from store_runs import IDENTITY, data_digests, item_tables, write_run

from openr_data.errors import OpenRDataError, RunDirError, UsageError
from openr_data.store import merging, shards
from openr_data.store.atomic import write_text
from openr_data.store.frames import pack_tables
from openr_data.store.journal import ReadOnlyJournal
from openr_data.store.journal_file import item_checksum
from openr_data.store.lock import DirectoryLock
from openr_data.store.manifest import Manifest, TableSize
from openr_data.store.merging import Merged, merge_parts
from openr_data.store.progress import Progress
from openr_data.store.read import RunReader
from openr_data.store.run_dir import open_run
from openr_data.store.run_record import RunIdentity, RunRecord
from openr_data.store.units import NO_MARK, UnitChain
from openr_data.store.verify import repair_run, verify_run
from openr_data.types import Completion

ITEMS = 18


def render(record: RunRecord, sizes: Mapping[str, TableSize], counts: Mapping[str, int]) -> str:
    return json.dumps([record.settings, {name: size.rows for name, size in sizes.items()}, counts])


def write_part(
    path: Path,
    items: Sequence[int],
    share: str = "1/1",
    *,
    total: int | None = ITEMS,
    fail: Sequence[int] = (),
    changed: Sequence[int] = (),
    marked: bool = True,
    identity: RunIdentity = IDENTITY,
    completions: int = 0,
    rejects: int = 2,
) -> None:
    """One attempt at a part. `changed` items have another text in this part's input."""
    chain = UnitChain()
    marks = [chain.mark(b"new" if item in changed else b"%d" % item) if marked else NO_MARK for item in range(ITEMS + 3)]

    async def attempt() -> None:
        async with open_run(path, identity, mode="resume", part=share, settings={"separator": "\n"}) as run:
            for index in range(rejects):
                run.add_reject({"line": index, "reason": "no_answer"})
            for item in items:
                for index in range(completions):
                    key = b"%d of %d" % (index, item)
                    await run.journal.record(key, Completion("text", 3, "stop", index, 7))
                if item in fail:
                    run.add_failure(item, {"problem_id": f"p{item}", "reason": "engine_error"}, marks[item])
                elif item not in run.progress:
                    await run.finish_item(item, item_tables(item), marks[item])
            run.add_totals(tokens=len(items), completions=1)
            if total is not None:
                assert await run.complete(total) == {}
                await run.close("finished")

    asyncio.run(attempt())


def share(index: int, count: int) -> list[int]:
    return [item for item in range(ITEMS) if item % count == index]


def write_parts(folder: Path, count: int, **options: Any) -> list[Path]:
    paths = [folder / f"part-{index}" for index in range(count)]
    for index, path in enumerate(paths):
        write_part(path, share(index, count), f"{index + 1}/{count}", **options)
    return paths


def merge(paths: Sequence[Path], out: Path, **options: Any) -> Merged:
    return merge_parts(paths, out, render=render, **options)


def tables_of(path: Path) -> dict[str, str]:
    return {name: value for name, value in data_digests(path).items() if name.startswith(("data/", "manifest"))}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "run"
    write_run(path, range(ITEMS), total=ITEMS)
    return path


@pytest.mark.parametrize("count", [1, 3, 7, 19])
def test_the_merged_run_has_the_bytes_of_one_process(tmp_path: Path, reference: Path, count: int) -> None:
    merged = merge(write_parts(tmp_path, count), tmp_path / "run")
    assert tables_of(tmp_path / "run") == tables_of(reference)
    assert (merged.items, merged.failed, merged.rejected, merged.changed) == (ITEMS, 0, 2, True)
    assert verify_run(tmp_path / "run").whole
    assert RunReader.open(tmp_path / "run").complete
    assert len((tmp_path / "run" / "rejects.jsonl").read_text().splitlines()) == 2
    assert json.loads((tmp_path / "run" / "README.md").read_text())[0] == {"separator": "\n"}
    assert RunRecord.load(tmp_path / "run").settings == {"separator": "\n"}


def test_totals_and_completions_are_counted_once(tmp_path: Path) -> None:
    parts = write_parts(tmp_path, 3, completions=2)
    merged = merge(parts, tmp_path / "run")
    assert merged.totals["tokens"] == ITEMS
    assert merged.totals["completions"] == 3
    assert merged.totals["paid_completions"] == 2 * ITEMS
    assert merged.totals["paid_tokens"] == 6 * ITEMS

    async def union() -> int:
        journal = ReadOnlyJournal(tmp_path / "run" / "journal.sqlite")
        found = await journal.lookup([b"%d of %d" % (index, item) for item in range(ITEMS) for index in range(2)])
        await journal.close()
        return len(found)

    assert asyncio.run(union()) == 2 * ITEMS


def test_merging_again_changes_nothing(tmp_path: Path) -> None:
    parts = write_parts(tmp_path, 2, completions=1)
    first = merge(parts, tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file() and path.name != "lock"}
    again = merge(parts, tmp_path / "run")
    assert not again.changed
    assert replace(again, changed=True) == first
    assert {path: path.read_bytes() for path in before} == before


def test_an_item_that_was_finished_twice_counts_once(tmp_path: Path, reference: Path) -> None:
    parts = write_parts(tmp_path, 3)
    write_part(tmp_path / "more", [0, 1, 5, 17], "ray-1", total=None)
    merge([*parts, tmp_path / "more"], tmp_path / "run")
    assert tables_of(tmp_path / "run") == tables_of(reference)


def test_a_failed_item_stays_a_failure_and_resuming_the_run_does_it(tmp_path: Path, reference: Path) -> None:
    parts = write_parts(tmp_path, 3, fail=[4, 9])
    merged = merge(parts, tmp_path / "run")
    assert merged.failed == 2
    notes = [json.loads(line) for line in (tmp_path / "run" / "failures.jsonl").read_text().splitlines()]
    assert notes == [{"item": item, "problem_id": f"p{item}", "reason": "engine_error"} for item in (4, 9)]
    write_run(tmp_path / "run", range(ITEMS), total=ITEMS, mode="resume")
    assert tables_of(tmp_path / "run") == tables_of(reference)


def test_a_part_that_did_its_failed_items_is_merged_again(tmp_path: Path, reference: Path) -> None:
    parts = write_parts(tmp_path, 3, fail=[4, 9])
    merge(parts, tmp_path / "run")
    write_part(parts[1], share(1, 3), "2/3")
    merged = merge(parts, tmp_path / "run")
    assert (merged.changed, merged.failed) == (True, 1)
    write_part(parts[0], share(0, 3), "1/3")
    merged = merge(parts, tmp_path / "run")
    assert (merged.changed, merged.failed, merged.totals["tokens"]) == (True, 0, ITEMS + 12)
    assert tables_of(tmp_path / "run") == tables_of(reference)


def test_a_part_whose_worker_was_killed_at_its_start_is_empty(tmp_path: Path, reference: Path) -> None:
    parts = write_parts(tmp_path, 2)
    write_part(tmp_path / "more", [], "extra", total=None)
    (tmp_path / "more" / "journal.sqlite").unlink()
    merge([*parts, tmp_path / "more"], tmp_path / "run")
    assert tables_of(tmp_path / "run") == tables_of(reference)


def test_a_failure_in_one_part_and_a_result_in_another_is_a_result(tmp_path: Path, reference: Path) -> None:
    parts = write_parts(tmp_path, 2, fail=[3])
    write_part(tmp_path / "more", [3], "extra", total=None)
    assert merge([*parts, tmp_path / "more"], tmp_path / "run").failed == 0
    assert tables_of(tmp_path / "run") == tables_of(reference)


def test_a_failure_outlives_the_process_that_met_it(tmp_path: Path) -> None:
    write_part(tmp_path / "a", [0, 1, 2], "a", total=None, fail=[1])
    write_part(tmp_path / "a", list(range(3, ITEMS)), "a")
    assert merge([tmp_path / "a"], tmp_path / "run").failed == 1


@pytest.mark.parametrize("order", [0, 1])
def test_the_merge_in_any_order_and_with_the_callers_own_counts(tmp_path: Path, reference: Path, order: int) -> None:
    parts = write_parts(tmp_path, 3, total=None)
    random.Random(order).shuffle(parts)
    with pytest.raises(RunDirError, match=r"no part has come to its end: continue .*part-\d with --resume"):
        merge(parts, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    merged = merge(parts, tmp_path / "run", items=ITEMS, rejects=[{"line": 0}])
    assert merged.rejected == 1
    assert tables_of(tmp_path / "run") == tables_of(reference)


def refusal(paths: Sequence[Path], out: Path, **options: Any) -> str:
    existed = out.exists()
    with pytest.raises(OpenRDataError) as caught:
        merge(paths, out, **options)
    assert out.exists() == existed
    return str(caught.value)


def test_what_cannot_be_merged_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    parts, out = write_parts(tmp_path, 3), tmp_path / "run"
    assert "part-1 is given twice; every part is merged once" in refusal([*parts, parts[1]], out)
    shutil.copytree(parts[1], tmp_path / "copy")
    assert "copy is a copy of" in refusal([*parts, tmp_path / "copy"], out)
    assert "6 of 18 items are in none of the 2 parts (item 1, 4, 7, 10, 13, ...); give every part" in refusal(parts[::2], out)
    assert "there is nothing to merge" in refusal([], out)
    assert "absent is not a part of a run: it has no run.json" in refusal([*parts, tmp_path / "absent"], out)
    write_run(tmp_path / "whole", range(ITEMS), total=ITEMS)
    assert "whole is a whole run, not a part of one" in refusal([*parts, tmp_path / "whole"], out)
    assert "the input has changed: it has 17 items now and had 18 for the parts" in refusal(parts, out, items=17)
    with DirectoryLock(parts[2]):
        assert "part-2 is in use by process" in refusal(parts, out)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").touch()
    assert "is not a run directory and not empty" in refusal(parts, tmp_path / "foreign")
    assert "part-0 is one of the parts" in refusal(parts, parts[0])
    assert merge(parts, out).items == ITEMS


def test_parts_of_different_runs_are_refused_with_what_differs(tmp_path: Path) -> None:
    write_part(tmp_path / "a", share(0, 2), "1/2")
    write_part(tmp_path / "b", share(1, 2), "2/2", identity=replace(IDENTITY, inputs={"problems.jsonl": "beef"}))
    text = refusal([tmp_path / "a", tmp_path / "b"], tmp_path / "run")
    assert "are parts of different runs: inputs.problems.jsonl ('00ff' and 'beef')" in text


def test_an_input_that_changed_between_the_parts_is_refused_and_the_item_named(tmp_path: Path) -> None:
    write_part(tmp_path / "a", share(0, 2), "1/2")
    write_part(tmp_path / "b", share(1, 2), "2/2", changed=[7])
    text = refusal([tmp_path / "a", tmp_path / "b"], tmp_path / "run")
    assert "one of the items 7 to 8 is not the same for" in text
    assert "the input has changed between them" in text
    write_part(tmp_path / "c", [*share(1, 2), 8], "c", changed=[8])
    text = refusal([tmp_path / "a", tmp_path / "c"], tmp_path / "run")
    assert "item 8 is not the same in" in text
    write_part(tmp_path / "d", share(1, 2), "2/2", total=ITEMS + 1)
    assert "and 18 for" in refusal([tmp_path / "a", tmp_path / "d"], tmp_path / "run")
    write_part(tmp_path / "e", [*share(1, 2), ITEMS], "e", total=None)
    assert "holds item 18 of a run of 18 items" in refusal([tmp_path / "a", tmp_path / "e"], tmp_path / "run")


def test_an_item_with_other_records_in_two_parts_is_refused(tmp_path: Path) -> None:
    parts = write_parts(tmp_path, 2, marked=False)

    async def other() -> None:
        async with open_run(tmp_path / "c", IDENTITY, mode="new", part="c") as run:
            await run.finish_item(5, item_tables(6))

    asyncio.run(other())
    text = refusal([*parts, tmp_path / "c"], tmp_path / "run")
    assert "item 5 has other records in" in text


def test_parts_made_under_another_model_are_refused(tmp_path: Path) -> None:
    """A worker that fitted a model of its own has made labels that do not belong with the others'."""

    def part(name: str, share: str, settings: Mapping[str, Any], item: int) -> Path:
        async def attempt() -> None:
            async with open_run(tmp_path / name, IDENTITY, part=share, settings=settings) as run:
                await run.finish_item(item, item_tables(item))
                await run.complete(2)
                await run.close("finished")

        asyncio.run(attempt())
        return tmp_path / name

    one = part("a", "1/2", {"model": "x", "arrow": True}, 0)
    text = refusal([one, part("b", "2/2", {"model": "y"}, 1)], tmp_path / "run")
    assert "were made under another model: run one of them again" in text
    merge([part("c", "2/2", {"separator": "", "arrow": False}, 1), one], tmp_path / "run")
    assert RunRecord.load(tmp_path / "run").settings == {"model": "x", "separator": ""}


def test_damaged_rows_are_named_and_the_part_makes_them_again(tmp_path: Path, reference: Path) -> None:
    parts, out = write_parts(tmp_path, 2), tmp_path / "run"
    with sqlite3.connect(parts[1] / "journal.sqlite") as connection:
        connection.execute("UPDATE results SET value = substr(value, 1, 40) || x'00' WHERE item = 11")
    connection.close()
    with pytest.raises(RunDirError, match=r"part-1: the rows of item 11 are damaged; .* then part 2/2 again with --resume"):
        merge(parts, out)
    assert not verify_run(parts[1]).whole
    write_part(parts[1], share(1, 2), "2/2")
    assert verify_run(parts[1]).whole
    merge(parts, out)
    assert tables_of(out) == tables_of(reference)


def test_a_directory_is_one_share_or_a_whole_run(tmp_path: Path) -> None:
    write_part(tmp_path / "part", [0], "1/2", total=None)
    write_run(tmp_path / "whole", [0])
    with pytest.raises(RunDirError, match=r"is part 1/2 of a run; choose another directory for part 2/2"):
        write_part(tmp_path / "part", [1], "2/2")
    with pytest.raises(RunDirError, match=r"is part 1/2 of a run; continue it as that part, or merge the parts"):
        write_run(tmp_path / "part", [1], mode="resume")
    with pytest.raises(RunDirError, match="holds a whole run, not part 1/2 of one"):
        write_part(tmp_path / "whole", [1], "1/2")
    with pytest.raises(RunDirError, match=r"is part 1/2 of a run; .openr-data merge. makes the run of its parts"):
        RunReader.open(tmp_path / "part")


def test_unmerged_parts_are_not_run_over(tmp_path: Path) -> None:
    write_part(tmp_path / "run" / "parts" / "a", [0], "1/2", total=None)
    for mode in ("new", "resume"):
        with pytest.raises(RunDirError, match="holds the parts of a run that are not merged yet"):
            write_run(tmp_path / "run", [0], mode=mode)


def test_a_damaged_part_is_repaired(tmp_path: Path, reference: Path) -> None:
    parts = write_parts(tmp_path, 2)
    assert verify_run(parts[0]).whole
    assert verify_run(parts[0]).items == 9
    with sqlite3.connect(parts[0] / "journal.sqlite") as connection:
        connection.execute("UPDATE results SET crc = 1 WHERE item = 4")
    connection.close()
    assert not repair_run(parts[0]).whole
    assert "(item 4); continue part 1/2 in" in refusal(parts, tmp_path / "run")
    write_part(parts[0], share(0, 2), "1/2")
    merge(parts, tmp_path / "run")
    assert tables_of(tmp_path / "run") == tables_of(reference)


@pytest.mark.parametrize("step", range(0, 22, 3))
def test_a_merge_that_was_stopped_anywhere_is_done_again(
    tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The `step`th durable write is the last one before the end of the process."""
    parts, out = write_parts(tmp_path, 3, completions=1), tmp_path / "run"
    left = step
    with monkeypatch.context() as patch:

        def dying(real: Any) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    raise KeyboardInterrupt
                return real(*args, **kwargs)

            return call

        patch.setattr(shards.ShardWriter, "finish", dying(shards.ShardWriter.finish))
        patch.setattr(Manifest, "save", dying(Manifest.save))
        patch.setattr(RunRecord, "save", dying(RunRecord.save))
        patch.setattr(merging, "_copy", dying(merging._copy))
        patch.setattr(merging, "_add_paid", dying(merging._add_paid))
        patch.setattr(merging, "write_text", dying(write_text))
        patch.setattr(merging, "_SAVE_SECONDS", 0.0)
        try:
            merge(parts, out)
        except KeyboardInterrupt:
            assert left < 0
    merged = merge(parts, out)
    assert tables_of(out) == tables_of(reference)
    assert merged.totals["tokens"] == ITEMS
    assert merged.totals["paid_completions"] == ITEMS
    assert verify_run(out).whole


KILLED = """
import os, signal, sys
from pathlib import Path
from openr_data.store import atomic, merging, shards
left = int(sys.argv[1])
def dying(real):
    def call(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return call
atomic.publish = shards.publish = dying(atomic.publish)
merging._SAVE_SECONDS = 0.0
merging.merge_parts([Path(name) for name in sys.argv[3:]], Path(sys.argv[2]), render=lambda *_: "card")
"""


@pytest.mark.slow
def test_a_merge_survives_kill_9(tmp_path: Path, reference: Path) -> None:
    """Killed before one publication of a file after another, a few at a time, until it comes through."""
    parts, out = write_parts(tmp_path, 2, completions=1), tmp_path / "run"
    kills = 0
    for left in (1, 6, 13, 27):
        command = [sys.executable, "-c", KILLED, str(left), str(out), *map(str, parts)]
        kills += subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert kills >= 3
    merged = merge(parts, out)
    assert tables_of(out) == tables_of(reference)
    assert (merged.totals["tokens"], merged.totals["paid_completions"]) == (ITEMS, ITEMS)
    assert verify_run(out).whole
    assert not list(out.rglob("*.partial"))


def test_memory_does_not_grow_with_the_items(tmp_path: Path) -> None:
    """Two parts of many small items: checking and merging them takes what it takes for few."""

    def peak(items: int) -> int:
        identity = replace(IDENTITY, tables=("problems",), shard_items=250)
        parts = [tmp_path / f"{items}-{index}" for index in (0, 1)]
        for index, part in enumerate(parts):
            write_part(part, [], f"{index + 1}/2", total=items, identity=identity)
            chain = UnitChain()
            marks = [chain.mark(b"%d" % item) for item in range(items)]
            values = (
                (item, marks[item] + pack_tables({"problems": item_tables(item)["problems"]})) for item in range(index, items, 2)
            )
            rows = ((item, value, item_checksum(item, value)) for item, value in values)
            with sqlite3.connect(part / "journal.sqlite") as connection:
                connection.executemany("INSERT INTO results VALUES (?, ?, ?)", rows)
            connection.close()
        tracemalloc.start()
        merge(parts, tmp_path / f"run-{items}")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert RunReader.open(tmp_path / f"run-{items}").size("problems").rows == items
        return most

    few, many = peak(1000), peak(8000)
    assert many < few + 400_000


def test_a_million_items_are_remembered_in_a_bitmap() -> None:
    tracemalloc.start()
    progress = Progress(500)
    for item in range(0, 1_000_000, 7):  # of every shard some, as in a part
        progress.add(item)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert progress.count == 142_858
    assert 999_999 in progress
    assert 999_998 not in progress
    assert used < 1_000_000


def test_usage_errors_have_their_exit_code(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        merge([], tmp_path / "run")
    assert caught.value.exit_code == 2
