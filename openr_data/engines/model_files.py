"""Where the tokenizer of a model that runs elsewhere comes from: a folder, or a repository of the Hugging Face Hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """`name` is what transformers loads; `folder` is None for a Hub name, of which `revision` is the branch, tag or commit."""

    name: str
    folder: Path | None = None
    revision: str = ""
