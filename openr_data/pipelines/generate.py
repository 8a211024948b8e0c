"""`generate`: a stream of problems becomes a run of sampled and graded solutions."""

from __future__ import annotations

from functools import partial

from openr_data.graders import grades_itself
from openr_data.pipelines.config import GenerateConfig, RunOptions
from openr_data.pipelines.plan import Stage, Tables, Tools
from openr_data.pipelines.solving import sample_solutions
from openr_data.pipelines.sources import count_problems
from openr_data.pipelines.stage import Summary, run_stage
from openr_data.problems import input_hash, read_problems
from openr_data.store.codecs import generation_tables
from openr_data.types import Problem

TABLES = ("solutions", "problems")


def generate(config: GenerateConfig, options: RunOptions) -> Summary:
    """Sample `config.solutions` solutions of every problem into the run directory `options.out`."""
    return run_stage(generate_stage(config.checked()), options)


def generate_stage(config: GenerateConfig) -> Stage[Problem]:
    return Stage(
        command="generate",
        config=config,
        engine=config.engine,
        grader=config.grader,
        inputs={"problems": input_hash(config.source)},
        tables=TABLES,
        shard_items=config.shard_size,
        items=partial(read_problems, config.source, grades_itself),
        work=partial(_work, config),
        name=lambda problem: problem.id,
        total=count_problems(config.source),
        arrow=config.format == "arrow",
    )


async def _work(config: GenerateConfig, problem: Problem, tools: Tools) -> Tables:
    solutions = await sample_solutions(
        problem,
        tools.engine,
        tools.grader,
        n=config.solutions,
        sampling=config.sampling,
        steps=tools.engine.template.steps,
        truncated=config.truncated,
        ungradable=config.ungradable,
        sampler=tools.engine.identity,
    )
    return generation_tables(problem, solutions)
