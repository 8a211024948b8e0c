"""Scores all solutions of a data set with a process reward model, in a stream, and goes on where it was stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from math import fsum
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openr_data.aggregate import AGGREGATES
from openr_data.errors import InputError, UsageError
from openr_data.pipelines.prm.score_files import ScoreFiles, schema
from openr_data.pipelines.prm.score_sources import Solutions, ToScore
from openr_data.pipelines.progress import Report, Snapshot, silent
from openr_data.prm.score.scorer import ModelScorer
from openr_data.prm.scores import StepScores
from openr_data.problems import Reject
from openr_data.store.lock import DirectoryLock

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_AGGREGATES = ("min", "last", "product", "mean")
_SECONDS = 20.0
"""How much work a kill may cost at most, about."""
_FEWEST, _MOST = 64, 8192
"""Solutions of a shard."""


@dataclass(frozen=True, slots=True)
class ScoringSummary:
    """`solutions` are all rows of `out`, `before` of them scored by earlier attempts; `scored` those that have scores, `steps`
    their steps and `means` the average of each aggregate over them. `reason` is an example of why one was not scored.

    `rejected` rows of a file, which are not of its layout, `tokens`, `seconds` and what follows are of this attempt.
    `model_flops_utilisation` is `None` where the device's peak is not known, or the model computes elsewhere.
    """

    out: str
    source: str
    model: str
    solutions: int
    before: int
    scored: int
    steps: int
    means: dict[str, float]
    reason: str
    rejected: int
    tokens: int
    seconds: float
    tokens_per_second: float
    model_flops_utilisation: float | None


def score_solutions(
    solutions: Solutions,
    scorer: ModelScorer,
    out: Path,
    *,
    aggregates: Sequence[str] = DEFAULT_AGGREGATES,
    report: Report = silent,
) -> ScoringSummary:
    """Write one row for every solution to `out` (see `score_files.schema`): shards in a folder, or one `.parquet` or `.arrow`
    file. Run again after a kill, it scores what is missing.

    Raises `RunDirError` where `out` holds scores of another model or source, `UsageError` for an unknown aggregate, `InputError`
    for a source without solutions, and what the scorer raises; what was scored before stays.
    """
    check_aggregates(aggregates)
    if all(isinstance(row, Reject) for row in solutions.read()):
        raise InputError(f"there is no solution in {solutions.shown}")
    files = ScoreFiles(out)
    files.make()
    with DirectoryLock(files.folder):
        before = files.begin({"source": solutions.digest, "model": scorer.identity, "aggregates": list(aggregates)})
        attempt = _Attempt(solutions, scorer, files, tuple(aggregates), report, before)
        if not files.finished:
            attempt.run()
        summary = attempt.summary(out)
        files.finish(schema(aggregates))
    attempt.tell(final=True)
    return summary


def check_aggregates(names: Sequence[str]) -> None:
    unknown = next((name for name in names if name not in AGGREGATES), None)
    if unknown is not None:
        raise UsageError(f"there is no aggregate '{unknown}'; choose among {', '.join(AGGREGATES)}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"the aggregate '{twice}' is named twice")


class _Attempt:
    """One process' share of the work, with its clock."""

    def __init__(
        self,
        solutions: Solutions,
        scorer: ModelScorer,
        files: ScoreFiles,
        aggregates: tuple[str, ...],
        report: Report,
        before: int,
    ) -> None:
        self._solutions, self._scorer, self._files, self._aggregates = solutions, scorer, files, aggregates
        self._report, self._before = report, before
        self._done, self._unscored, self._rejected, self._size = before, 0, 0, _FEWEST
        self._started, self._tokens, self._flops = time.monotonic(), scorer.meter.tokens, scorer.meter.flops

    def run(self) -> None:
        self.tell()
        for part in _shards(islice(self._usable(), self._before, None), lambda: self._size):
            started, written = time.monotonic(), self._done
            self._files.write(written, self._scored(part))
            self._done = written + len(part)
            self._size = _next_size(self._size, time.monotonic() - started)

    def _usable(self) -> Iterator[ToScore]:
        for row in self._solutions.read():
            if isinstance(row, Reject):
                self._rejected += 1
            else:
                yield row

    def _scored(self, part: Sequence[ToScore]) -> pa.Table:
        import pyarrow as pa

        scores = self._scorer.score([(each.question, each.steps) for each in part], self._advance)
        self._unscored += sum(not each.margins for each in scores)
        rows = [self._row(*each) for each in zip(part, scores, strict=True)]
        return pa.Table.from_pylist(rows, schema=schema(self._aggregates))

    def _row(self, one: ToScore, scores: StepScores) -> dict[str, Any]:
        row: dict[str, Any] = {
            "problem_id": one.problem_id,
            "solution_id": one.solution_id,
            "reason": scores.reason,
            "model": self._scorer.identity,
        }
        if scores.margins:
            row |= {"margins": scores.margins, "probabilities": scores.probabilities}
            row |= {name: AGGREGATES[name](scores.probabilities) for name in self._aggregates}
        return row

    def _advance(self, count: int) -> None:
        self._done += count
        self.tell()

    def tell(self, *, final: bool = False) -> None:
        total = self._solutions.total
        self._report(
            Snapshot(
                "score",
                done=self._done,
                total=self._done if final else total,
                tokens=self._scorer.meter.tokens - self._tokens,
                completions=0,
                reused=0,
                rejected=self._rejected,
                failed=self._unscored,
                seconds=time.monotonic() - self._started,
                final=final,
                before=self._before,
            )
        )

    def summary(self, out: Path) -> ScoringSummary:
        seconds, tokens = time.monotonic() - self._started, self._scorer.meter.tokens - self._tokens
        work = self._scorer.meter
        utilisation = type(work)(flops=work.flops - self._flops, peak=work.peak).utilisation(seconds)
        return ScoringSummary(
            out=str(out),
            source=self._solutions.shown,
            model=self._scorer.identity,
            before=self._before,
            rejected=self._rejected,
            tokens=tokens,
            seconds=round(seconds, 3),
            tokens_per_second=round(tokens / seconds, 1) if seconds > 0 else 0.0,
            model_flops_utilisation=utilisation,
            **asdict(_counted(self._files, self._aggregates)),
        )


