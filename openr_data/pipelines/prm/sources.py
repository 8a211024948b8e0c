"""Labelled data sets of every kind as one stream of solutions with their questions. Reads no label; keeps nothing in memory.

What openr-data wrote (a run, a published folder, a data set on the Hub) is opened by `load`; files and data sets of others are
read row by row in the layout that they are recognised as.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from openr_data.errors import InputError, UsageError
from openr_data.layouts.base import Layout, Neutral, ReadOptions
from openr_data.pipelines.exporting.exported import NAME as EXPORT
from openr_data.pipelines.exporting.exported import Exported
from openr_data.pipelines.importing.rows import choose_layout, read_items
from openr_data.pipelines.loading.corpus import Corpus
from openr_data.pipelines.loading.load import load
from openr_data.pipelines.prm.config import SourceSpec
from openr_data.pipelines.splits import NAMES
from openr_data.problems import ProblemSource, Reject, input_hash, source_kind
from openr_data.store.manifest import NAME as MANIFEST
from openr_data.store.published_manifest import read_manifest
from openr_data.store.run_record import NAME as RUN
from openr_data.types import LabeledSolution

TRAIN = NAMES[0]


class Labelled(NamedTuple):
    question: str
    solution: LabeledSolution


@dataclass(frozen=True, slots=True)
class LabelledSource:
    """`digest` changes whenever its rows may. `layout` is the method or layout that its labels are of. Not `complete`: a run that
    is still going, or was stopped. `read` starts anew with every call; a row that is not of the layout comes out as a `Reject`.
    """

    spec: SourceSpec
    digest: str
    layout: str
    read: Callable[[], Iterator[Labelled | Reject]]
    complete: bool = True


def open_source(spec: SourceSpec, neutral: Neutral = "good") -> LabelledSource:
    """Raises `InputError` for what is not there, cannot be read or has no labels, `UsageError` for a revision of a path, and what
    `openr_data.load` raises.
    """
    path = Path(spec.location).expanduser()
    if not path.exists():
        return _of_hub(spec, neutral)
    if spec.revision:
        raise UsageError(f"a revision belongs to a data set on the Hub, and {spec.location} is a path")
    if (path / EXPORT).is_file():
        exported = Exported.open(path)
        exported.check()
        return _of_rows(spec, ProblemSource(str(path / "data")), exported.format, neutral)
    if read_manifest(path) is not None or (path / RUN).is_file() or any(path.glob(f"*/{RUN}")):
        corpus = load(path)  # which refuses a folder of runs, naming one
        return _of_corpus(spec, corpus, f"{corpus.info.kind}:{sha256((path / MANIFEST).read_bytes()).hexdigest()}")
    return _of_rows(spec, ProblemSource(spec.location), "auto", neutral)


def _of_hub(spec: SourceSpec, neutral: Neutral) -> LabelledSource:
    """One that openr-data published, or another program's (its split `train`) if its rows are of a known layout."""
    source = ProblemSource(spec.location, revision=spec.revision, split=TRAIN)
    if source_kind(source) != "hub":
        raise InputError(f"there is no file or directory {spec.location}")
    try:
        corpus = load(spec.location, revision=spec.revision or None)
    except InputError:
        return _of_rows(spec, source, "auto", neutral)
    return _of_corpus(spec, corpus, f"hub:{spec.location}@{corpus.info.revision}")


def _of_corpus(spec: SourceSpec, corpus: Corpus, digest: str) -> LabelledSource:
    if "labeled" not in corpus.tables:
        raise InputError(
            f"{spec.shown} holds solutions without labels; `openr-data label {spec.location} --out RUN` labels their steps"
        )

    def read() -> Iterator[Labelled]:
        for item in corpus.records(rollouts=False):
            for solution in item.labeled:
                yield Labelled(item.problem.question, solution)

    return LabelledSource(spec, digest, corpus.info.method or corpus.info.layout, read, corpus.complete)


def _of_rows(spec: SourceSpec, source: ProblemSource, layout: str, neutral: Neutral) -> LabelledSource:
    chosen = _layout(source, layout)

    def read() -> Iterator[Labelled | Reject]:
        for found in read_items(source, chosen, ReadOptions(neutral=neutral)):
            if isinstance(found, Reject):
                yield found
            else:
                for solution in found.solutions:
                    yield Labelled(found.problem.question, solution)

    return LabelledSource(spec, input_hash(source), chosen.name, read)


def _layout(source: ProblemSource, name: str) -> Layout:
    try:
        return choose_layout(source, name)
    except InputError as fault:
        told = str(fault).split("; name it with --format")[0]
        raise InputError(f"{told}, so it has no labels to train on; `openr-data import --format` names one") from None
