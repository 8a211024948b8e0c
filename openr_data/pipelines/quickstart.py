"""The whole story on the built-in policy: solutions, labels by every method, how often each named the true first error, and what
a process reward model makes of such labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.labelers import LabelConfig, cost_of
from openr_data.labelers.agreement import Agreement, agreement
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.data_card import write_data_card
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.pipelines.progress import Report, silent
from openr_data.pipelines.quickstart_prm import PRMReport, PRMStage, prm_stage
from openr_data.pipelines.stage import Summary
from openr_data.problems import ProblemSource
from openr_data.problems.oracle import judge
from openr_data.store.read import ItemRecords, RunReader
from openr_data.types import Cost, LabeledSolution, Sampling

SOLUTIONS = "solutions"


@dataclass(frozen=True, slots=True)
class QuickstartConfig:
    """Few dials: how many problems and solutions, k, and the policy. The first method's data set is the one to look at.

    `pilot` wrong solutions fit the model of the adaptive method.
    """

    problems: int = 60
    solutions: int = 4
    rollouts: int = 8
    filter_rollouts: int = 16
    searches: int = 2
    seed: int = 0
    max_tokens: int = 256
    engine: EngineSpec = field(default_factory=lambda: EngineSpec("builtin"))
    methods: tuple[str, ...] = ("omegaprm", "adaptive", "math-shepherd", "mips")
    pilot: int = 40
    prm: PRMStage = field(default_factory=PRMStage)


@dataclass(frozen=True, slots=True)
class MethodReport:
    """One method against the oracle. `wrong` compares the given wrong-answer solutions.

    `cost` is of all rollouts of the run, and is shared by all solutions that it labelled: the `given` ones, and those that
    OmegaPRM made of its own rollouts. `pilot` is what fitting a model to the first wrong solutions drew, for all of them.
    """

    method: str
    out: str
    labelled: int
    wrong: Agreement
    cost: Cost
    given: int
    pilot: Cost = field(default_factory=Cost)

    @property
    def rollouts_per_solution(self) -> float:
        return self.cost.rollouts / max(1, self.labelled)

    @property
    def tokens_per_solution(self) -> float:
        return self.cost.tokens / max(1, self.labelled)


@dataclass(frozen=True, slots=True)
class QuickstartReport:
    solutions: Summary
    methods: tuple[MethodReport, ...]
    recovered: int
    """Solutions whose state was wrong at some step and whose answer is right all the same."""
    prm: PRMReport | None = None
    """`None` where none was asked for."""


def quickstart(
    config: QuickstartConfig,
    out: Path,
    limits: EngineLimits,
    *,
    report: Report = silent,
    on_stage: Callable[[Summary], None] = lambda _: None,
) -> QuickstartReport:
    """Everything lies below `out`; what is already there is continued, not paid again. The first method's data set gets its full
    card, with figures.
    """
    options = RunOptions(out=out / SOLUTIONS, mode="resume", limits=limits, report=report)
    source = ProblemSource("builtin", count=config.problems, seed=config.seed)
    sampling = Sampling(temperature=1.0, max_tokens=config.max_tokens, seed=config.seed)
    solutions = generate(GenerateConfig(source, config.engine, sampling, config.solutions), options)
    on_stage(solutions)
    reports: list[MethodReport] = []
    for method in config.methods:
        labels = LabelConfig(
            method=method,
            rollouts=config.rollouts,
            filter_rollouts=config.filter_rollouts,
            searches=config.searches,
            pilot=config.pilot,
        )
        run = LabelRunConfig(ProblemSource(str(out / SOLUTIONS)), config.engine, sampling, labels)
        # Where two methods ask the same rollouts, the later one finds them in the earlier one's journal.
        earlier = tuple(out / done.method for done in reports)
        on_stage(label(run, replace(options, out=out / method, reuse=earlier)))
        reports.append(compare(method, out / method))
    write_data_card(out / config.methods[0])
    recovered = sum(judge(item.problem.question, s.steps).recovered for item in _items(out / SOLUTIONS) for s in item.solutions)
    prm = prm_stage(config.prm, config.engine, sampling, replace(options, out=out), on_stage) if config.prm.problems else None
    return QuickstartReport(solutions, tuple(reports), recovered, prm)


def compare(method: str, run: Path) -> MethodReport:
    """The labels of a run of the built-in task against the oracle's first wrong state, which is what rollouts can see."""
    wrong, cost, labelled, given = Agreement(), Cost(), 0, 0
    for item in _items(run):
        mine = [one for one in item.labeled if one.origin == "given"]
        labelled += len(item.labeled)
        given += len(mine)
        wrong += agreement((one, true_first_error(item, one)) for one in mine if one.solution.verdict.outcome == "wrong")
        cost += cost_of(item.nodes)
    return MethodReport(method, str(run), labelled, wrong, cost, given, pilot_cost(run))


def pilot_cost(run: Path) -> Cost:
    """What the pilot of a run drew; part of it is used again for the labels of the solutions that it looked at."""
    pilot = RunReader.open(run).record.settings.get("pilot", {})
    return Cost(pilot.get("completions", 0), pilot.get("tokens", 0))


def true_first_error(item: ItemRecords, labeled: LabeledSolution) -> int:
    return judge(item.problem.question, labeled.solution.steps).first_wrong_state


def example(run: Path) -> tuple[ItemRecords, LabeledSolution] | None:
    """A wrong solution whose first error was found in its middle: the most telling one to look at."""
    wrong = [(item, one) for item in _items(run) for one in item.labeled if one.first_error not in {None, -1}]
    middle = [pair for pair in wrong if 1 < (pair[1].first_error or 0) < len(pair[1].labels) - 2]
    return next(iter(middle or wrong), None)


def _items(run: Path) -> Iterator[ItemRecords]:
    return RunReader.open(run).items()