@dataclass(frozen=True, slots=True)
class _Counted:
    solutions: int
    scored: int
    steps: int
    means: dict[str, float]
    reason: str


def _counted(files: ScoreFiles, aggregates: Sequence[str]) -> _Counted:
    """Over all shards, one in memory at a time."""
    import pyarrow.compute

    pc: Any = pyarrow.compute  # its functions are made when it is imported
    solutions = scored = steps = 0
    sums: dict[str, list[float]] = {name: [] for name in aggregates}
    reason = ""
    for table in files.tables():
        solutions += table.num_rows
        scored += table.num_rows - table["margins"].null_count
        steps += pc.sum(pc.list_value_length(table["margins"])).as_py() or 0
        reason = reason or next((each for each in table["reason"].to_pylist() if each), "")
        for name in aggregates:
            sums[name].append(pc.sum(table[name]).as_py() or 0.0)
    return _Counted(solutions, scored, steps, {name: fsum(values) / scored for name, values in sums.items() if scored}, reason)


def _shards(rows: Iterable[ToScore], size: Callable[[], int]) -> Iterator[list[ToScore]]:
    """Parts of at least `size` rows, the candidates of a question in one: they share its computation."""
    part: list[ToScore] = []
    for _, candidates in groupby(rows, key=attrgetter("question")):
        while some := list(islice(candidates, _MOST)):
            part += some
            if len(part) >= size():
                yield part
                part = []
    if part:
        yield part


def _next_size(size: int, seconds: float) -> int:
    """Twice as many while a shard takes half the time it may, half as many where it takes double.

    >>> _next_size(64, 1.0), _next_size(256, 15.0), _next_size(256, 50.0)
    (128, 256, 128)
    """
    if seconds < _SECONDS / 2:
        return min(_MOST, 2 * size)
    return max(_FEWEST, size // 2) if seconds > 2 * _SECONDS else size
