"""The stage of an evaluation: every question goes through every search, and nothing waits for another question."""

from __future__ import annotations

from functools import partial

from openr_data.graders import grades_itself, states_answer
from openr_data.pipelines.evaluating.config import SUMMARISER, EvaluateConfig
from openr_data.pipelines.evaluating.judging import judge
from openr_data.pipelines.evaluating.memo import ScoreMemo
from openr_data.pipelines.evaluating.rows import TABLES, search_tables
from openr_data.pipelines.plan import Stage, Tables, Tools
from openr_data.pipelines.sources import count_problems
from openr_data.prm.score.base import ScorerSpec
from openr_data.problems import input_hash, read_problems
from openr_data.search.explorer import Resources
from openr_data.search.run import search
from openr_data.search.summary import Summariser
from openr_data.tasks import concurrently
from openr_data.types import Problem


def evaluate_stage(config: EvaluateConfig, scorer: ScorerSpec | None) -> Stage[Problem]:
    return Stage(
        command="evaluate",
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
        title="evaluate " + ", ".join(dict.fromkeys(each.strategy for each in config.searches)),
        arrow=config.format == "arrow",
        engines={name: second.spec for name, second in config.engines.items()},
        scorer=scorer,
    )


async def _work(config: EvaluateConfig, problem: Problem, tools: Tools) -> Tables:
    use = resources(config, tools)
    second = config.engines.get(SUMMARISER)
    summariser = Summariser(tools.engines[SUMMARISER], second.sampling) if second else None
    found = await concurrently([search(problem.question, use, each, summariser) for each in config.searches])
    judged = iter(await judge([path for each in found for path in each.candidates], problem.answer, tools.grader, use.steps))
    grouped = [[next(judged) for _ in each.candidates] for each in found]
    return search_tables(problem, list(zip(config.searches, found, grouped, strict=True)))


def resources(config: EvaluateConfig, tools: Tools) -> Resources:
    """Of one question: its searches share what is known of its prefixes."""
    return Resources(
        policy=tools.engine,
        steps=tools.engine.template.steps,
        sampling=config.sampling,
        scorer=ScoreMemo(tools.scorer.scores) if tools.scorer else None,
        finds_answer=states_answer,
    )
