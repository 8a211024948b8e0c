"""A run as one HTML page: which of its records go in, and what is said to be left out. How a page looks is `pages`' business."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from openr_data.errors import RunDirError, StorageError, UsageError
from openr_data.pages.assemble import GENERATOR, page
from openr_data.pages.blocks import Blocks, pack
from openr_data.pipelines.progress import Report, Snapshot, silent
from openr_data.pipelines.statistics import statistics
from openr_data.pipelines.viewing.facts import run_facts
from openr_data.pipelines.viewing.records import item_texts, problem_line, solution_lines
from openr_data.pipelines.viewing.tree import item_tree
from openr_data.store.atomic import partial_name, publish
from openr_data.store.read import ItemRecords, RunReader

DEFAULT_NAME = "view.html"
_LOOKED_AT = 2048


@dataclass(frozen=True, slots=True)
class ViewLimits:
    """`problems` of the run (0: all) and `rollouts` of each prefix at most; page and summary tell what that leaves out."""

    problems: int = 5000
    rollouts: int = 16


@dataclass(frozen=True, slots=True)
class ViewSummary:
    """`left_out` are sentences, none when the page holds everything. `bytes` is the size of the page."""

    out: str
    bytes: int
    problems: int
    solutions: int
    steps: int
    rollouts: int
    complete: bool
    left_out: tuple[str, ...]
    seconds: float


@dataclass(slots=True)
class _Index:
    """The lines of the table, column by column, and how much went into the page."""

    problems: dict[str, list[Any]] = field(default_factory=dict)
    solutions: dict[str, list[Any]] = field(default_factory=dict)
    rollouts: int = 0
    drawn: int = 0
    """Rollouts of the prefixes that are shown, with those whose text is left out."""

    @property
    def shown(self) -> int:
        return len(self.problems.get("id", ()))

    @property
    def steps(self) -> int:
        return sum(self.solutions.get("steps", ()))

    def add(self, item: ItemRecords, texts: tuple[int, int], tree: tuple[int, int] | None) -> None:
        _append(self.problems, {**problem_line(item), "texts": texts, "tree": tree, "start": len(self.solutions.get("id", ()))})
        for line in solution_lines(item):
            _append(self.solutions, {**line, "problem": self.shown - 1})


def write_view(run: Path, out: Path | None = None, limits: ViewLimits = ViewLimits(), report: Report = silent) -> ViewSummary:
    """Write the page to `out` (default: `view.html` in the run), in memory that does not grow with texts or rollouts.

    An earlier page is made again. Raises `UsageError` where `out` is something else, `RunDirError` where nothing is finished yet.
    """
    began = time.monotonic()
    reader = RunReader.open(run)
    if not reader.manifest.shards:
        nothing = (
            "holds no problem: there is nothing to look at"
            if reader.complete
            else "has no finished shard yet; continue it with --resume"
        )
        raise RunDirError(f"{run} {nothing}")
    target = free_place(out or run / DEFAULT_NAME)
    index, left_out = _Index(), tuple[str, ...]()
    with _writing(target) as partial, ExitStack() as stack:
        files: dict[str, IO[str]] = {
            name: stack.enter_context(TemporaryFile("w+", encoding="ascii")) for name in ("texts", "tree")
        }
        blocks = {name: Blocks(_lines_of(file)) for name, file in files.items()}
        _gather(reader, limits, index, blocks, report, began)
        left_out = tuple(_left_out(reader, index, limits))
        body = pack(_body(run, reader, index, blocks, left_out))
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(page(f"{_name(run)} - openr-data", body, _named(files)))
        size = partial.stat().st_size
    solutions = len(index.solutions.get("id", ()))
    seconds = time.monotonic() - began
    return ViewSummary(str(target), size, index.shown, solutions, index.steps, index.rollouts, reader.complete, left_out, seconds)


def free_place(out: Path) -> Path:
    """`out`, if nothing stands there but an earlier page. Raises `UsageError`."""
    if out.is_dir():
        raise UsageError(f"{out} is a directory; name the file to write, such as {out / DEFAULT_NAME}")
    if not out.parent.is_dir():
        raise UsageError(f"{out.parent} is not a directory; make it, or name another file with --out")
    if out.exists() and not _is_page(out):
        raise UsageError(f"{out} exists and is not a page of openr-data; choose another file with --out")
    return out


def _is_page(path: Path) -> bool:
    if not path.is_file():  # a pipe would wait for somebody to write into it
        return False
    with path.open("rb") as file:
        return GENERATOR.encode() in file.read(_LOOKED_AT)


@contextmanager
def _writing(target: Path) -> Iterator[Path]:
    """Where to write what will stand at `target` once it is whole; nothing is left behind where it does not come to that."""
    partial = partial_name(target)
    try:
        yield partial
        publish(partial, target)
    except OSError as fault:
        reason = fault.strerror or str(fault)
        raise StorageError(f"{target} could not be written ({reason}); choose another place with --out") from fault
    finally:
        partial.unlink(missing_ok=True)


def _gather(
    reader: RunReader, limits: ViewLimits, index: _Index, blocks: dict[str, Blocks], report: Report, began: float
) -> None:
    total = reader.size("problems").rows
    total = min(total, limits.problems) if limits.problems else total
    for item in islice(reader.items(), limits.problems or None):
        nodes = item_tree(item, limits.rollouts)
        tree = blocks["tree"].add(nodes) if nodes else None
        index.add(item, blocks["texts"].add(item_texts(item)), tree)
        index.rollouts += sum(len(node["rollouts"]) for node in nodes)
        index.drawn += sum(node["total"] for node in nodes)
        report(_snapshot(index.shown, total, began))
    for each in blocks.values():
        each.flush()
    report(_snapshot(index.shown, total, began, final=True))


def _body(run: Path, reader: RunReader, index: _Index, blocks: dict[str, Blocks], left_out: tuple[str, ...]) -> dict[str, Any]:
    return {
        "facts": {**run_facts(_name(run), reader.record), "complete": reader.complete, "items": reader.record.items},
        "labelled": reader.manifest.tables[0] == "labeled",
        "sizes": {name: reader.size(name).rows for name in reader.manifest.tables},
        "failed": sum(len(shard.failed) for shard in reader.manifest.shards.values()),
        "rejected": _lines(run / "rejects.jsonl"),
        "left_out": left_out,
        "statistics": asdict(statistics(run)),
        "problems": index.problems,
        "solutions": index.solutions,
        "blocks": {name: each.count for name, each in blocks.items()},
    }


def _left_out(reader: RunReader, index: _Index, limits: ViewLimits) -> Iterator[str]:
    problems = reader.size("problems").rows
    if index.shown < problems:
        left = problems - index.shown
        yield f"{left:,} of {problems:,} problems, all after the first {index.shown:,} (--limit {limits.problems})"
    if index.rollouts < index.drawn:
        left = index.drawn - index.rollouts
        yield (
            f"the texts of {left:,} of {index.drawn:,} rollouts, of which a prefix shows at most {limits.rollouts} "
            f"(--rollouts {limits.rollouts}); every count is of all of them"
        )


def _named(files: dict[str, IO[str]]) -> Iterator[tuple[str, str]]:
    for name, file in files.items():
        file.seek(0)
        for number, line in enumerate(file):
            yield f"{name}-{number}", line.rstrip("\n")


def _lines_of(file: IO[str]) -> Callable[[str], object]:
    return lambda text: file.write(text + "\n")


def _lines(path: Path) -> int:
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _append(columns: dict[str, list[Any]], row: dict[str, Any]) -> None:
    for name, value in row.items():
        columns.setdefault(name, []).append(value)


def _name(run: Path) -> str:
    return run.resolve().name


def _snapshot(done: int, total: int, began: float, *, final: bool = False) -> Snapshot:
    return Snapshot("view", done, total, 0, 0, 0, 0, 0, seconds=time.monotonic() - began, final=final)
