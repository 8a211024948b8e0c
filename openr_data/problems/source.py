"""Where problems come from, as one frozen value. Says what the records of a run depend on; opens and reads nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from openr_data.errors import InputError, UsageError
from openr_data.problems.arithmetic import DEFAULT_DIFFICULTY

Kind = Literal["builtin", "path", "hub"]

BUILTIN = "builtin"
SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
"""File name suffixes that can be read, and the format each one means."""

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True, slots=True)
class ProblemSource:
    """A place to read problems from: everything in it decides what the records are, and nothing says how fast.

    `location` is a file, a directory, the name of a Hub data set (`owner/name`) or `builtin`. `config`, `split` and `revision`
    choose within a Hub data set; `split` also chooses within a saved data set, a directory or the built-in task (train or test).
    The `*_field` options name columns where detection is not wanted; a dotted name goes into nested values. `limit` ends the
    reading after so many problems (0: never). `count`, `difficulty` and `seed` belong to the built-in generator alone.
    """

    location: str
    config: str = ""
    split: str = ""
    revision: str = ""
    question_field: str = ""
    answer_field: str = ""
    id_field: str = ""
    steps_field: str = ""
    limit: int = 0
    count: int = 100
    difficulty: int = DEFAULT_DIFFICULTY
    seed: int = 0

    def __post_init__(self) -> None:
        if self.limit < 0 or self.count < 0:
            raise UsageError("a limit or count of problems cannot be negative; use 0 for no limit")

    @property
    def path(self) -> Path:
        return Path(self.location).expanduser()


def source_kind(source: ProblemSource) -> Kind:
    """Tell the three kinds apart: an existing path wins over a Hub name. Raises `InputError` when it can be neither.

    >>> source_kind(ProblemSource("HuggingFaceH4/MATH-500"))
    'hub'
    """
    if source.location == BUILTIN:
        return "builtin"
    if "\0" in source.location or not source.location.strip():
        raise InputError("no problems were named: give a file, a directory, a Hub data set (owner/name) or 'builtin'")
    try:
        if source.path.exists():
            return "path"
    except (OSError, RuntimeError) as error:
        raise InputError(f"cannot look at {source.location}: {error}") from None
    if _HUB_NAME.fullmatch(source.location) and source.path.suffix.lower() not in SUFFIXES:
        return "hub"
    raise InputError(
        f"there is no file or directory {source.location}; give an existing path, a Hub data set (owner/name) or 'builtin'"
    )
