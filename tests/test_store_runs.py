"""A run directory: whatever the order and however often it is stopped, the same data; and nobody else's."""

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from store_runs import IDENTITY, data_digests, fill, item_tables, write_run

from openr_data.errors import RunDirError, StorageError
from openr_data.store import shards
from openr_data.store.lock import DirectoryLock
from openr_data.store.notes import NoteFile
from openr_data.store.progress import Progress
from openr_data.store.read import RunReader
from openr_data.store.run_dir import open_run
from openr_data.store.run_record import RunRecord
from openr_data.store.schemas import SCHEMA_VERSION
from openr_data.store.verify import verify_run
from openr_data.types import Completion

ITEMS = 18  # four whole shards of 4, and one of 2


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "run"
    write_run(path, range(ITEMS), total=ITEMS)
    return path


def test_the_order_in_which_items_finish_changes_no_byte(tmp_path: Path, reference: Path) -> None:
    for seed in range(3):
        order = list(range(ITEMS))
        random.Random(seed).shuffle(order)
        write_run(tmp_path / str(seed), order, total=ITEMS)
        assert data_digests(tmp_path / str(seed)) == data_digests(reference)


def test_a_run_in_pieces_is_the_same_run(tmp_path: Path, reference: Path) -> None:
    order = list(range(ITEMS))
    random.Random(5).shuffle(order)
    write_run(tmp_path, order[:7])
    assert RunRecord.load(tmp_path).status == "interrupted"
    write_run(tmp_path, order[:12], mode="resume")
    run = write_run(tmp_path, order, total=ITEMS, mode="resume")
    assert data_digests(tmp_path) == data_digests(reference)
    assert run.record.attempts == 3
    assert verify_run(tmp_path).whole


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(tmp_path: Path, reference: Path) -> None:
    write_run(tmp_path, range(ITEMS), total=ITEMS)

    async def again() -> None:
        async with open_run(tmp_path, IDENTITY, mode="resume") as run:
            assert run.finished
            assert all(item in run.progress for item in range(ITEMS))
            assert run.progress.count == ITEMS
            await run.complete(ITEMS)
            await run.close("finished")

    asyncio.run(again())
    assert data_digests(tmp_path) == data_digests(reference)


def test_the_values_come_back_item_by_item(reference: Path) -> None:
    reader = RunReader.open(reference)
    assert reader.complete
    records = list(reader.items())
    assert [each.item for each in records] == list(range(ITEMS))
    for each in records:
        expected = item_tables(each.item)
        assert (len(each.labeled), len(each.nodes)) == (len(expected["labeled"]), len(expected["nodes"]))
        assert sum(len(node.rollouts) for node in each.nodes) == len(expected["rollouts"])
        assert each.problem.question == expected["problems"][0]["question"]
        assert each.skipped == ("too easy" if each.item % 3 == 2 else "")
    assert [row["item"] for row in reader.rows("problems")] == list(range(ITEMS))
    only = next(iter(reader.items(tables=("labeled",))))
    assert only.labeled
    assert not only.nodes


def test_statistics_read_a_table_lazily(reference: Path, tmp_path: Path) -> None:
    reader = RunReader.open(reference)
    frame = reader.scan("rollouts").collect()
    assert frame.height == reader.size("rollouts").rows == 12 * 3 * 8
    moved = shutil.copytree(reference, tmp_path / "run [1]*")
    assert RunReader.open(moved).scan("rollouts").collect().equals(frame)
    with pytest.raises(RunDirError, match="no table 'solutions'; it has labeled, problems, nodes, rollouts"):
        reader.scan("solutions")


def test_another_configuration_is_refused_and_every_field_named(tmp_path: Path) -> None:
    write_run(tmp_path, range(3))
    other = replace(
        IDENTITY, engine="scripted:def", config={"method": "omegaprm", "sampling": {"temperature": 0.7, "seed": 7, "top_k": 1}}
    )
    with pytest.raises(RunDirError) as refusal:
        write_run(tmp_path, range(3), mode="resume", identity=other)
    text = str(refusal.value)
    assert "was written by a different run: " in text
    assert "config.sampling.temperature (1.0, now 0.7)" in text
    assert "config.sampling.top_k (None, now 1)" in text
    assert "engine ('scripted:abc', now 'scripted:def')" in text
    assert "seed" not in text


def test_settings_that_no_record_depends_on_are_saved_and_not_compared(tmp_path: Path) -> None:
    write_run(tmp_path, range(3), settings={"window": 8})
    run = write_run(tmp_path, range(5), mode="resume", settings={"window": 64})
    assert run.record.settings == {"window": 64}


