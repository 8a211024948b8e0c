"""Which problems of a run also stand in benchmarks: the same question, or most of its words. Keeps hashes, no texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openr_data.data_cards.statistics import Overlap
from openr_data.errors import InputError, UsageError
from openr_data.pipelines.statistics.frames import batches
from openr_data.problems import ProblemSource, Reject
from openr_data.problems.ngrams import Match, QuestionIndex, fingerprint
from openr_data.problems.questions import Question, read_questions
from openr_data.store.read import RunReader

Benchmark = Path | ProblemSource
_EXAMPLES = 5


def overlaps(reader: RunReader, benchmarks: Sequence[Benchmark], ngram: int, threshold: float) -> tuple[Overlap, ...]:
    """Every problem of the run against every benchmark, in one reading of the problems."""
    check_measure(ngram, threshold)
    sources = [each if isinstance(each, ProblemSource) else ProblemSource(str(each)) for each in benchmarks]
    found = [_Tally(source.path.name, open_benchmark(source, ngram), threshold) for source in sources]
    if found and reader.manifest.shards:
        for batch in batches(reader, "problems", ("problem_id", "question")):
            for row in batch.to_pylist():
                print_of_it = fingerprint(row["question"], ngram)
                for tally in found:
                    tally.add(row["problem_id"], tally.index.match(print_of_it))
    return tuple(tally.overlap() for tally in found)


def check_measure(ngram: int, threshold: float) -> None:
    if not 1 <= ngram <= 100:
        raise UsageError(f"an n-gram has 1 to 100 words, not {ngram}")
    if not 0 < threshold <= 1:
        raise UsageError(f"the share of n-grams that counts as an overlap lies above 0 and up to 1, not at {threshold}")


def open_benchmark(source: ProblemSource, ngram: int) -> QuestionIndex:
    """Raises `InputError` where there is no question at all: nothing would ever overlap."""
    index = QuestionIndex(_questions(source), ngram)
    if not len(index):
        raise InputError(f"{source.location} holds no question that can be read, so nothing can be compared with it")
    return index


def _questions(source: ProblemSource) -> Iterator[Question]:
    return (item for item in read_questions(source) if not isinstance(item, Reject))


@dataclass(slots=True)
class _Tally:
    name: str
    index: QuestionIndex
    threshold: float
    exact: int = 0
    overlapping: int = 0
    examples: list[tuple[bool, float, int, str, str]] = field(default_factory=list)

    def add(self, problem: str, match: Match | None) -> None:
        if match is None or match.share < self.threshold:
            return
        self.exact += match.exact
        self.overlapping += 1
        entry = (match.exact, -match.share, self.overlapping, problem, self.index.ids[match.place])
        self.examples = sorted([*self.examples, entry])[:_EXAMPLES]

    def overlap(self) -> Overlap:
        """Examples: those that are not the same text first, since they are the ones to look at; then by their share."""
        shown = tuple((problem, other, -share) for _, share, _, problem, other in self.examples)
        return Overlap(
            benchmark=self.name,
            questions=len(self.index),
            exact=self.exact,
            overlapping=self.overlapping,
            ngram=self.index.n,
            threshold=self.threshold,
            examples=shown,
        )
