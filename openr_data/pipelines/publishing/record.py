"""What a publication says of itself to programs: `manifest.json`, and of a run a `run.json` without anything of this machine.

Both are functions of the run or model and of its files, so that publishing again changes nothing. Knows no place to publish to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from openr_data.pipelines.publishing.kinds import DATA_SET, Kind
from openr_data.store.run_record import RunRecord
from openr_data.store.schemas import SCHEMA_VERSION

MANIFEST = "manifest.json"
RUN = "run.json"
_MAKER = "openr-data"
_KEPT = ("schema_version", "command", "config", "engine", "inputs", "tables", "shard_items")
_TOTALS = ("completions", "tokens", "paid_completions", "paid_tokens", "seconds")
_SETTINGS = ("template", "separator")
_DROPPED = re.compile(r"(?i)token$|secret|password|api_?key|credential|base_?url|host|user|cache|headers?$|environ")
"""Configurations hold no such keys today; should one come, it is not published."""
_SAFE = re.compile(r"[\w.@+ -]+(?:/[\w.@+ -]+)?")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in a manifest; `rows` is `None` for a file without rows."""

    path: str
    bytes: int
    sha256: str
    rows: int | None = None


def manifest_text(entries: Iterable[Entry], facts: Mapping[str, Any], kind: Kind = DATA_SET) -> str:
    """`facts` are what is known of the whole: the digest of the run, the splits; the base model."""
    files = [
        {"path": e.path, "bytes": e.bytes, "sha256": e.sha256, **({} if e.rows is None else {"rows": e.rows})}
        for e in sorted(entries, key=lambda entry: entry.path)
    ]
    of_kind = {"schema_version": SCHEMA_VERSION} if kind is DATA_SET else {"kind": kind.repo_type}
    return json_text({"made_by": _MAKER, **of_kind, **facts, "files": files})


def manifest_facts(text: bytes) -> Mapping[str, Any]:
    """Everything that a manifest found at the other end says; empty where it is none."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def owned_files(text: bytes, kind: Kind = DATA_SET) -> dict[str, str] | None:
    """The files that a manifest found at the other end calls ours, with their SHA-256; `None` where it is no manifest of ours of
    this kind.

    Only names that a publication can have: a manifest is text from outside, and what it names may be deleted.
    """
    body = manifest_facts(text)
    if body.get("made_by") != _MAKER or body.get("kind", DATA_SET.repo_type) != kind.repo_type:
        return None
    try:
        files = {str(each["path"]): str(each["sha256"]) for each in body["files"]}
    except (KeyError, TypeError):
        return None
    return {name: sha256 for name, sha256 in files.items() if kind.names.fullmatch(name) and ".." not in name}


def run_text(record: RunRecord) -> str:
    """The run's identity, totals and versions. Of paths only the last part is told."""
    identity = {name: portable(record.identity[name]) for name in _KEPT if name in record.identity}
    body = {
        "identity": identity,
        "digest": record.digest,
        "items": record.items,
        "totals": {name: record.totals[name] for name in _TOTALS if name in record.totals},
        "settings": {name: record.settings[name] for name in _SETTINGS if name in record.settings},
        "versions": record.versions,
    }
    return json_text(body)


def portable(value: Any) -> Any:
    """A recorded value without anything of this machine."""
    if isinstance(value, Mapping):
        return {last_part(str(key)): portable(each) for key, each in value.items() if not _DROPPED.search(str(key))}
    if isinstance(value, list | tuple):
        return [portable(each) for each in value]
    return last_part(value) if isinstance(value, str) else value


def last_part(text: str) -> str:
    """A path of a machine becomes its last part, an address of a server nothing; a name on the Hub (`owner/name`) stays.

    >>> last_part("/home/ann/problems.jsonl"), last_part("openai/gsm8k"), last_part("http://gpu7:8000/v1")
    ('problems.jsonl', 'openai/gsm8k', '')
    """
    if re.match(r"[a-z][a-z0-9+.-]*://", text):
        return ""
    if _SAFE.fullmatch(text) or not re.match(r"/|~|\.\.?[/\\]|[A-Za-z]:[/\\]|[\w.@+ -]+(?:[/\\][\w.@+ -]+){2,}$", text):
        return text
    return PureWindowsPath(text).name if "\\" in text else PurePosixPath(text).name


def json_text(body: Mapping[str, Any]) -> str:
    return json.dumps(body, indent=1, ensure_ascii=False, sort_keys=False) + "\n"