def test_another_schema_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path, range(3))
    monkeypatch.setattr("openr_data.store.run_record.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    with pytest.raises(RunDirError, match=f"data schema {SCHEMA_VERSION}, and this openr-data writes {SCHEMA_VERSION + 1}"):
        write_run(tmp_path, range(3), mode="resume")


def test_a_directory_in_use_for_something_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "run", range(3))
    with pytest.raises(RunDirError, match="already holds a run; --resume continues it, --fork"):
        write_run(tmp_path / "run", range(3))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    for mode in ("new", "resume"):
        with pytest.raises(RunDirError, match=r"not a run directory and not empty \(it holds cat.jpg\)"):
            write_run(tmp_path / "photos", [], mode=mode)
    assert [each.name for each in (tmp_path / "photos").iterdir()] == ["cat.jpg"]
    with pytest.raises(RunDirError, match="is a file"):
        write_run(tmp_path / "photos" / "cat.jpg", [])


def test_resuming_what_was_never_started_starts_it(tmp_path: Path, reference: Path) -> None:
    write_run(tmp_path / "new", range(ITEMS), total=ITEMS, mode="resume")
    assert data_digests(tmp_path / "new") == data_digests(reference)


def test_a_fork_starts_again_with_the_completions(tmp_path: Path) -> None:
    completion = Completion("x", 9, "stop", 0, 1)

    async def first() -> None:
        async with open_run(tmp_path / "a", IDENTITY) as run:
            await run.journal.record(b"k" * 32, completion)
            await fill(run, range(5))

    async def second() -> None:
        async with open_run(tmp_path / "b", replace(IDENTITY, config={"method": "mips"}), fork_of=tmp_path / "a") as run:
            assert 0 not in run.progress
            assert await run.journal.lookup([b"k" * 32]) == {b"k" * 32: completion}
            await run.journal.record(b"l" * 32, completion)

    asyncio.run(first())
    asyncio.run(second())
    record = RunRecord.load(tmp_path / "b")
    assert record.forked_from == RunRecord.load(tmp_path / "a").digest
    assert (record.totals["paid_completions"], record.totals["paid_tokens"]) == (1, 9)


def test_totals_add_up_over_the_attempts(tmp_path: Path) -> None:
    async def attempt(number: int) -> None:
        async with open_run(tmp_path, IDENTITY, mode="resume") as run:
            await run.journal.record(bytes([number]) * 32, Completion("x", 10, "stop", 0, 1))
            run.add_totals(rollouts=3, reused=1)
            run.add_totals(rollouts=2)

    for number in range(3):
        asyncio.run(attempt(number))
    totals = RunRecord.load(tmp_path).totals
    assert {name: totals[name] for name in ("rollouts", "reused", "paid_completions", "paid_tokens")} == {
        "rollouts": 15,
        "reused": 3,
        "paid_completions": 3,
        "paid_tokens": 30,
    }
    assert totals["seconds"] > 0


def test_failed_items_have_no_records_and_are_tried_again(tmp_path: Path, reference: Path) -> None:
    async def attempt() -> None:
        async with open_run(tmp_path, IDENTITY) as run:
            await fill(run, [item for item in range(ITEMS) if item not in (9, 6)])
            run.add_failure(9, {"id": "p9", "reason": "the engine was down"})
            run.add_failure(6, {"id": "p6", "reason": "the engine was down"})
            await run.complete(ITEMS)
            await run.close("finished")
            assert run.failed == 2

    asyncio.run(attempt())
    notes = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert [note["item"] for note in notes] == [6, 9]
    assert verify_run(tmp_path).whole
    assert [each.item for each in RunReader.open(tmp_path).items()] == [n for n in range(ITEMS) if n not in (6, 9)]
    write_run(tmp_path, range(ITEMS), total=ITEMS, mode="resume")
    assert data_digests(tmp_path) == data_digests(reference)


def test_a_note_may_hold_what_other_programs_take_for_an_end_of_line(tmp_path: Path) -> None:
    notes = NoteFile(tmp_path / "failures.jsonl", sort_by="item")
    for item in (1, 0):
        notes.add({"item": item, "problem_id": "a\u2028b\u0085c\n"})
    notes.publish()
    lines = (tmp_path / "failures.jsonl").read_bytes().rstrip().split(b"\n")
    assert [json.loads(line) for line in lines] == [{"item": item, "problem_id": "a\u2028b\u0085c\n"} for item in (0, 1)]


def test_an_item_that_is_neither_finished_nor_failed_is_a_bug(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="item 17 is neither finished nor failed"):
        write_run(tmp_path, range(17), total=ITEMS)
    assert RunRecord.load(tmp_path).status == "failed"


def test_rows_with_other_columns_are_a_bug(tmp_path: Path) -> None:
    async def attempt(tables: dict[str, list[dict[str, object]]]) -> None:
        async with open_run(tmp_path, IDENTITY, mode="resume") as run:
            await run.finish_item(0, tables)

    with pytest.raises(ValueError, match="wrong columns"):
        asyncio.run(attempt({"problems": [{"question": "?"}]}))
    with pytest.raises(ValueError, match="no table 'solutions'"):
        asyncio.run(attempt({"solutions": []}))


