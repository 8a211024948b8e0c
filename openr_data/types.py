"""The nouns of the project: plain frozen values, and protocols of one method. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Literal, Protocol

Steps = tuple[str, ...]


class OpenStep(str):
    """The last step of a prefix that is to be continued inside its line: no separator follows it (`StepFormat.open`).

    An equal string in every other respect: a joined solution does not show it.
    """

    __slots__ = ()


NO_ERROR = -1
"""`first_error` of a solution without a wrong step (the convention of ProcessBench, arXiv 2412.06559)."""

Outcome = Literal["right", "wrong", "unknown"]
FinishReason = Literal["stop", "length", "error"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with its reference answer. `id` is unique within a source."""

    id: str
    question: str
    answer: str
    source: str = ""
    difficulty: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn. `seed` is the run's seed; each sample derives its own from it.

    `top_k=0` and `top_p=1.0` switch those filters off. `max_tokens` bounds the generated tokens of one completion.
    """

    temperature: float
    max_tokens: int
    seed: int
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled continuation. `text` starts right after the prompt; `token_count` counts generated tokens.

    `index` is the sample index that was asked for and `seed` the seed it was drawn with, so that a sample can be drawn again.
    `finish_reason` is `stop` (the model ended, or a stop string was met; the stop string is not part of the text),
    `length` (cut by `max_tokens` or by the context) or `error` (the engine gave up on this one sample; `text` says nothing).
    `ended` tells the two ways to `stop` apart: `True`, the model ended by itself; `False`, a stop string was met; `None`: it is
    neither, or the engine does not say.
    `ids` are the generated tokens, an end token included, where the engine tells: a journal does not keep them, and completions
    that differ in nothing else are equal.
    """

    text: str
    token_count: int
    finish_reason: FinishReason
    index: int
    seed: int
    logprob: float | None = None
    ended: bool | None = None
    ids: tuple[int, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a grader says of a response. `unknown` is a third state and never counts as wrong.

    `reason` is a short code (`exact`, `equal`, `different`, `truncated`, `no_answer`, `timeout`, ...) and `answer` what was
    extracted.
    """

    outcome: Outcome
    reason: str
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """A completion together with what its grader said."""

    completion: Completion
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Solution:
    """A whole solution of a problem: its steps and the verdict on its answer.

    `tokens` is the generated length (0 where unknown). `sampler` names who wrote it; `index` and `seed` say how it was drawn.
    """

    id: str
    problem_id: str
    steps: Steps
    verdict: Verdict
    tokens: int = 0
    sampler: str = ""
    finish_reason: str = "stop"
    index: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class StepLabel:
    """Counts of a Monte Carlo estimate: `hits` right answers among `rollouts` decided rollouts. Counts add up.

    >>> (StepLabel(1, 4) + StepLabel(2, 4)).value
    0.375
    """

    hits: int
    rollouts: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.rollouts or self.rollouts < 1:
            raise ValueError(f"a step label needs 0 <= hits <= rollouts and rollouts >= 1, not {self.hits}/{self.rollouts}")

    def __add__(self, other: StepLabel) -> StepLabel:
        return StepLabel(self.hits + other.hits, self.rollouts + other.rollouts)

    @property
    def value(self) -> float:
        """MC(s) = hits / rollouts (OmegaPRM, arXiv 2406.06592, Eq. 1)."""
        return self.hits / self.rollouts

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Wilson score interval for the success probability.

        >>> low, high = StepLabel(0, 8).interval()
        >>> low == 0.0, round(high, 3)
        (True, 0.324)
        """
        n, p = self.rollouts, self.value
        centre = p + z * z / (2 * n)
        spread = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


@dataclass(frozen=True, slots=True)
class Counts:
    """Rollouts of one prefix: `hits` right and `decided` right or wrong, of `total`; the rest could not be decided."""

    hits: int
    decided: int
    total: int

    def adding(self, outcome: Outcome) -> Counts:
        return Counts(self.hits + (outcome == "right"), self.decided + (outcome != "unknown"), self.total + 1)

    @property
    def label(self) -> StepLabel | None:
        """Over the decided rollouts; `None` without any."""
        return StepLabel(self.hits, self.decided) if self.decided else None


NO_ROLLOUTS = Counts(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A reading of the evidence on one step: `value` mostly estimates the success probability of the prefix that ends with it.

    `estimator` says how: `mean` (hits / rollouts of a fixed number of rollouts, unbiased), `stopped` (rollouts ended at the first
    hit, which makes that share biased: the mean of the Beta posterior instead), `verdict` (the whole solution: 1 or 0),
    `posterior` (of the adaptive model), or the name of a published reading: `scan` and `entropy` (both in 0 .. 1), `progress` (a
    ratio of two probabilities, which may exceed 1) and `advantage` (their difference, in -1 .. 1). Of published data: `label` (1
    right, 0 wrong), `rating` (by a person: 1, 0 or -1) and `value` (a soft value whose counts are not known). `good` is the
    probability that the step stands before the first error, where the method has one.
    """

    value: float
    estimator: str
    good: float | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a label cost: rollouts sampled for it and tokens generated by them. Adds up."""

    rollouts: int = 0
    tokens: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.rollouts + other.rollouts, self.tokens + other.tokens)


@dataclass(frozen=True, slots=True)
class LabeledSolution:
    """A solution with a label per step.

    `labels[i]` are the counts measured on the prefix that ends with step i; `None`: the method did not look there.
    `first_error` is the 0-based index of the first wrong step, `NO_ERROR` (-1) when there is none, and `None` when it could
    not be decided; `reason` then says why (and is otherwise a code of the evidence, such as `right_answer` or `binary_search`).
    `origin` is `given` for a solution that came in and `rollout` for one that the labeler sampled itself.
    `estimates` are readings of the counts, one per step (empty: none were made). `confidence` is the probability of `first_error`
    where the method has one. `notes` is what else a method has to say, by name. `hard` are labels per step as they were
    published, which need not be monotone; empty: they follow from `first_error` (see `hard_labels`).
    """

    solution: Solution
    labels: tuple[StepLabel | None, ...]
    first_error: int | None
    method: str
    cost: Cost
    reason: str
    origin: Literal["given", "rollout"] = "given"
    estimates: tuple[Estimate | None, ...] = ()
    confidence: float | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    hard: tuple[bool | None, ...] = ()

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.solution.steps):
            raise ValueError("a labelled solution needs one label (or None) per step")
        if not {len(self.estimates), len(self.hard)} <= {0, len(self.labels)}:
            raise ValueError("a labelled solution has one estimate or hard label (or None) per step, or none at all")

    @property
    def hard_labels(self) -> tuple[bool | None, ...]:
        """Per step: as published, or whether it stands before the first error; `None` where that is not decided."""
        return self.hard or hard_labels(self.first_error, len(self.labels))


