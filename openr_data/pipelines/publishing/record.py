"""What a published data set says of itself to programs: `manifest.json`, and a `run.json` without anything of this machine.

Both are functions of the run and of its files, so that publishing again changes nothing. Knows no place to publish to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

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
_OWNED = re.compile(r"(?:data|data-[0-9a-f]{12}|figures)/[A-Za-z0-9][A-Za-z0-9._/-]*|run\.json|LICENSE|export\.json")
_SAFE = re.compile(r"[\w.@+ -]+(?:/[\w.@+ -]+)?")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in a manifest; `rows` is `None` for a file without rows."""

    path: str
    bytes: int
    sha256: str
    rows: int | None = None


def manifest_text(entries: Iterable[Entry], facts: Mapping[str, Any]) -> str:
    """`facts` are what is known of the whole: the digest of the run, the splits."""
    files = [
        {"path": e.path, "bytes": e.bytes, "sha256": e.sha256, **({} if e.rows is None else {"rows": e.rows})}
        for e in sorted(entries, key=lambda entry: entry.path)
    ]
    return _json({"made_by": _MAKER, "schema_version": SCHEMA_VERSION, **facts, "files": files})


def owned_files(text: bytes) -> dict[str, str] | None:
    """The files that a manifest found at the other end calls ours, with their SHA-256; `None` where it is no manifest of ours.

    Only names that a publication can have: a manifest is text from outside, and what it names may be deleted.
    """
    try:
        body = json.loads(text)
        if body["made_by"] != _MAKER:
            return None
        files = {str(each["path"]): str(each["sha256"]) for each in body["files"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return {name: sha256 for name, sha256 in files.items() if _OWNED.fullmatch(name) and ".." not in name}


def run_text(record: RunRecord) -> str:
    """The run's identity, totals and versions. Of paths only the last part is told."""
    identity = {name: _portable(record.identity[name]) for name in _KEPT if name in record.identity}
    body = {
        "identity": identity,
        "digest": record.digest,
        "items": record.items,
        "totals": {name: record.totals[name] for name in _TOTALS if name in record.totals},
        "settings": {name: record.settings[name] for name in _SETTINGS if name in record.settings},
        "versions": record.versions,
    }
    return _json(body)


def _portable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_last_part(str(key)): _portable(each) for key, each in value.items() if not _DROPPED.search(str(key))}
    if isinstance(value, list | tuple):
        return [_portable(each) for each in value]
    return _last_part(value) if isinstance(value, str) else value


def _last_part(text: str) -> str:
    """A path of a machine becomes its last part, an address of a server nothing; a name on the Hub (`owner/name`) stays.

    >>> _last_part("/home/ann/problems.jsonl"), _last_part("openai/gsm8k"), _last_part("http://gpu7:8000/v1")
    ('problems.jsonl', 'openai/gsm8k', '')
    """
    if re.match(r"[a-z][a-z0-9+.-]*://", text):
        return ""
    if _SAFE.fullmatch(text) or not re.match(r"/|~|\.\.?[/\\]|[A-Za-z]:[/\\]|[\w.@+ -]+(?:[/\\][\w.@+ -]+){2,}$", text):
        return text
    return PureWindowsPath(text).name if "\\" in text else PurePosixPath(text).name


def _json(body: Mapping[str, Any]) -> str:
    return json.dumps(body, indent=1, ensure_ascii=False, sort_keys=False) + "\n"
