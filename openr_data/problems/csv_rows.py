"""Rows of CSV and TSV files with a header line, streamed; quoted cells may hold newlines."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from openr_data.errors import InputError
from openr_data.problems.reject import Reject, RowFault
from openr_data.problems.rows import MAX_LINE, Row
from openr_data.problems.text_lines import bounded_lines, refuse_utf16


def csv_rows(path: Path, name: str) -> Iterator[Row | Reject]:
    """One row or reject for every record that is not blank; the first record names the columns."""
    with path.open("rb") as stream:
        refuse_utf16(stream, name)
        lines = _Lines(stream)
        records = _records(lines, "\t" if path.suffix.lower() == ".tsv" else ",")
        header = next(records, None)
        columns = _columns(header, name) if header else []
        for row, (line, cells) in enumerate(records):
            yield _row(name, line, row, columns, cells)


class _Lines:
    """Feeds decoded lines to the csv reader. Bytes that are not UTF-8 become lone surrogates, to be found in their record.

    A line longer than the limit is replaced by as many quotes, odd or even, as it has: the records after it stay in step.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._lines = bounded_lines(stream)
        self.number = 0
        self.too_long = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self.number, line, cut = next(self._lines)
        if cut:
            self.too_long = True
            return '"\n' if (cut - 1) % 2 else '""\n'
        return line.decode("utf-8", "surrogateescape")


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str] | RowFault]]:
    """(first line, cells) of every record that is not blank."""
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        first = lines.number + 1
        lines.too_long = False
        cells: list[str] | RowFault
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = "too_long" if "limit" in str(error) else "bad_csv"
            cells = RowFault(reason, f"{error} (a record that ends at line {lines.number}; look for an unclosed quote)")
        if lines.too_long:
            cells = RowFault("too_long", f"a line of the record is longer than {MAX_LINE} bytes")
        if isinstance(cells, RowFault) or len(cells) > 1 or any(cell.strip() for cell in cells):
            yield first, cells


def _columns(header: tuple[int, list[str] | RowFault], name: str) -> list[str]:
    _, cells = header
    if isinstance(cells, RowFault) or len(set(cells)) != len(cells) or not all(map(_is_utf8, cells)):
        raise InputError(f"the first line of {name} must name the columns, each once")
    return [cell.strip() for cell in cells]


def _row(name: str, line: int, row: int, columns: list[str], cells: list[str] | RowFault) -> Row | Reject:
    if isinstance(cells, RowFault):
        return Row(name, line, row, {}, "").reject(cells)
    raw = ",".join(cells)
    found = Row(name, line, row, dict(zip(columns, cells, strict=False)), raw)
    if not _is_utf8(raw):
        return found.reject(RowFault("bad_utf8", "a cell of the record is not UTF-8"))
    if len(cells) != len(columns):
        return found.reject(RowFault("wrong_columns", f"the record has {len(cells)} cells, the header {len(columns)}"))
    return found


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\udc80" <= c <= "\udcff" for c in text)
