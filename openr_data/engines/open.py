"""Opens an engine by its name. The engines' modules, and the libraries they need, are imported only when one is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib import import_module

from openr_data.engines.base import EngineLimits, EngineSpec, LoadedEngine
from openr_data.errors import UsageError

Opener = Callable[[EngineSpec, EngineLimits], AbstractAsyncContextManager[LoadedEngine]]

ENGINES: Mapping[str, tuple[str, str]] = {
    "builtin": ("local", "open_local"),
    "transformers": ("local", "open_local"),
    "vllm": ("vllm", "open_vllm"),
    "openai": ("openai", "open_openai"),
    "scripted": ("scripted", "open_scripted"),
}
"""Name of the engine -> module in this room and function in it."""


def open_engine(spec: EngineSpec, limits: EngineLimits) -> AbstractAsyncContextManager[LoadedEngine]:
    """The engine that `spec` describes, ready to sample inside `async with`; everything is freed at the end.

    `UsageError`: no such engine. What else can go wrong is said by the engine itself when the context is entered.
    """
    try:
        module, function = ENGINES[spec.engine]
    except KeyError:
        raise UsageError(f"there is no engine '{spec.engine}'; choose one of: {', '.join(ENGINES)}") from None
    opener: Opener = getattr(import_module(f"openr_data.engines.{module}"), function)
    return opener(spec, limits)