def hard_labels(first_error: int | None, steps: int) -> tuple[bool | None, ...]:
    """Does each step stand before the first error? All `None` where it is not decided.

    >>> hard_labels(1, 3), hard_labels(NO_ERROR, 2), hard_labels(None, 1)
    ((True, False, False), (True, True), (None,))
    """
    if first_error is None:
        return (None,) * steps
    return tuple(first_error == NO_ERROR or index < first_error for index in range(steps))


@dataclass(frozen=True, slots=True)
class Node:
    """A measured prefix of a problem, with every rollout sampled from it. The empty prefix is the root.

    `parent` is the id of the longest measured proper prefix that is a state of the search ("" for the root); `visits` is N(s)
    of OmegaPRM.
    """

    id: str
    problem_id: str
    parent: str
    prefix: Steps
    rollouts: tuple[Rollout, ...]
    visits: int = 0

    @property
    def hits(self) -> int:
        return sum(r.verdict.outcome == "right" for r in self.rollouts)

    @property
    def decided(self) -> int:
        return sum(r.verdict.outcome != "unknown" for r in self.rollouts)

    @property
    def label(self) -> StepLabel | None:
        """The counts over decided rollouts; `None` when none could be decided."""
        return StepLabel(self.hits, self.decided) if self.decided else None


@dataclass(frozen=True, slots=True)
class Labeling:
    """Everything a labeler learnt about one problem. `skipped` is empty, or why the question filter dropped the problem."""

    problem_id: str
    solutions: tuple[LabeledSolution, ...]
    nodes: tuple[Node, ...]
    skipped: str = ""


class Engine(Protocol):
    """Continues solutions. Sees the question, never the reference answer."""

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        """Draw samples `start .. start+n-1` that continue `prefix` (empty: from the question alone), in that order.

        The same (question, prefix, sampling, index) gives the same completion from an engine that is deterministic.
        Cancelling the call aborts the requests. Raises `EngineError`; one sample that failed alone has finish_reason `error`.
        """
        ...


class Grader(Protocol):
    async def __call__(self, response: str, answer: str, /) -> Verdict:
        """Does the whole solution text `response` end in an answer equal to `answer`? Never raises on model text."""
        ...


class Labeler(Protocol):
    async def __call__(self, problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        """Label the solutions of one problem. May return more solutions than it was given."""
        ...


class StepScorer(Protocol):
    async def __call__(self, question: str, solutions: Sequence[Steps], /) -> Sequence[Sequence[float]]:
        """One score per step of each solution."""
        ...
