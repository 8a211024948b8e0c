"""`openr_data.load`: finds out what a path or a name stands for, and opens it. What can be done with it is in `corpus`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openr_data.errors import InputError, RunDirError, UsageError
from openr_data.pipelines.exporting.exported import NAME as EXPORT
from openr_data.pipelines.exporting.exported import Exported
from openr_data.pipelines.loading.corpus import Corpus, Info
from openr_data.pipelines.loading.tables import ArrowTables, PublishedTables, RunTables
from openr_data.problems.source import SUFFIXES
from openr_data.store.published import PublishedReader
from openr_data.store.published_manifest import read_manifest
from openr_data.store.read import RunReader
from openr_data.store.run_record import NAME as RUN

if TYPE_CHECKING:
    from openr_data.data_cards.statistics import Statistics

_REPOSITORY = re.compile(r"(?:hf://)?(?:datasets/)?(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)")
_TRAIN = "train"
_ABOUT = ("README.md", "manifest.json", RUN, EXPORT)
"""What a published data set says of itself."""


def load(
    path_or_repo: str | PathLike[str],
    *,
    revision: str | None = None,
    split: str | None = None,
    token: str | bool | None = None,
    layout: str = "auto",
) -> Corpus:
    """Open a data set for reading: typed records, and polars, Arrow and `datasets` views of them.

    `path_or_repo` is, in this order: a run directory of `generate`, `label` or `import` (also one that is not finished: then
    `complete` is false, and what is sealed can be read); a folder written by `openr-data publish --to` or `openr-data export`; a
    file of published labels, or a folder of them, in a layout that `openr-data import` knows (`layout` names it where it cannot
    be told); or `owner/name`, a data set on the Hugging Face Hub that openr-data published. Files of other layouts are read into
    memory; everything else is read where it lies.

    `split` is one split of a published or exported data set (default: all, one after the other). `revision` is a tag, branch or
    commit of a Hub data set, and `token` its access token (default: that of `hf auth login`; `False`: none). The Hub is the one
    that HF_ENDPOINT names.

    Raises `InputError` for what is not there or cannot be read, `RunDirError` for a damaged run, `HubError` when the Hub refuses.

    >>> import openr_data
    >>> openr_data.load("not-there")
    Traceback (most recent call last):
    ...
    openr_data.errors.InputError: there is no file or directory not-there; give a path, or OWNER/NAME of a data set on the Hub
    """
    text = fspath(path_or_repo)
    path = Path(text).expanduser()
    if _exists(path):
        if revision is not None:
            raise UsageError(f"a revision belongs to a data set on the Hub, and {text} is a path")
        return _of_folder(path, split, layout) if path.is_dir() else _of_file(path, split, layout)
    match = _REPOSITORY.fullmatch(text)
    if not match:
        raise InputError(f"there is no file or directory {text}; give a path, or OWNER/NAME of a data set on the Hub")
    return _of_hub(match["name"], revision, split, token)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _of_folder(path: Path, split: str | None, layout: str) -> Corpus:
    if (path / EXPORT).is_file():
        return _of_export(path, split, Info(str(path), "export", {}))
    if read_manifest(path) is not None:
        return _published(path, split, Info(str(path), "published", {}))
    if (path / RUN).is_file():
        return _of_run(path, split)
    inside = sorted(each.parent.name for each in path.glob(f"*/{RUN}"))
    if inside:
        raise RunDirError(
            f"{path} is not a run itself, but holds {', '.join(inside[:3])}: give the path of one, such as {path / inside[0]}"
        )
    if any(file.suffix in SUFFIXES for file in path.rglob("*")):
        return _of_files(path, split, layout, Info(str(path), "folder", {}))
    raise RunDirError(f"{path} holds no run (it has no {RUN}), no data set published by openr-data, and no file of labels")


def _of_run(path: Path, split: str | None) -> Corpus:
    if split not in {None, _TRAIN}:
        raise UsageError(f"{path} is a run, which has no split '{split}'; `openr-data publish {path} --to DIR` makes splits")
    reader = RunReader.open(path)
    rows = {name: reader.size(name).rows for name in reader.manifest.tables}
    info = _described(Info(str(path), "run", rows, complete=reader.complete), reader.record.identity)
    return Corpus(RunTables(reader), info, lambda: _statistics(path))


def _published(path: Path, split: str | None, info: Info) -> Corpus:
    reader = PublishedReader.open(path, split)
    rows = {name: reader.rows(name) for name in reader.tables}
    info = _described(replace(info, rows=rows, splits=reader.splits), reader.identity)
    return Corpus(PublishedTables(reader), info, _no_statistics(info.location))


def _of_file(path: Path, split: str | None, layout: str) -> Corpus:
    if split is not None:
        raise UsageError(f"{path} is a file, which has no splits")
    return _of_files(path, None, layout, Info(str(path), "file", {}))


def _of_export(path: Path, split: str | None, info: Info) -> Corpus:
    """What `openr-data export` wrote says its layout itself, and its files."""
    exported = Exported.open(path)
    exported.check(split)
    return _of_files(path / "data", split, exported.format, info)


def _of_files(path: Path, split: str | None, layout: str, info: Info) -> Corpus:
    from openr_data.pipelines.loading.foreign import read_files

    name, tables, rejected = read_files(path, layout, split or "")
    arrow = ArrowTables(tables)
    rows = {table: arrow.rows(table) for table in arrow.names}
    splits = (split,) if split else ()
    info = replace(info, rows=rows, layout=name, method=name, rejected=rejected, splits=splits)
    return Corpus(arrow, info, _no_statistics(info.location))


def _of_hub(name: str, revision: str | None, split: str | None, token: str | bool | None) -> Corpus:
    from openr_data.errors import HubError
    from openr_data.hub.fetch import Fetched, fetch
    from openr_data.hub.secrets import Token

    known = Token(token) if isinstance(token, str) else None
    data = "data*/*" if split is None else f"data*/{split}-*"

    def get(revision: str | None, *patterns: str) -> Fetched:
        return fetch(name, revision, known, anonymous=token is False, patterns=patterns)

    try:
        got = get(revision, *_ABOUT)
        if _is_ours(got.path):  # what another program published may be of any size
            got = get(got.commit, *_ABOUT, data)
    except HubError as fault:
        raise HubError(f"there is no file or directory {name}, and on the Hub: {fault}") from None
    if (got.path / EXPORT).is_file():
        return _of_export(got.path, split, Info(name, "export", {}, revision=got.commit))
    if read_manifest(got.path) is None:
        raise InputError(
            f"{name} was not published by openr-data; if its layout is known, `openr-data import {name} --out RUN` reads it"
        )
    return _published(got.path, split, Info(name, "published", {}, revision=got.commit))


def _is_ours(path: Path) -> bool:
    return (path / EXPORT).is_file() or read_manifest(path) is not None


def _described(info: Info, identity: Mapping[str, Any]) -> Info:
    """With what the identity says of what ran; one from outside may say anything."""
    config = identity.get("config")
    run = config.get("run") if isinstance(config, dict) else None
    run = run if isinstance(run, dict) else {}
    label = run.get("label")
    layout = str(run.get("format", ""))
    method = str(label.get("method", "")) if isinstance(label, dict) else layout
    return replace(
        info, command=str(identity.get("command", "")), method=method, engine=str(identity.get("engine", "")), layout=layout
    )


def _statistics(path: Path) -> Statistics:
    from openr_data.pipelines.statistics import statistics

    return statistics(path)


def _no_statistics(location: str) -> Callable[[], Statistics]:
    def refuse() -> Statistics:
        raise UsageError(f"statistics are counted over a run, and {location} is none; the frames hold all columns")

    return refuse
