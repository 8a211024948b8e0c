"""Which model an engine's specification names. Loads neither tokenizer nor weights."""

from __future__ import annotations

from pathlib import Path

from openr_data.engines.base import EngineSpec
from openr_data.errors import UsageError
from openr_data.models.files import BUILTIN, model_digest
from openr_data.models.files import model_folder as folder_of

__all__ = ["BUILTIN", "model_digest", "model_folder"]


def model_folder(spec: EngineSpec, *, weights: bool = True) -> Path:
    """The folder of the model that `spec` names; see `models.files.model_folder`."""
    if spec.engine == "builtin" and not spec.model:
        return folder_of("builtin", weights=weights)
    if not spec.model:
        raise UsageError(f"the engine '{spec.engine}' needs a model: --model PATH_OR_HUB_NAME")
    return folder_of(spec.model, spec.revision, weights=weights)
