"""Process reward models for the tests of scoring: the built-in policy's tokenizer under a tiny model with random weights."""

from __future__ import annotations

import shutil
from pathlib import Path

from openr_data.models.files import BUILTIN
from openr_data.prm.config import PRMConfig
from openr_data.prm.load import load_tokenizer
from openr_data.prm.tags import choose_judgements, choose_tag
from openr_data.prm.templates import template_of


def config_of(folder: Path, **options: object) -> PRMConfig:
    """Of the built-in model's template, for the tokenizer in the folder."""
    tokenizer = load_tokenizer(folder)
    tag = choose_tag(tokenizer)
    (positive, positive_id), (negative, negative_id) = choose_judgements(tokenizer)
    values = {
        "head": "causal",
        "template": template_of("builtin"),
        "tag": tag.text,
        "tag_id": tag.id,
        "positive": positive,
        "positive_id": positive_id,
        "negative": negative,
        "negative_id": negative_id,
        "context": 512,
        **options,
    }
    return PRMConfig(**values)  # type: ignore[arg-type]  # options of any type, for brevity


def builtin_prm(folder: Path, **options: object) -> Path:
    """The built-in policy itself as a process reward model (an untrained one)."""
    shutil.copytree(BUILTIN, folder, dirs_exist_ok=True)
    config_of(folder, **options).save(folder)
    return folder
