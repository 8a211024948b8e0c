"""Engines: where completions come from. Each knows one way to run a model; none knows graders, labelers or files of data."""

from openr_data.engines.base import EngineLimits, EngineSpec, LoadedEngine, sample_seed
from openr_data.engines.prompts import TEMPLATES, PromptTemplate

__all__ = ["TEMPLATES", "EngineLimits", "EngineSpec", "LoadedEngine", "PromptTemplate", "sample_seed"]
