"""Every damage is found and named; repairing and resuming gives back the same bytes."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from store_runs import data_digests, write_run

from openr_data.errors import RunDirError
from openr_data.store import shards
from openr_data.store.atomic import read_checked_json, write_checked_json
from openr_data.store.read import RunReader
from openr_data.store.verify import repair_run, verify_run

ITEMS = 10


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "run"
    write_run(path, range(ITEMS), total=ITEMS)
    return path


@pytest.fixture
def run(tmp_path: Path, reference: Path) -> Path:
    return Path(shutil.copytree(reference, tmp_path / "run"))


def shard(run: Path, table: str = "labeled", index: int = 1) -> Path:
    return run / shards.shard_path(table, index)


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def test_a_whole_run_has_no_findings_and_verifying_changes_nothing(run: Path, reference: Path) -> None:
    before = {each.name for each in run.iterdir()}
    report = verify_run(run)
    assert report.whole
    assert (report.status, report.complete, report.items, report.shards) == ("finished", True, 10, 3)
    assert report.rows["problems"] == ITEMS
    assert {each.name for each in run.iterdir()} == before
    assert data_digests(run) == data_digests(reference)


def test_every_flipped_bit_in_a_shard_is_found(run: Path) -> None:
    path, rng = shard(run), random.Random(1)
    whole = path.read_bytes()
    for bit in rng.sample(range(len(whole) * 8), 60):
        flip(path, bit)
        (finding,) = verify_run(run).findings
        assert (finding.path, finding.shard) == ("data/labeled/train-00001.parquet", 1)
        path.write_bytes(whole)
    assert verify_run(run).whole


def test_page_checksums_alone_find_a_flipped_bit_in_the_data(run: Path) -> None:
    """A reader that never looks at the manifest's SHA-256 still does not hand out wrong values."""
    path = shard(run, "rollouts", 0)
    whole = path.read_bytes()
    from pyarrow.parquet import ParquetFile

    texts = ParquetFile(path).metadata.row_group(0).column(3)
    start, stop = texts.dictionary_page_offset + 60, texts.data_page_offset
    assert stop - start > 500
    for bit in random.Random(2).sample(range(start * 8, stop * 8), 40):
        flip(path, bit)
        with pytest.raises(RunDirError, match="verify"):
            list(RunReader.open(run).rows("rollouts"))
        path.write_bytes(whole)


def test_a_reader_hands_out_the_right_rows_or_none(run: Path) -> None:
    """Wherever the bit is, in a page, in its header or in the footer."""
    path, rng = shard(run, "rollouts", 0), random.Random(4)
    whole, rows = path.read_bytes(), list(RunReader.open(run).rows("rollouts"))
    refused = 0
    for bit in rng.sample(range(len(whole) * 8), 120):
        flip(path, bit)
        try:
            assert list(RunReader.open(run).rows("rollouts")) == rows
        except RunDirError:
            refused += 1
        path.write_bytes(whole)
    assert refused > 20


def truncate(run: Path) -> None:
    path = shard(run)
    path.write_bytes(path.read_bytes()[:-100])


def empty(run: Path) -> None:
    shard(run).write_bytes(b"")


def remove(run: Path) -> None:
    shard(run).unlink()


def grow(run: Path) -> None:
    with shard(run).open("ab") as file:
        file.write(b"\0" * 64)


def swap(run: Path) -> None:
    first, second = shard(run, index=0), shard(run, index=1)
    first_bytes = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(first_bytes)


@pytest.mark.parametrize("break_it", [truncate, empty, remove, grow, swap])
def test_a_broken_shard_is_named_set_aside_and_done_again(run: Path, reference: Path, break_it: Callable[[Path], None]) -> None:
    break_it(run)
    report = verify_run(run)
    assert "data/labeled/train-00001.parquet" in [finding.path for finding in report.findings]
    assert repair_run(run).findings == report.findings
    assert not shard(run).exists()
    assert (run / "quarantine" / "labeled-train-00001.parquet").exists() == (break_it is not remove)
    assert verify_run(run).whole
    assert not RunReader.open(run).complete
    write_run(run, range(ITEMS), total=ITEMS, mode="resume")
    assert verify_run(run).whole
    assert data_digests(run) == data_digests(reference)


@pytest.mark.parametrize("break_it", [truncate, remove, swap])
def test_resuming_alone_redoes_a_broken_shard_and_says_which(
    run: Path, reference: Path, break_it: Callable[[Path], None]
) -> None:
    break_it(run)
    resumed = write_run(run, range(ITEMS), total=ITEMS, mode="resume")
    assert "data/labeled/train-00001.parquet" in resumed.redone
    assert data_digests(run) == data_digests(reference)


