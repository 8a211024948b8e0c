"""From options to configuration values: the pieces that `generate`, `label` and `estimate` share."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.engines import EngineSpec
    from openr_data.labelers.verdicts import Truncated, Ungradable
    from openr_data.pipelines.config import Mode

ENGINES = ("builtin", "transformers", "vllm", "openai", "scripted")


def engine_name(name: str, model: str) -> str:
    """The engine that was asked for; a model without an engine is loaded by transformers."""
    chosen = name or ("transformers" if model else "builtin")
    if chosen not in ENGINES:
        raise UsageError(f"there is no engine '{chosen}'; choose one of: {', '.join(ENGINES)}")
    return chosen


def api_name(name: str) -> Literal["completions", "chat"]:
    if name not in {"completions", "chat"}:
        raise UsageError(f"--api is completions or chat, not '{name}'")
    return cast("Literal['completions', 'chat']", name)


def recorded_or(recorded: EngineSpec | None, asked: EngineSpec) -> EngineSpec:
    """The engine of the input run where there is one; options that would change it are refused, since they say no engine."""
    if recorded is None:
        return asked
    default = replace(asked, revision="", template="auto", separator=None, dtype="auto", api="completions", script="")
    changed = [f"--{each.name}" for each in fields(asked) if getattr(asked, each.name) != getattr(default, each.name)]
    if changed:
        raise UsageError(f"{changed[0]} needs --engine or --model: without them the engine of the input run is used as it was")
    return recorded


def mode_of(resume: bool, fork: Path | None) -> Mode:
    if resume and fork:
        raise UsageError("use --resume to continue a run or --fork to start from a copy of one, not both")
    return "resume" if resume else "fork" if fork else "new"


def truncated_of(value: str) -> Truncated:
    return cast("Truncated", value)


def ungradable_of(value: str) -> Ungradable:
    return cast("Ungradable", value)


def run_options(**values: Any) -> Any:
    """`RunOptions` of the shared run and engine options."""
    from openr_data.engines import EngineLimits
    from openr_data.pipelines.config import RunOptions

    limits = EngineLimits(
        slots=values.pop("slots"),
        device=values.pop("device"),
        base_urls=tuple(values.pop("base_url") or ()),
        api_key_env=values.pop("api_key_env"),
        timeout=values.pop("timeout"),
        tensor_parallel=values.pop("tensor_parallel"),
        max_model_len=values.pop("max_model_len"),
        gpu_memory=values.pop("gpu_memory"),
    )
    reuse = tuple(values.pop("reuse") or ())
    mode = mode_of(values.pop("resume"), values["fork_of"])
    return RunOptions(limits=limits, reuse=reuse, mode=mode, **values)
