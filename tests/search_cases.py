"""A policy and a scorer that are written down: what a search does with them can be worked out by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log

from openr_data.search.base import Found
from openr_data.search.config import SearchConfig
from openr_data.search.explorer import Resources
from openr_data.search.run import search
from openr_data.steps import StepFormat
from openr_data.types import Completion, Sampling, Steps

LINES = StepFormat("\n")
SAMPLING = Sampling(1.0, 100, 0)


@dataclass(frozen=True, slots=True)
class Scores:
    margins: tuple[float, ...]
    reason: str = ""
    tokens: int = 1


def step(text: str, tokens: int = 2, *, ended: bool | None = False, logprob: float | None = -1.0) -> Completion:
    return Completion(text, tokens, "stop", 0, 0, logprob, ended)


def final(text: str, tokens: int = 2, logprob: float | None = -1.0) -> Completion:
    return step(text, tokens, ended=True, logprob=logprob)


def odds(p: float) -> float:
    return log(p / (1 - p))


@dataclass(slots=True)
class Policy:
    """`table[text of the prefix]` are its continuations by sample index, again from the first where there are no more; a text
    that is cut by `max_tokens` says so. `asked` are (prefix, n, start, question) of every call.
    """

    table: Mapping[str, Sequence[Completion]]
    asked: list[tuple[str, int, int, str]] = field(default_factory=list)
    samplings: list[Sampling] = field(default_factory=list)
    tokens: int = 0

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        await asyncio.sleep(0)
        text = LINES.open(prefix)
        self.asked.append((text, n, start, question))
        self.samplings.append(sampling)
        rows = self.table[text]
        found = [self._one(rows[index % len(rows)], index, sampling) for index in range(start, start + n)]
        self.tokens += sum(each.token_count for each in found)
        return found

    def _one(self, row: Completion, index: int, sampling: Sampling) -> Completion:
        if row.token_count > sampling.max_tokens:
            cut = row.text[: len(row.text) * sampling.max_tokens // row.token_count]
            return replace(row, text=cut, token_count=sampling.max_tokens, finish_reason="length", index=index, ended=None)
        return replace(row, index=index)


@dataclass(slots=True)
class Judge:
    """p(+) of a step by its text; a step that is not written down cannot be scored. `asked` are the prefixes."""

    table: Mapping[str, float]
    asked: list[Steps] = field(default_factory=list)

    async def __call__(self, question: str, prefixes: Sequence[Steps], /) -> list[Scores]:
        await asyncio.sleep(0)
        self.asked += prefixes
        return [self._one(steps) for steps in prefixes]

    def _one(self, steps: Steps) -> Scores:
        if any(each not in self.table for each in steps):
            return Scores((), "not written down")
        return Scores(tuple(odds(self.table[each]) for each in steps), tokens=len(steps))


def run(policy: Policy, judge: Judge | None, strategy: str, **settings: object) -> Found:
    config = SearchConfig(strategy, **settings).checked()  # type: ignore[arg-type]
    return asyncio.run(search("Q", Resources(policy, LINES, SAMPLING, judge), config))


def texts(found: Found) -> list[str]:
    return ["/".join(path.steps) for path in found.candidates]