def test_a_swapped_pair_with_a_matching_manifest_is_still_found(run: Path) -> None:
    """Even if sizes and checksums were rewritten with it: the rows say which items they belong to."""
    swap(run)
    manifest = read_checked_json(run / "manifest.json")
    first, second = (each["files"]["labeled"] for each in manifest["shards"][:2])
    for name in ("rows", "bytes", "sha256", "arrow_bytes"):
        first[name], second[name] = second[name], first[name]
    write_checked_json(run / "manifest.json", manifest)
    problems = {finding.path: finding.problem for finding in verify_run(run).findings}
    assert "outside 0..3" in problems["data/labeled/train-00000.parquet"]
    assert "outside 4..7" in problems["data/labeled/train-00001.parquet"]


def test_a_stale_manifest_is_found_and_resuming_completes_it(run: Path, reference: Path) -> None:
    manifest = read_checked_json(run / "manifest.json")
    del manifest["shards"][2]
    write_checked_json(run / "manifest.json", manifest)
    problems = [finding.problem for finding in verify_run(run).findings]
    assert problems == [
        "it is not the one this run was finished with",
        "it covers 8 of 10 items",
        *["the manifest does not name it"] * 4,
    ]
    repair_run(run)
    write_run(run, range(ITEMS), total=ITEMS, mode="resume")
    assert data_digests(run) == data_digests(reference)


def test_every_flipped_bit_in_the_manifest_or_the_run_file_is_found(run: Path) -> None:
    rng = random.Random(3)
    for name in ("manifest.json", "run.json"):
        path = run / name
        whole = path.read_bytes()
        for bit in rng.sample(range(len(whole) * 8), 60):
            flip(path, bit)
            try:
                same = json.loads(path.read_bytes()) == json.loads(whole)  # one kind of blank for another
            except ValueError:
                same = False
            assert unharmed(run) == same
            path.write_bytes(whole)


def unharmed(run: Path) -> bool:
    try:
        return verify_run(run).whole or (RunReader.open(run).complete and not data_findings(run))
    except RunDirError:
        return False


def data_findings(run: Path) -> list[str]:
    """Findings beside the manifest's own bytes, which differ from those that were sealed even where its values do not."""
    return [
        finding.path for finding in verify_run(run).findings if finding.problem != "it is not the one this run was finished with"
    ]


def test_without_a_manifest_nothing_is_trusted_and_everything_done_again(run: Path, reference: Path) -> None:
    (run / "manifest.json").write_text('{"checksum": "00"}')
    with pytest.raises(RunDirError, match=r"manifest.json is damaged.*verify .* --repair"):
        write_run(run, range(ITEMS), total=ITEMS, mode="resume")
    repair_run(run)
    write_run(run, range(ITEMS), total=ITEMS, mode="resume")
    assert data_digests(run) == data_digests(reference)


def test_the_manifest_of_another_run_is_refused(run: Path) -> None:
    manifest = read_checked_json(run / "manifest.json")
    write_checked_json(run / "manifest.json", {**manifest, "digest": "00"})
    assert "it belongs to another run" in [finding.problem for finding in verify_run(run).findings]
    with pytest.raises(RunDirError, match="belongs to another run"):
        RunReader.open(run)
    with pytest.raises(RunDirError, match="belongs to another run"):
        write_run(run, [], mode="resume")


def test_a_damaged_row_of_the_journal_is_counted(run: Path) -> None:
    connection = sqlite3.connect(run / "journal.sqlite")
    connection.execute("INSERT INTO completions VALUES (x'00', x'01', 5)")
    connection.commit()
    connection.close()
    (finding,) = verify_run(run).findings
    assert (finding.path, finding.problem) == ("journal.sqlite", "1 of its rows are damaged and will be done again")
    repair_run(run)
    assert verify_run(run).whole


def test_a_journal_that_is_no_journal_is_replaced(run: Path) -> None:
    (run / "journal.sqlite").write_bytes(os.urandom(8192))
    assert [finding.path for finding in verify_run(run).findings] == ["journal.sqlite"]
    repair_run(run)
    assert verify_run(run).whole
    write_run(run, range(ITEMS), total=ITEMS, mode="resume")


def test_repairing_a_run_in_use_is_refused(run: Path) -> None:
    code = "import sys; from pathlib import Path; from openr_data.store.verify import repair_run; repair_run(Path(sys.argv[1]))"
    from openr_data.store.lock import DirectoryLock

    with DirectoryLock(run):
        done = subprocess.run([sys.executable, "-c", code, str(run)], check=False, capture_output=True, text=True, timeout=60)
    assert f"in use by process {os.getpid()}" in done.stderr


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match=r"run\.json is missing"):
        verify_run(tmp_path)
    with pytest.raises(RunDirError, match="not a run directory"):
        RunReader.open(tmp_path)
