"""Benchmarks by name: where on the Hub their questions are. Reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from openr_data.problems.source import ProblemSource

BENCHMARKS: Mapping[str, ProblemSource] = {
    "math500": ProblemSource("HuggingFaceH4/MATH-500", split="test"),
    "gsm8k": ProblemSource("openai/gsm8k", config="main", split="test"),
    "aime24": ProblemSource("HuggingFaceH4/aime_2024", split="train"),
    "aime25": ProblemSource("math-ai/aime25", split="test"),
    "amc23": ProblemSource("math-ai/amc23", split="test"),
}


def benchmark(source: ProblemSource) -> ProblemSource:
    """The same source with a benchmark's name replaced by its place; a file of that name comes first.

    >>> benchmark(ProblemSource("MATH-500", limit=10)).location
    'HuggingFaceH4/MATH-500'
    """
    known = BENCHMARKS.get(_key(source))
    if known is None or source.path.exists():
        return source
    return replace(
        source,
        location=known.location,
        config=source.config or known.config,
        split=source.split or known.split,
    )


def named_benchmark(source: ProblemSource) -> str:
    """The benchmark that a source names, by its name or its place on the Hub; nothing for any other source.

    >>> [named_benchmark(ProblemSource("openai/gsm8k", split=split)) for split in ("test", "train")]
    ['gsm8k', '']
    """
    if source.path.exists():
        return ""
    if _key(source) in BENCHMARKS:
        return _key(source)
    same = (name for name, known in BENCHMARKS.items() if known.location == source.location)
    return next((name for name in same if source.split in {"", BENCHMARKS[name].split}), "")


def _key(source: ProblemSource) -> str:
    return source.location.lower().replace("-", "").replace("_", "")
