"""What a run would do: its resolved configuration and the first real prompt, without loading a model."""

from __future__ import annotations

from typing import Any

from openr_data.engines.preview import preview_prompt
from openr_data.errors import InputError
from openr_data.labelers.judge import critique_prompt
from openr_data.pipelines.admission import portable
from openr_data.pipelines.plan import Stage
from openr_data.problems import Reject
from openr_data.store.codecs import plain_config
from openr_data.types import Problem


def preview(stage: Stage[Any]) -> dict[str, Any]:
    """`config`, `inputs`, and `prompt`: what the engine would be asked to continue for the first problem.

    `judge_prompt`, where there is a judge: what it would be asked of the first solution.
    """
    first = next((item for item in stage.items() if not isinstance(item, Reject)), None)
    if first is None:
        raise InputError(f"{stage.config.source.location} holds no problem that can be used")
    question = first.question if isinstance(first, Problem) else first.problem.question
    return {
        "command": stage.command,
        "config": plain_config(portable(stage.config)),
        "inputs": dict(stage.inputs),
        "prompt": preview_prompt(stage.engine, question),
        **_judge_prompt(stage, question, first),
    }


def _judge_prompt(stage: Stage[Any], question: str, first: Any) -> dict[str, Any]:
    if "judge" not in stage.engines or not first.solutions:
        return {}
    return {"judge_prompt": preview_prompt(stage.engines["judge"], critique_prompt(question, first.solutions[0].steps))}
