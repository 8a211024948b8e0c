"""What a run is, and its `run.json`. Knows configurations as plain JSON, and compares them; opens nothing."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from openr_data.errors import RunDirError
from openr_data.store.atomic import digest, read_checked_json, write_checked_json
from openr_data.store.codecs import plain_config
from openr_data.store.schemas import SCHEMA_VERSION, TABLES

NAME = "run.json"
PREPARED = "prepared"
"""Setting of a run that has found out what it wanted to know before its first item, such as a model fitted on a pilot."""

Status = Literal["running", "finished", "interrupted", "failed"]
_PACKAGES = ("openr-data", "pyarrow", "torch", "transformers", "vllm", "math-verify")
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Everything the records depend on. Two runs with the same identity hold the same data; nothing else is compared.

    `config`: the frozen configuration (a dataclass or a mapping) without what only changes the speed. `engine`: identity of
    the loaded engine. `inputs`: name of each input and its SHA-256. `tables`: the main table first. A shard holds the records
    of `shard_items` items.
    """

    command: str
    config: object
    engine: str
    inputs: Mapping[str, str]
    tables: tuple[str, ...]
    shard_items: int = 256

    def __post_init__(self) -> None:
        if self.shard_items < 1 or not self.tables or not set(self.tables) <= set(TABLES):
            raise ValueError("a run needs at least one item per shard and declared tables")

    def plain(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in ("command", "config", "engine", "inputs", "tables", "shard_items")}
        return {"schema_version": SCHEMA_VERSION, **plain_config(values)}

    @property
    def digest(self) -> str:
        return digest(self.plain())

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> RunIdentity:
        """The identity that `plain` describes: its digest is the same."""
        named = {name: values[name] for name in ("command", "config", "engine", "inputs", "shard_items")}
        return cls(**named, tables=tuple(values["tables"]))


@dataclass(slots=True)
class RunRecord:
    """The content of `run.json`. `totals` are sums over every attempt at the run; `items` is known once it is complete;
    `inherited` counts the completions and tokens that came with a fork, which this run did not pay for. `part` is the share of
    a part ("" for a whole run) and `part_id` tells it from every other part, also from one with the same share; `merged` holds
    what each part that was merged into this run has added to its totals.
    """

    identity: dict[str, Any]
    digest: str
    status: Status = "running"
    items: int | None = None
    attempts: int = 0
    totals: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    versions: list[dict[str, str]] = field(default_factory=list)
    forked_from: str = ""
    inherited: dict[str, int] = field(default_factory=dict)
    manifest: str = ""
    part: str = ""
    part_id: str = ""
    merged: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, identity: RunIdentity) -> RunRecord:
        return cls(identity.plain(), identity.digest)

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(self.identity["tables"])

    def save(self, directory: Path) -> None:
        write_checked_json(directory / NAME, asdict(self))

    @classmethod
    def load(cls, directory: Path) -> RunRecord:
        """Raises `RunDirError` where there is no run, a damaged one, or one of another schema version."""
        reuse = f"a new run with --reuse {directory} answers from its completions"
        body = read_checked_json(directory / NAME, f"restore it from a copy; {reuse}")
        found = body.get("identity", {}).get("schema_version")
        if found != SCHEMA_VERSION:
            raise RunDirError(
                f"{directory} was written with data schema {found}, and this openr-data writes {SCHEMA_VERSION}; "
                f"use the version that wrote it; {reuse}"
            )
        try:
            record = cls(**body)
        except TypeError as fault:
            raise RunDirError(f"{directory / NAME} is not a run of this version of openr-data") from fault
        if record.digest != digest(record.identity):
            raise RunDirError(f"{directory / NAME} is damaged: its digest does not match its configuration")
        return record

    def compare_share(self, part: str, directory: Path) -> None:
        """Raises `RunDirError` where the directory holds another share of the run than `part` ("": the whole run)."""
        if self.part == part:
            return
        if not self.part:
            raise RunDirError(f"{directory} holds a whole run, not part {part} of one; choose another directory for the part")
        remedy = f"choose another directory for part {part}" if part else "continue it as that part, or merge the parts"
        raise RunDirError(f"{directory} is part {self.part} of a run; {remedy}")

    def compare(self, identity: RunIdentity, directory: Path) -> None:
        """Raises `RunDirError` that names every field in which the run on disk differs, with both values."""
        if self.digest == identity.digest:
            return
        changes = [
            f"{name} ({_short(old)}, now {_short(new)})" for name, old, new in differences(self.identity, identity.plain())
        ]
        raise RunDirError(
            f"{directory} was written by a different run: {'; '.join(changes)}; "
            "use the old values, another directory, or --fork to start a copy that reuses its completions"
        )


def differences(old: object, new: object, name: str = "") -> Iterator[tuple[str, object, object]]:
    """Dotted names of the leaves that differ, with both values; an absent leaf is `None`.

    >>> list(differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}}))
    [('a.b', 1, 3)]
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from differences(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
    elif old != new or type(old) is not type(new):
        yield name, old, new


def versions() -> dict[str, str]:
    """The installed versions of what can change a record, without importing any of it, and the kind of machine."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
