"""Step scores against the exact oracle of the built-in task: the truth, not labels of it.

A step is good while exact work from there still reaches the answer, which is what rollouts can see (`problems.oracle`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from openr_data.errors import InputError
from openr_data.labelers.readings import first_error
from openr_data.pipelines.prm.evaluation.config import EvaluationConfig
from openr_data.pipelines.prm.evaluation.quality import ONE_ROLLOUT
from openr_data.pipelines.prm.evaluation.scored import Known, Values
from openr_data.pipelines.prm.evaluation.steps import Data, Wanted, checked, raw_counts
from openr_data.problems.digests import normal_question
from openr_data.problems.oracle import Judgement, judge
from openr_data.store.read import ItemRecords, RunReader
from openr_data.types import NO_ERROR, LabeledSolution, Outcome, Solution, StepLabel, Steps

_TRUTH = "the exact oracle of the built-in task"
_VALUES: Mapping[Outcome, float | None] = {"right": 1.0, "wrong": 0.0, "unknown": None}


@dataclass(frozen=True, slots=True)
class OneRollout:
    """What one rollout from each prefix says: 1 where it was right, 0 where it was wrong, `None` where it was not drawn or could
    not be decided; of the whole solution, its verdict. `first_error` is that of the first wrong prefix (`None`: left open).
    """

    values: Values
    first_error: int | None


Key = tuple[str, Steps]
"""Normal question and steps: the same solution has other ids in other runs."""


def read_oracle(config: EvaluationConfig) -> Data:
    """The solutions of `config.oracle`, judged. The rivals are what the run's own labels name, and one rollout per prefix where
    `config.one_rollout`, or the run itself, has drawn it. Raises `InputError` where the run is not of the built-in task, or holds
    no solution of the wanted questions.
    """
    if config.oracle is None:
        raise ValueError("no run is named")
    known: list[Known] = []
    validation: list[Known] = []
    baseline = one_rollout_baseline(config.one_rollout or config.oracle)
    wanted, other = Wanted(config), set[str]()
    for item in RunReader.open(config.oracle).items(tables=("solutions", "labeled")):
        question = normal_question(item.problem.question)
        into = wanted.place(question, known, validation)
        if into is None:
            other.add(question)
        else:
            into += _judged(item, config, baseline)
    return checked(Data(str(config.oracle), _TRUTH, tuple(known), tuple(validation), {}, len(other)), config)


def one_rollout_baseline(run: Path) -> dict[Key, OneRollout]:
    """The first rollout of every measured prefix of the given solutions of a labelled run, whose nodes hold all their rollouts
    (`label --method math-shepherd --exact-counts`, with any number of them). Empty where the run has no rollouts.

    The last value is the verdict on the answer, which a model does not see: the baseline is the stronger for it.
    """
    reader = RunReader.open(run)
    if "rollouts" not in reader.manifest.tables:
        return {}
    return {
        (normal_question(item.problem.question), one.solution.steps): _one_rollout(one.solution, outcomes)
        for item in reader.items(tables=("labeled", "nodes", "rollouts"))
        for outcomes in (_first_outcomes(item),)
        for one in item.labeled
        if one.origin == "given"
    }


def _first_outcomes(item: ItemRecords) -> dict[Steps, Outcome]:
    return {
        node.prefix: min(node.rollouts, key=lambda each: each.completion.index).verdict.outcome
        for node in item.nodes
        if node.rollouts
    }


def _one_rollout(solution: Solution, outcomes: Mapping[Steps, Outcome]) -> OneRollout:
    proper: list[Outcome] = [outcomes.get(solution.steps[:length], "unknown") for length in range(1, len(solution.steps))]
    values = tuple(_VALUES[each] for each in (*proper, solution.verdict.outcome))
    labels = [None if value is None else StepLabel(int(value), 1) for value in values]
    return OneRollout(values, first_error(labels, rule="first_failure"))


def _judged(item: ItemRecords, config: EvaluationConfig, baseline: Mapping[Key, OneRollout]) -> Iterator[Known]:
    given = [(one.solution, one) for one in item.labeled if one.origin == "given"]
    for solution, label in (*((each, None) for each in item.solutions), *given):
        if not solution.steps:
            continue
        try:
            truth = judge(item.problem.question, solution.steps)
        except InputError:
            raise InputError(f"{config.oracle} is not of the built-in task, so there is no oracle for it") from None
        yield _known(item, solution, truth, config, label, baseline)


def _known(
    item: ItemRecords,
    solution: Solution,
    truth: Judgement,
    config: EvaluationConfig,
    label: LabeledSolution | None,
    baseline: Mapping[Key, OneRollout],
) -> Known:
    first = truth.first_wrong_state
    counted = len(truth.states) if first == NO_ERROR or config.after_error == "keep" else first + 1
    one = baseline.get((normal_question(item.problem.question), solution.steps))
    return Known(
        problem=item.problem.id,
        solution=solution.id,
        question=item.problem.question,
        steps=solution.steps,
        good=tuple(state if step < counted else None for step, state in enumerate(truth.states)),
        first_error=first,
        rivals={
            **({ONE_ROLLOUT: one.first_error} if one else {}),
            **(raw_counts(label) if label else {}),
            **({f"labels ({label.method})": label.first_error} if label else {}),
        },
        rival_values={ONE_ROLLOUT: one.values} if one else {},
    )