def test_rejects_are_those_of_the_last_attempt(tmp_path: Path) -> None:
    async def attempt() -> None:
        async with open_run(tmp_path, IDENTITY, mode="resume") as run:
            for line in (3, 8):
                run.add_reject({"line": line, "reason": "no answer"})

    for _ in range(2):
        asyncio.run(attempt())
    assert [json.loads(line)["line"] for line in (tmp_path / "rejects.jsonl").read_text().splitlines()] == [3, 8]


HOLD = """
import sys, time
from pathlib import Path
from openr_data.store.lock import DirectoryLock
from openr_data.store.notes import NoteFile
with DirectoryLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_told_who_holds_the_run(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(RunDirError, match=f"in use by process {child.pid}"):
            write_run(tmp_path, range(2))
        child.kill()
    write_run(tmp_path, range(2))


def test_two_runs_in_one_process_exclude_each_other_too(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path), pytest.raises(RunDirError, match=f"process {os.getpid()}"):
        DirectoryLock(tmp_path).acquire()
    with DirectoryLock(tmp_path):
        pass


FORKING = """
import os, sys, time
from pathlib import Path
from openr_data.store.lock import DirectoryLock
from openr_data.store.notes import NoteFile
DirectoryLock(Path(sys.argv[1])).acquire()
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
time.sleep(60)
"""


def test_a_worker_that_outlives_its_killed_parent_does_not_hold_the_run(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", FORKING, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 10
        while True:  # the worker may still be on its way out of fork()
            try:
                with DirectoryLock(tmp_path):
                    break
            except RunDirError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        os.kill(worker, signal.SIGKILL)


def test_a_disk_that_fails_while_sealing_loses_nothing(tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(shards, "publish", full)
        with pytest.raises(StorageError, match=r"No space left on device.*--resume"):
            write_run(tmp_path, range(ITEMS), total=ITEMS)
    assert RunRecord.load(tmp_path).status == "failed"
    assert not list((tmp_path / "data").rglob("*.parquet"))
    write_run(tmp_path, range(ITEMS), total=ITEMS, mode="resume")
    assert data_digests(tmp_path) == data_digests(reference)


def test_progress_keeps_only_open_shards() -> None:
    progress = Progress(10)
    for item in range(1000):
        if progress.add(item):
            progress.sealed(item // 10, item + 1)
    assert progress.count == 1000
    assert 999 in progress
    assert 1000 not in progress
    assert progress.unsealed(1005) == [100]
    assert progress.missing(100, 1003) == [1000, 1001, 1002]


CHILD = """
import asyncio, random, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from openr_data.store.run_dir import open_run
from openr_data.types import Completion
from store_runs import IDENTITY, card, item_tables
async def work(run, item, paid):
    keys = [f"{item}-{k}".encode().ljust(32) for k in range(3)]
    known = await run.journal.lookup(keys)
    for key in keys:
        if key not in known:
            paid.write(key.decode().strip() + "\\n"); paid.flush()
            await run.journal.record(key, Completion("x" * 200, 5, "stop", 0, item))
            paid.write("+" + key.decode().strip() + "\\n"); paid.flush()
        await asyncio.sleep(0)
    await run.finish_item(item, item_tables(item))
async def main(path, items, seed):
    order = list(range(items)); random.Random(seed).shuffle(order)
    window = asyncio.Semaphore(6)
    async def one(run, item, paid):
        async with window:
            await work(run, item, paid)
    with open(path.parent / "paid", "a") as paid:
        async with open_run(path, IDENTITY, mode="resume") as run:
            print("open", flush=True)
            await asyncio.gather(*(one(run, i, paid) for i in order if i not in run.progress))
            await run.write_card(card(await run.complete(items)))
            await run.close("finished")
asyncio.run(main(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
"""


@pytest.mark.slow
def test_kill_9_and_resume_gives_the_same_bytes_and_pays_nothing_twice(tmp_path: Path) -> None:
    items, path, rng = 60, tmp_path / "run", random.Random(3)
    write_run(tmp_path / "whole", range(items), total=items)
    root = str(Path(__file__).parent)
    kills = 0
    for attempt in range(40):
        command = [sys.executable, "-c", CHILD, root, str(path), str(items), str(attempt)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            if attempt < 12:
                if attempt % 3:  # otherwise somewhere in its start
                    child.stdout.readline()
                time.sleep(rng.uniform(0, 0.12) if attempt % 3 else rng.uniform(0.2, 0.6))
                child.kill()
            if child.wait() == 0:
                break
        kills += 1
    assert kills >= 2
    assert data_digests(path) == data_digests(tmp_path / "whole")
    assert verify_run(path).whole
    assert sorted(each.name for each in path.iterdir()) == sorted(each.name for each in (tmp_path / "whole").iterdir())
    lines = (tmp_path / "paid").read_text().split()
    acknowledged = [line for line in lines if line.startswith("+")]
    assert len(acknowledged) == len(set(acknowledged))
    for number, line in enumerate(lines):  # nothing is asked for again once it was acknowledged
        if not line.startswith("+"):
            assert f"+{line}" not in lines[:number]
