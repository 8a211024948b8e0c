"""The solutions of a data set of any kind, labelled or not, as one stream in its order. Keeps nothing in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from openr_data.errors import InputError
from openr_data.pipelines.exporting.exported import NAME as EXPORT
from openr_data.pipelines.loading.corpus import Corpus
from openr_data.pipelines.loading.load import load
from openr_data.pipelines.prm.config import SourceSpec
from openr_data.pipelines.prm.sources import open_source
from openr_data.problems import Reject
from openr_data.store.manifest import NAME as MANIFEST
from openr_data.store.published_manifest import read_manifest
from openr_data.store.run_record import NAME as RUN
from openr_data.types import Steps


class ToScore(NamedTuple):
    problem_id: str
    solution_id: str
    question: str
    steps: Steps


@dataclass(frozen=True, slots=True)
class Solutions:
    """`digest` changes whenever the solutions may; `total` is their number, 0 where it is not known before the end. `read`
    starts anew with every call; a row of a file that is not of its layout comes out as a `Reject`. Not `complete`: a run that
    still grows.
    """

    shown: str
    digest: str
    read: Callable[[], Iterator[ToScore | Reject]]
    total: int = 0
    complete: bool = True


def open_solutions(spec: SourceSpec) -> Solutions:
    """Of a run (generated, labelled or imported), a published folder or Hub data set, an export, or a file of a known layout.

    Raises `InputError` for what is not there or cannot be read, and what `openr_data.load` raises.
    """
    path = Path(spec.location).expanduser()
    if path.exists():
        ours = path.is_dir() and not (path / EXPORT).is_file()
        if ours and (read_manifest(path) is not None or (path / RUN).is_file() or any(path.glob(f"*/{RUN}"))):
            corpus = load(path)  # which refuses a folder of runs, naming one
            return _of_corpus(spec, corpus, f"{corpus.info.kind}:{sha256((path / MANIFEST).read_bytes()).hexdigest()}")
        return _of_rows(spec)
    try:
        corpus = load(spec.location, revision=spec.revision or None)
    except InputError:
        return _of_rows(spec)
    return _of_corpus(spec, corpus, f"hub:{spec.location}@{corpus.info.revision}")


def _of_corpus(spec: SourceSpec, corpus: Corpus, digest: str) -> Solutions:
    def read() -> Iterator[ToScore]:
        for item in corpus.records(rollouts=False):
            for one in (*item.solutions, *(labeled.solution for labeled in item.labeled)):
                yield ToScore(item.problem.id, one.id, item.problem.question, one.steps)

    total = sum(corpus.info.rows.get(table, 0) for table in ("solutions", "labeled"))
    return Solutions(spec.shown, digest, read, total, corpus.complete)


def _of_rows(spec: SourceSpec) -> Solutions:
    source = open_source(spec)

    def read() -> Iterator[ToScore | Reject]:
        for row in source.read():
            if isinstance(row, Reject):
                yield row
            else:
                one = row.solution.solution
                yield ToScore(one.problem_id, one.id, row.question, one.steps)

    return Solutions(spec.shown, source.digest, read, complete=source.complete)
