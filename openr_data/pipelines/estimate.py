"""What a run will cost, from a small pilot: completions, tokens, hours and money with a range, for each labelling method."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf
from statistics import fmean

from openr_data.engines import EngineLimits
from openr_data.errors import UsageError
from openr_data.labelers import LABELERS, NEEDED_ENGINE, LabelConfig
from openr_data.pipelines.config import GenerateConfig
from openr_data.pipelines.estimate_pilot import Trial, sampled, trial
from openr_data.pipelines.interval import LEVEL, total_range
from openr_data.pipelines.metering import Bill
from openr_data.pipelines.pilot import AT_ONCE, MOST_PROBLEMS

METHODS = tuple(method for method in LABELERS if method not in NEEDED_ENGINE)
"""The methods that can do without a second engine."""

NOTHING_PROBED = "the pilot met nothing to search, so what a search costs is not known: take a larger pilot"


@dataclass(frozen=True, slots=True)
class Range:
    """An expected amount and its ends; `high` is `None` where the pilot sets it no bound."""

    expected: float
    low: float
    high: float | None

    def plus(self, other: Range) -> Range:
        high = None if self.high is None or other.high is None else self.high + other.high
        return Range(self.expected + other.expected, self.low + other.low, high)

    def times(self, factor: float) -> Range:
        return Range(self.expected * factor, self.low * factor, None if self.high is None else self.high * factor)


@dataclass(frozen=True, slots=True)
class Prices:
    """Of generated tokens and, where they are paid for, the prompts' tokens; or of the GPUs' time. All `None`: no money."""

    per_million_tokens: float | None = None
    per_million_prompt_tokens: float | None = None
    per_gpu_hour: float | None = None
    gpus: int = 1

    def checked(self) -> Prices:
        if self.by_token and self.per_gpu_hour is not None:
            raise UsageError("give --price-per-million-tokens for an API or --price-per-gpu-hour for your own GPUs, not both")
        if (
            min(price or 0 for price in (self.per_million_tokens, self.per_million_prompt_tokens, self.per_gpu_hour)) < 0
            or self.gpus < 1
        ):
            raise UsageError("a price must not be negative, and --gpus must be at least 1")
        if self.gpus > 1 and self.per_gpu_hour is None:
            raise UsageError("--gpus needs --price-per-gpu-hour")
        return self

    @property
    def by_token(self) -> bool:
        return self.per_million_tokens is not None or self.per_million_prompt_tokens is not None

    def of(self, bill: Bill) -> float:
        generated, prompts = self.per_million_tokens or 0.0, self.per_million_prompt_tokens or 0.0
        return (bill.tokens * generated + bill.prompt_tokens * prompts) / 1e6

    def of_hours(self, hours: Range | None) -> Range | None:
        return None if self.per_gpu_hour is None or hours is None else hours.times(self.per_gpu_hour * self.gpus)


FREE = Prices()


@dataclass(frozen=True, slots=True)
class Amount:
    """Of one stage. A call is a request for one sample; its prompt is sent each time.

    `hours` and `price` are `None` where nothing is known of the speed, or of prices; `note` says what to mind.
    """

    calls: Range
    tokens: Range
    prompt_tokens: Range
    hours: Range | None
    price: Range | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a random sample of the problems showed. `right` and `wrong` are shares of the `solutions` (the rest is unknown),
    `steps` and `tokens` their means. `paid` is what the pilot cost: less than the sum of the methods, as they share rollouts.
    """

    problems: int
    failed: int
    solutions: int
    right: float
    wrong: float
    steps: float
    tokens: float
    tokens_per_second: float
    paid: Bill


@dataclass(frozen=True, slots=True)
class Estimate:
    """`problems` of the whole source; `generate`, and one amount per labelling method on top of it.

    A range is to hold the truth in a share `level` of all estimates, as far as the questions' spread goes; hours take the pilot's
    speed as it was.
    """

    problems: int
    level: float
    pilot: Pilot
    generate: Amount
    label: Mapping[str, Amount]


def estimate(
    config: GenerateConfig,
    labels: Mapping[str, LabelConfig],
    limits: EngineLimits,
    *,
    pilot: int,
    prices: Prices = FREE,
) -> Estimate:
    """Solve and label `pilot` random problems of the source in each way of `labels` (named as one likes) and extrapolate.

    Raises `InputError` for a source without problems, `UsageError` for settings that cannot be used.
    """
    prices.checked()
    for label in labels.values():
        if label.method in NEEDED_ENGINE:
            raise UsageError(f"estimate works with one engine, and {label.method} needs a {NEEDED_ENGINE[label.method]} as well")
        label.checked(METHODS)
        if label.method == "pav":
            label.check_best_of()
    problems, total = sampled(config.source, pilot, config.sampling.seed)
    return extrapolated(asyncio.run(trial(config, labels, limits, problems)), total, prices)


def extrapolated(done: Trial, total: int, prices: Prices = FREE) -> Estimate:
    """From a random sample of `total` problems to all of them."""
    shown = _shown(done)
    whole = len(done.observed) == total

    def amount(bills: Sequence[Bill], fit: Sequence[Bill] = (), fitted: int = 0, *, known: bool = True) -> Amount:
        def over(price: Callable[[Bill], float]) -> Range:
            run = _range([price(bill) for bill in bills], total, known=known)
            return run.plus(_range([price(bill) for bill in fit[:fitted]], fitted, known=True)) if fitted else run

        tokens = over(lambda bill: bill.tokens)
        hours = tokens.times(1 / shown.tokens_per_second / 3600) if shown.tokens_per_second else None
        return Amount(
            calls=over(lambda bill: bill.calls),
            tokens=tokens,
            prompt_tokens=over(lambda bill: bill.prompt_tokens),
            hours=hours,
            price=over(prices.of) if prices.by_token else prices.of_hours(hours),
            note="" if known else NOTHING_PROBED,
        )

    def labelling(method: str) -> Amount:
        bills = [one.label[method] for one in done.observed]
        known = whole or any(method in one.probed for one in done.observed)
        return amount(bills, [one.fit.get(method, Bill()) for one in done.observed], _fitted(done, method, total), known=known)

    return Estimate(
        problems=total,
        level=LEVEL,
        pilot=shown,
        generate=amount([one.generate for one in done.observed]),
        label={method: labelling(method) for method in done.observed[0].label},
    )


def _fitted(done: Trial, method: str, total: int) -> int:
    """How many problems a run looks at to fit the method's model: batches, until they hold the solutions that it wants."""
    wanted = done.wanted.get(method, 0)
    seen = fmean(one.seen.get(method, 0) for one in done.observed)
    needed = wanted / seen if seen else inf
    batches = ceil(min(needed, MOST_PROBLEMS * wanted) / AT_ONCE)
    return min(total, batches * AT_ONCE)


def _range(values: Sequence[float], population: int, *, known: bool) -> Range:
    low, high = total_range(values, population)
    return Range(fmean(values) * population, low, high if known and high < inf else None)


def _shown(done: Trial) -> Pilot:
    solutions = [solution for one in done.observed for solution in one.solutions]
    outcomes = [solution.verdict.outcome for solution in solutions]
    return Pilot(
        problems=len(done.observed),
        failed=sum(bool(one.failed) for one in done.observed),
        solutions=len(solutions),
        right=outcomes.count("right") / len(outcomes),
        wrong=outcomes.count("wrong") / len(outcomes),
        steps=fmean(len(solution.steps) for solution in solutions),
        tokens=fmean(solution.tokens for solution in solutions),
        tokens_per_second=done.tokens_per_second,
        paid=done.drawn,
    )
