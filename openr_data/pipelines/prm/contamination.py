"""Keeps questions of evaluation sets out of the training data: the same text, or most of its words. Keeps hashes, no texts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from openr_data.pipelines.statistics.contamination import check_measure, open_benchmark
from openr_data.problems import ProblemSource
from openr_data.problems.ngrams import fingerprint


class Guard:
    """`found(question)` names the evaluation set that holds the question, or is empty. The measure is that of `report --against`:
    a question overlaps where it holds the share `overlap` of another's distinct `ngram`-grams of words.

    Raises `InputError` for a set without a question that can be read, `UsageError` for a measure that is none.
    """

    def __init__(self, against: Sequence[str], ngram: int, overlap: float) -> None:
        check_measure(ngram, overlap)
        self._sets = [(source.path.name, open_benchmark(source, ngram)) for source in map(ProblemSource, against)]
        self._ngram, self._overlap = ngram, overlap
        self.found = lru_cache(maxsize=1024)(self._found)  # the solutions of a question mostly stand together

    @property
    def sizes(self) -> dict[str, int]:
        """How many distinct questions each set has."""
        return {name: len(index) for name, index in self._sets}

    def _found(self, question: str) -> str:
        if not self._sets:
            return ""
        asked = fingerprint(question, self._ngram)
        for name, index in self._sets:
            match = index.match(asked)
            if match is not None and match.share >= self._overlap:
                return name
        return ""
