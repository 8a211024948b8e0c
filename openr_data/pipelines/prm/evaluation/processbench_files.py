"""The files of ProcessBench: its cases in, and out what was predicted for each, as the authors' scripts write it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from openr_data.errors import InputError, UsageError
from openr_data.layouts.base import ReadOptions
from openr_data.layouts.processbench import PROCESSBENCH
from openr_data.pipelines.importing.rows import read_items
from openr_data.prm.processbench import SIZES
from openr_data.problems import ProblemSource, Reject, source_kind
from openr_data.store.atomic import canonical, storage_errors, write_text
from openr_data.types import NO_ERROR, LabeledSolution, Steps

KINDS = ("error", "correct")
"""A subset's two files: cases with an error, and without."""

_OFFICIAL = re.compile(rf"({'|'.join(SIZES)})-\d+(#\d+)?")
_PREFIX = re.compile(r"^processbench[-_. ]+", re.IGNORECASE)
_AGAIN = re.compile(r"#\d+$")
_RIGHT: Mapping[str, bool | None] = {"right": True, "wrong": False, "unknown": None}
_UNSAFE = re.compile(r"[^\w-]+")


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the benchmark. `label` is the index of the first wrong step, `NO_ERROR` without one."""

    subset: str
    id: str
    generator: str
    problem: str
    steps: Steps
    answer_right: bool | None
    label: int

    def row(self) -> dict[str, Any]:
        """As it was published."""
        return {
            "id": self.id,
            "generator": self.generator,
            "problem": self.problem,
            "steps": list(self.steps),
            "final_answer_correct": self.answer_right,
            "label": self.label,
        }


def read_cases(files: Sequence[str | Path]) -> tuple[Case, ...]:
    """The cases of files, folders or the Hub's `Qwen/ProcessBench`, subset by subset, the published ones first.

    A case belongs to the subset that its id names (`gsm8k-12`), otherwise to that of its file's name. A benchmark is read whole
    or not at all: `InputError` for a row that cannot be used, a case that comes twice, and where there is none.
    """
    cases = [case for location in files for source in _sources(str(location)) for case in _cases(source)]
    if not cases:
        raise InputError("there is no case of ProcessBench to judge: name its files, or Qwen/ProcessBench")
    seen: set[tuple[str, str]] = set()
    for case in cases:
        name = _AGAIN.sub("", case.id)  # a reader of rows makes the ids of one file unique
        if (case.subset, name) in seen:
            raise InputError(f"the case {name} of {case.subset} comes twice; name every file of ProcessBench once")
        seen |= {(case.subset, case.id), (case.subset, name)}
    return tuple(case for name in ordered(case.subset for case in cases) for case in cases if case.subset == name)


def ordered(names: Iterable[str]) -> list[str]:
    """Each name once: the published subsets in the authors' order, then the others.

    >>> ordered(["mine", "math", "gsm8k", "math"])
    ['gsm8k', 'math', 'mine']
    """
    there = set(names)
    return [*(name for name in SIZES if name in there), *sorted(there - set(SIZES))]


def digests(cases: Sequence[Case]) -> dict[str, str]:
    """Of the content of each subset: another revision of the data set has another one (math was corrected once)."""
    found = {name: sha256() for name in ordered(case.subset for case in cases)}
    for case in cases:
        found[case.subset].update(canonical(case.row()))
    return {name: each.hexdigest() for name, each in found.items()}


def _sources(location: str) -> Iterator[ProblemSource]:
    source = ProblemSource(location)
    if source_kind(source) != "hub":
        yield source
    else:
        yield from (ProblemSource(location, split=name) for name in SIZES)


def _cases(source: ProblemSource) -> Iterator[Case]:
    fallback = _UNSAFE.sub("_", _PREFIX.sub("", source.split or source.path.stem)) or "cases"
    for item in read_items(source, PROCESSBENCH, ReadOptions()):
        if isinstance(item, Reject):
            raise InputError(f"{item.file}, line {item.line} is no case of ProcessBench: {item.detail}")
        for labeled in item.solutions:
            yield _case(labeled, item.problem.question, fallback)


def _case(labeled: LabeledSolution, problem: str, fallback: str) -> Case:
    solution = labeled.solution
    named = _OFFICIAL.fullmatch(_PREFIX.sub("", solution.id))
    return Case(
        subset=named.group(1) if named else fallback,
        id=solution.id,
        generator=solution.sampler,
        problem=problem,
        steps=solution.steps,
        answer_right=_RIGHT[solution.verdict.outcome],
        label=NO_ERROR if labeled.first_error is None else labeled.first_error,
    )


def prepare_folder(out: Path) -> None:
    """Makes the folder. Raises `UsageError` where predictions of another evaluation lie in it (those of two would be mixed), and
    `StorageError`.
    """
    with storage_errors(out, "run again"):
        out.mkdir(parents=True, exist_ok=True)
    found = sorted(path.name for kind in KINDS for path in out.glob(f"*_{kind}.jsonl"))
    if found:
        raise UsageError(
            f"{out} holds the predictions of an earlier evaluation ({found[0]}); choose another folder, or remove them"
        )


def write_predictions(out: Path, rows: Sequence[tuple[Case, Mapping[str, Any]]]) -> None:
    """`{subset}_error.jsonl` and `{subset}_correct.jsonl`: the case, `prediction`, `match` and what else is said of it.

    Raises `StorageError`.
    """
    for name in ordered(case.subset for case, _ in rows):
        for kind in KINDS:
            of_kind = [
                (case, said) for case, said in rows if case.subset == name and (case.label == NO_ERROR) == (kind == "correct")
            ]
            text = "".join(json.dumps({**case.row(), **said}) + "\n" for case, said in of_kind)
            write_text(out / f"{name}_{kind}.jsonl", text)
