"""Is a run whole? Checks every byte that counts, names what is not, and sets damaged shards aside on request."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openr_data.errors import RunDirError
from openr_data.store.atomic import file_digest
from openr_data.store.frames import checksum, unpack_completion
from openr_data.store.journal_file import COMPLETIONS, RESULTS, connect_to_read, item_checksum
from openr_data.store.lock import DirectoryLock
from openr_data.store.manifest import NAME as MANIFEST
from openr_data.store.manifest import Manifest, Shard, ShardFile
from openr_data.store.opening import JOURNAL, reopen
from openr_data.store.run_record import RunRecord
from openr_data.store.salvage import salvage_journal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `path` is relative to the run; `shard` is set where redoing that shard repairs it."""

    path: str
    problem: str
    shard: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """`findings` is empty for a run that is whole. `items` are those in shards, or of a part those with a result. `rows` counts
    the verified records of each table, `completions` and `tokens` the sound rows of the journal, adopted ones included.
    """

    status: str
    complete: bool
    items: int
    shards: int
    rows: dict[str, int]
    completions: int
    tokens: int
    findings: tuple[Finding, ...]

    @property
    def whole(self) -> bool:
        return not self.findings


def verify_run(path: Path) -> Report:
    """Read everything: both JSON files, every shard (SHA-256, page checksums, rows, item ranges) and the journal.

    Raises `RunDirError` where `run.json` itself is missing or damaged. Only reads, so a running run can be verified.
    """
    record = RunRecord.load(path)
    try:
        manifest = Manifest.load(path)
    except RunDirError as fault:
        counts, _, findings = _check_journal(path)
        return Report(record.status, False, 0, 0, {}, *counts, (Finding(MANIFEST, str(fault)), *findings))
    findings = [*_check_manifest(path, record, manifest), *_check_shards(path, manifest)]
    if record.status == "finished":
        findings += _check_orphans(path, manifest)
    counts, results, journal = _check_journal(path)
    items = results if record.part else sum(shard.stop - shard.start for shard in manifest.shards.values())
    return Report(
        status=record.status,
        complete=record.status == "finished" if record.part else record.items == items,
        items=items,
        shards=len(manifest.shards),
        rows={table: manifest.size(table).rows for table in manifest.tables},
        completions=counts[0],
        tokens=counts[1],
        findings=(*findings, *journal),
    )


def repair_run(path: Path) -> Report:
    """Verify, set every damaged shard aside in `quarantine/`, and save what is readable of a damaged journal.

    The next resume redoes the items of those shards from the journal, at no cost for what it still holds. Returns what was
    found. Raises `RunDirError` where the run is in use, or `run.json` is damaged.
    """
    with DirectoryLock(path):
        report = verify_run(path)
        if any(finding.path == JOURNAL for finding in report.findings):
            salvage_journal(path / JOURNAL)
        record = RunRecord.load(path)
        manifest = _trusted_manifest(path, record)
        reopen(path, manifest, _damaged_files(report), set())
        if report.findings:
            record.status, record.items, record.manifest = "interrupted", None, ""
            record.save(path)
        return report


def _damaged_files(report: Report) -> dict[int, list[str]]:
    """By shard."""
    damaged: dict[int, list[str]] = {}
    for finding in report.findings:
        if finding.shard is not None:
            damaged.setdefault(finding.shard, []).append(finding.path)
    return damaged


def _trusted_manifest(path: Path, record: RunRecord) -> Manifest:
    """Without a manifest to trust no shard can be, so it starts empty: every item is done again from the journal."""
    try:
        manifest = Manifest.load(path)
        if manifest.digest == record.digest:
            return manifest
    except RunDirError:
        pass
    empty = Manifest(record.digest, record.tables)
    empty.save(path)
    return empty


def _check_manifest(path: Path, record: RunRecord, manifest: Manifest) -> Iterator[Finding]:
    if manifest.digest != record.digest or manifest.tables != record.tables:
        yield Finding(MANIFEST, "it belongs to another run")
    if record.status != "finished" or record.part:
        return
    if record.manifest != file_digest(path / MANIFEST):
        yield Finding(MANIFEST, "it is not the one this run was finished with")
    covered = sum(shard.stop - shard.start for shard in manifest.shards.values())
    if covered != record.items:
        yield Finding(MANIFEST, f"it covers {covered} of {record.items} items")


def _check_shards(path: Path, manifest: Manifest) -> Iterator[Finding]:
    for shard in manifest.shards.values():
        for file in shard.files.values():
            fault = check_file(path, shard, file)
            if fault:
                yield Finding(file.path, fault, shard.index)


def check_file(run: Path, shard: Shard, file: ShardFile) -> str:
    """Empty, or what is wrong with a shard's file."""
    from openr_data.store.shards import damage

    path = run / file.path
    if not path.is_file():
        return "it is missing"
    if path.stat().st_size != file.bytes:
        return f"it has {path.stat().st_size} bytes where {file.bytes} belong"
    if file_digest(path) != file.sha256:
        return damage(path, file.rows, shard.start, shard.stop) or "its SHA-256 is not the one in the manifest"
    return damage(path, file.rows, shard.start, shard.stop)


def _check_orphans(path: Path, manifest: Manifest) -> Iterator[Finding]:
    """Shards beside the manifest of a finished run: the manifest is stale. (In other runs a kill may have left them.)"""
    named = {file.path for shard in manifest.shards.values() for file in shard.files.values()}
    for file in sorted((path / "data").rglob("*.parquet")):
        name = file.relative_to(path).as_posix()
        if name not in named and not file.name.startswith("."):
            yield Finding(name, "the manifest does not name it")


def _check_journal(path: Path) -> tuple[tuple[int, int], int, list[Finding]]:
    """Completions and tokens, sound results, and what is wrong with the journal."""
    if not (path / JOURNAL).is_file():
        return (0, 0), 0, [Finding(JOURNAL, "it is missing")]
    try:
        connection = connect_to_read(path / JOURNAL, briefly=True)
    except RunDirError as fault:
        return (0, 0), 0, [Finding(JOURNAL, str(fault))]
    try:
        return _read_journal(connection)
    except sqlite3.Error as fault:
        return (0, 0), 0, [Finding(JOURNAL, f"it cannot be read ({fault})")]
    finally:
        connection.close()


def _read_journal(connection: sqlite3.Connection) -> tuple[tuple[int, int], int, list[Finding]]:
    findings = []
    (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if state != "ok":
        findings.append(Finding(JOURNAL, f"its pages are damaged ({str(state).splitlines()[-1]})"))
    completions = tokens = results = damaged = 0
    for key, value, crc in connection.execute(COMPLETIONS):
        if crc == checksum(key, value):
            completions += 1
            tokens += unpack_completion(value).token_count
        else:
            damaged += 1
    for item, value, crc in connection.execute(RESULTS):
        sound = crc == item_checksum(item, value)
        results += sound
        damaged += not sound
    if damaged:
        findings.append(Finding(JOURNAL, f"{damaged} of its rows are damaged and will be done again"))
    return (completions, tokens), results, findings
