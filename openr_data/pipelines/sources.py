"""Where a stage's items come from: a run of an earlier stage, or a file; and how many there are, where that can be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from openr_data.engines import EngineSpec
from openr_data.errors import RunDirError
from openr_data.graders import grades_itself
from openr_data.pipelines.config import LabelRunConfig
from openr_data.problems import ProblemSolutions, ProblemSource, Reject, input_hash, read_solutions, source_kind
from openr_data.steps import StepFormat
from openr_data.store.manifest import NAME as MANIFEST
from openr_data.store.read import RunReader
from openr_data.store.run_record import NAME as RUN
from openr_data.store.run_record import RunRecord
from openr_data.types import Problem, Sampling, Solution


@dataclass(frozen=True, slots=True)
class GradedItem:
    """A problem with solutions of an earlier run: their verdicts are known."""

    problem: Problem
    solutions: tuple[Solution, ...]


LabelItem = GradedItem | ProblemSolutions


def is_run(source: ProblemSource) -> bool:
    return source_kind(source) == "path" and (source.path / RUN).is_file()


def label_items(config: LabelRunConfig, steps: StepFormat) -> Iterator[LabelItem | Reject]:
    """The problems to label, in order, each with its solutions; rows that cannot be used come out as rejects."""
    if not is_run(config.source):
        yield from read_solutions(config.source, step_format=steps, answers=config.answers, gradable=grades_itself)
        return
    for number, item in enumerate(open_finished(config.source.path).items(tables=("solutions",))):
        if config.source.limit and number >= config.source.limit:
            return
        yield GradedItem(item.problem, item.solutions)


def open_finished(path: Path) -> RunReader:
    """A run that later stages may build on. Raises `RunDirError` when it has no solutions or is not finished."""
    reader = RunReader.open(path)
    if "solutions" not in reader.manifest.tables:
        raise RunDirError(f"{path} holds no unlabelled solutions; give a run of `openr-data generate` or a file")
    if not reader.complete:
        raise RunDirError(f"{path} is not finished; continue it with --resume first")
    return reader


def label_input_hash(config: LabelRunConfig) -> dict[str, str]:
    """What went in: a run is known by its manifest, which holds the checksums of its shards."""
    if is_run(config.source):
        return {"solutions": "run:" + sha256((config.source.path / MANIFEST).read_bytes()).hexdigest()}
    hashes = {"solutions": input_hash(config.source)}
    return hashes if config.answers is None else {**hashes, "answers": input_hash(config.answers)}


def count_label_items(config: LabelRunConfig) -> int:
    if not is_run(config.source):
        return 0
    return _limited(open_finished(config.source.path).size("problems").rows, config.source.limit)


def count_problems(source: ProblemSource) -> int:
    """How many problems a source has, if that is cheap to tell; 0 where it is not. An upper bound: rejects count as well."""
    kind = source_kind(source)
    if kind == "builtin":
        return _limited(source.count, source.limit)
    if kind == "hub" or source.path.is_dir() or source.path.suffix.lower() not in {".jsonl", ".ndjson"}:
        return source.limit
    return _limited(_lines(source.path), source.limit)


def _limited(count: int, limit: int) -> int:
    return min(count, limit) if limit else count


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def recorded_engine(source: ProblemSource) -> EngineSpec | None:
    """The engine that wrote the solutions of a run; `None` for a file."""
    if not is_run(source):
        return None
    return EngineSpec(**_recorded(source)["engine"])


def recorded_sampling(source: ProblemSource) -> Sampling | None:
    """How the solutions of a run were sampled; `None` for a file."""
    if not is_run(source):
        return None
    values = _recorded(source)["sampling"]
    return Sampling(**{**values, "stop": tuple(values["stop"])})


def _recorded(source: ProblemSource) -> dict[str, Any]:
    config: dict[str, Any] = RunRecord.load(source.path).identity["config"]["run"]
    return config
