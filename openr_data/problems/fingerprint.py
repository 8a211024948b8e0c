"""What a source held, in one line that is saved with a run and compared when the run goes on."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from itertools import islice
from pathlib import Path

from openr_data.errors import InputError
from openr_data.problems.files import data_files
from openr_data.problems.hub_rows import hub_revision
from openr_data.problems.reader import usable_problems
from openr_data.problems.source import ProblemSource, source_kind

_BLOCK = 1 << 20
_SAMPLE = 8


def input_hash(source: ProblemSource) -> str:
    """`sha256:...` of the file or files, `hub:NAME@COMMIT` of a Hub data set, `builtin:...` of what the generator makes.

    Only the content counts, not the options of the source. Asks the Hub which commit a revision stands for. Raises `InputError`.
    """
    kind = source_kind(source)
    if kind == "hub":
        return f"hub:{source.location}@{hub_revision(source)}"
    if kind == "builtin":
        first = usable_problems(replace(source, limit=0, count=min(source.count, _SAMPLE)))
        return "builtin:" + sha256(repr([(p.id, p.question, p.answer) for p in islice(first, _SAMPLE)]).encode()).hexdigest()
    files = data_files(source)
    if len(files) == 1 and not source.path.is_dir():
        return "sha256:" + _file_hash(files[0].path)
    return "sha256:" + sha256("".join(f"{_file_hash(file.path)}  {file.name}\n" for file in files).encode()).hexdigest()


def _file_hash(path: Path) -> str:
    hasher = sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                hasher.update(block)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or error}") from None
    return hasher.hexdigest()
