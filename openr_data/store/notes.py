"""A file of JSON lines that is written anew by every attempt and takes its place at the end. Knows no meaning of a note."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from openr_data.store.atomic import partial_name, publish, storage_errors


class NoteFile:
    """`add` appends to a partial file; `publish` puts it in place. An attempt that is killed leaves the earlier file as it was.

    `sort_by` names a number by which the lines are sorted in the end, for notes that come in no fixed order.
    """

    def __init__(self, path: Path, *, sort_by: str = "") -> None:
        self._path, self._sort_by = path, sort_by
        self._file: IO[str] | None = None

    def add(self, note: Mapping[str, Any]) -> None:
        with storage_errors(self._path):
            self._open().write(json.dumps(note, ensure_ascii=False) + "\n")

    def publish(self) -> None:
        """Without a note the file is empty, and there all the same: nothing was rejected, and it says so."""
        partial = partial_name(self._path)
        with storage_errors(self._path):
            self._open().close()
            self._file = None
            if self._sort_by:
                self._sort(partial)
            publish(partial, self._path)

    def _open(self) -> IO[str]:
        if self._file is None:
            self._file = partial_name(self._path).open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
        return self._file

    def _sort(self, partial: Path) -> None:
        # Not `splitlines`: a note may hold characters that it takes for ends of lines and JSON does not, such as U+2028.
        lines = partial.read_text(encoding="utf-8").split("\n")[:-1]
        lines.sort(key=lambda line: int(json.loads(line)[self._sort_by]))
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
