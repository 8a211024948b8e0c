"""An exported folder as its `export.json` describes it: its layout and its data files, checked against what lies there.

Whoever loads or publishes one asks here, so that a lost or foreign file is not passed over. Knows no run and no layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openr_data.errors import RunDirError
from openr_data.pipelines.exporting.config import ExportFile
from openr_data.store.atomic import read_checked_json

NAME = "export.json"
_DATA = "data"


@dataclass(frozen=True, slots=True)
class Exported:
    """`format` is the name of the layout; `files` are all data files, also where only one split was fetched."""

    path: Path
    format: str
    files: tuple[ExportFile, ...]

    @classmethod
    def open(cls, path: Path, remedy: str = "export the run again") -> Exported:
        """Raises `RunDirError` where there is no `export.json` that can be believed."""
        record = read_checked_json(path / NAME, remedy)
        try:
            files = tuple(ExportFile(**each) for each in record["summary"]["files"])
            return cls(path, str(record["options"]["format"]), files)
        except (KeyError, TypeError):
            raise RunDirError(f"{path / NAME} is of another version of openr-data; {remedy}") from None

    def check(self, split: str | None = None, remedy: str = "export the run again") -> None:
        """Raises `RunDirError` where a data file (of the split) is not there whole, or one is there that was not exported."""
        for file in self.files:
            place = self.path / file.path
            if split in {None, file.split} and not (place.is_file() and place.stat().st_size == file.bytes):
                raise RunDirError(f"{place} is missing or not whole; {remedy}")
        known = {file.path for file in self.files}
        for place in sorted((self.path / _DATA).rglob("*")):
            name = place.relative_to(self.path).as_posix()
            if place.is_file() and not place.name.startswith(".") and name not in known:
                raise RunDirError(f"{place} would be read with the data, and the export did not write it; remove it")
