"""Which files a path stands for, and the reader for each. Knows suffixes and saved data sets, not columns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from openr_data.errors import InputError
from openr_data.problems.reject import Reject, printable
from openr_data.problems.rows import Row
from openr_data.problems.source import SUFFIXES, ProblemSource

_NOT_DATA = {"dataset_info.json", "dataset_dict.json", "state.json", "run.json", "rejects.jsonl"}


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file to read. `name` says it to people; `stem` begins the ids that are made for rows without one."""

    path: Path
    name: str
    stem: str
    format: str


def data_files(source: ProblemSource) -> tuple[DataFile, ...]:
    """The files of a path, in a fixed order. Raises `InputError` when there is nothing that can be read."""
    path = source.path
    if path.is_dir():
        return _directory(path, source)
    if not path.is_file():
        raise InputError(f"{path} is neither a file nor a directory")
    return (_file(path, path.parent, path.suffix.lower()),)


def file_rows(file: DataFile) -> Iterator[Row | Reject]:
    """The rows of one file, streamed. Raises `InputError` when the file as a whole cannot be read."""
    try:
        yield from _reader(file.format)(file.path, file.name)
    except OSError as error:
        raise InputError(f"{file.name} cannot be read: {error.strerror or error}") from None


def _reader(file_format: str) -> Callable[[Path, str], Iterator[Row | Reject]]:
    if file_format in {"parquet", "arrow"}:
        from openr_data.problems import arrow_rows

        return arrow_rows.parquet_rows if file_format == "parquet" else arrow_rows.arrow_rows
    if file_format == "csv":
        from openr_data.problems.csv_rows import csv_rows

        return csv_rows
    from openr_data.problems.json_rows import json_rows, jsonl_rows

    return jsonl_rows if file_format == "jsonl" else json_rows


def _file(path: Path, root: Path, suffix: str) -> DataFile:
    if suffix not in SUFFIXES:
        raise InputError(f"{path.name} has no suffix that can be read; use one of: {', '.join(SUFFIXES)}")
    name = _safe(path.relative_to(root).as_posix())
    return DataFile(path, name, name[: -len(suffix)], SUFFIXES[suffix])


def _directory(root: Path, source: ProblemSource) -> tuple[DataFile, ...]:
    saved = _saved_data_set(root, source.split)
    if saved is not None:
        return tuple(_file(path, root, ".arrow") for path in saved)
    run = root / "data" / "problems"  # of a run directory, the table of its problems
    base = run if (root / "run.json").is_file() and run.is_dir() else root
    found = [_file(path, root, path.suffix.lower()) for path in sorted(base.rglob("*")) if _is_data(path, root)]
    files = [file for file in found if file.format != "json"] or found
    if source.split:
        files = [file for file in files if re.search(rf"(^|[^a-z0-9]){re.escape(source.split)}([^a-z0-9]|$)", file.name)]
    if not files:
        split = f" of the split '{source.split}'" if source.split else ""
        raise InputError(f"the directory {root.name or root} holds no data files{split}; files end in: {', '.join(SUFFIXES)}")
    formats = sorted({file.format for file in files})
    if len(formats) > 1:
        raise InputError(
            f"the directory {root.name or root} holds {' and '.join(formats)} files; give one file or one subdirectory"
        )
    return tuple(files)


def _is_data(path: Path, root: Path) -> bool:
    hidden = any(part.startswith((".", "_")) for part in path.relative_to(root).parts)
    return path.suffix.lower() in SUFFIXES and path.name not in _NOT_DATA and not hidden and path.is_file()


def _saved_data_set(root: Path, split: str) -> list[Path] | None:
    """The files of a directory written by `save_to_disk`, in order; `None` for any other directory."""
    if (root / "dataset_dict.json").is_file():
        splits = _json_file(root / "dataset_dict.json").get("splits")
        names = [name for name in splits if isinstance(name, str)] if isinstance(splits, list) else []
        split = split or (names[0] if len(names) == 1 else "")
        if split not in names:
            raise InputError(f"{root.name} holds the splits {', '.join(names) or '(none)'}; choose one with --split")
        root = root / split
    if not (root / "state.json").is_file():
        return None
    entries = _json_file(root / "state.json").get("_data_files")
    names = [str(entry["filename"]) for entry in entries if "filename" in entry] if isinstance(entries, list) else []
    paths = [root / name for name in names]
    if not paths or not all(path.is_file() and path.parent == root for path in paths):
        raise InputError(f"the saved data set {root.name} names data files that are not there; save it again")
    return paths


def _json_file(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(f"{path.name} of the saved data set {path.parent.name} is damaged; save it again")
    return value


def _safe(name: str) -> str:
    return printable(name.encode("utf-8", "backslashreplace").decode("utf-8"))
