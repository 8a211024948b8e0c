"""`label`: solutions, from a run or a file, get a label for every step by one method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from openr_data.engines import TEMPLATES, EngineSpec, PromptTemplate
from openr_data.labelers import Second, adaptive_labeler, build_labeler, measurement
from openr_data.pipelines.config import LabelRunConfig, RunOptions
from openr_data.pipelines.pilot import fit_on_pilot, needs_pilot
from openr_data.pipelines.plan import Stage, Tables, Tools
from openr_data.pipelines.solving import graded_solutions
from openr_data.pipelines.sources import (
    GradedItem,
    LabelItem,
    count_label_items,
    is_run,
    label_input_hash,
    label_items,
)
from openr_data.pipelines.stage import Summary, run_stage
from openr_data.problems import Reject
from openr_data.steps import StepFormat
from openr_data.store.codecs import labeling_tables
from openr_data.store.run_record import RunRecord
from openr_data.types import Labeler, Labeling, Solution

if TYPE_CHECKING:
    from openr_data.labelers.adaptive import Seen

TABLES = ("labeled", "problems", "nodes", "rollouts")


def label(config: LabelRunConfig, options: RunOptions) -> Summary:
    """Label every solution into the run directory `options.out`; completions of the input run are reused, not paid again."""
    return run_stage(label_stage(config.checked()), options)


def label_stage(config: LabelRunConfig) -> Stage[LabelItem]:
    steps = input_steps(config)
    separator = "" if config.label.spans else steps.separator
    return Stage(
        command="label",
        config=config,
        engine=replace(config.engine, separator=separator),
        grader=config.grader,
        inputs=label_input_hash(config),
        tables=TABLES,
        shard_items=config.shard_size,
        items=partial(label_items, config, steps),
        work=partial(_work, config, steps),
        name=lambda item: item.problem.id,
        total=count_label_items(config),
        title=f"label {config.label.method}",
        arrow=config.format == "arrow",
        reuse=(config.source.path,) if is_run(config.source) else (),
        engines={name: _second(name, second.spec, separator) for name, second in config.engines.items()},
        prepare=partial(_fit, config, steps) if needs_pilot(config.label) else None,
    )


def _second(name: str, spec: EngineSpec, separator: str) -> EngineSpec:
    """A prover continues the same steps; a judge reads them in its question."""
    return replace(spec, separator=separator) if name == "prover" else spec


def input_steps(config: LabelRunConfig) -> StepFormat:
    """How the solutions that come in are joined: as their run says, or as the template of this run's engine does."""
    if is_run(config.source):
        return StepFormat(str(RunRecord.load(config.source.path).settings["separator"]))
    return template_of(config).steps


def template_of(config: LabelRunConfig) -> PromptTemplate:
    name = config.engine.template
    fallback = "builtin" if config.engine.engine in {"builtin", "scripted"} else "boxed"
    template = TEMPLATES.get(fallback if name == "auto" else name, TEMPLATES[fallback])
    return template if config.engine.separator is None else replace(template, separator=config.engine.separator)


async def _fit(config: LabelRunConfig, steps: StepFormat, tools: Tools, warn: Callable[[str], None]) -> Mapping[str, Any]:
    """The model of the adaptive labeler, from the first wrong solutions of the input."""

    async def look(item: LabelItem) -> tuple[list[Seen], Labeling]:
        return await labeler.observe(item.problem, await _solutions(config, item, steps, tools))

    engine = tools.engine
    measure = measurement(config.label, engine, tools.grader, config.sampling, steps, engine.pieces, engine.identity)
    labeler = adaptive_labeler(config.label, measure)
    items = (item for item in label_items(config, steps) if not isinstance(item, Reject))
    return await fit_on_pilot(items, look, config.label.pilot, warn)


async def _work(config: LabelRunConfig, steps: StepFormat, item: LabelItem, tools: Tools) -> Tables:
    labeling = await _labeler(config, steps, tools)(item.problem, await _solutions(config, item, steps, tools))
    return labeling_tables(item.problem, labeling)


def _labeler(config: LabelRunConfig, steps: StepFormat, tools: Tools) -> Labeler:
    engine = tools.engine
    return build_labeler(
        replace(config.label, model=tools.prepared.get("model", config.label.model)),
        engine,
        tools.grader,
        config.sampling,
        steps,
        pieces=engine.pieces,
        sampler=engine.identity,
        engines={name: Second(tools.engines[name], second.sampling) for name, second in config.engines.items()},
    )


async def _solutions(config: LabelRunConfig, item: LabelItem, steps: StepFormat, tools: Tools) -> Sequence[Solution]:
    if isinstance(item, GradedItem):
        return item.solutions
    return await graded_solutions(item, tools.grader, steps, config.label.ungradable)
