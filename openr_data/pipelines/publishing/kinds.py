"""What is published: a data set or a model. The words and names in which they differ; knows no place to publish to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from openr_data.hub.repository import RepoType


@dataclass(frozen=True, slots=True)
class Kind:
    """`noun`: how people call it; `loaded`: what loaders would take a stray file for.

    `names`: paths that a publication can have beside README.md and its manifest. A manifest is text from outside, and what it
    names may be deleted. `option` lets a publication go where something else is (`offer` says what for); with `replaces`, what
    loaders would read of that goes away.
    """

    repo_type: RepoType
    noun: str
    loaded: str
    names: re.Pattern[str]
    option: str
    offer: str
    replaces: bool = False


_NAME = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
DATA_SET = Kind(
    "dataset",
    "data set",
    "the data",
    re.compile(rf"(?:data|data-[0-9a-f]{{12}}|figures)/{_NAME}|run\.json|LICENSE|export\.json"),
    "--into-existing",
    "to add the data set to it",
)
MODEL = Kind(
    "model",
    "model",
    "the model",
    re.compile(
        rf"(?:figures|evaluation)/{_NAME}|(?:LICENSE|NOTICE)(?:\.md|\.txt)?|[a-z0-9_.]+\.jinja|[a-z_]+\.model|(?:merges|vocab)\.txt"
        r"|[A-Za-z0-9][A-Za-z0-9._-]*\.(?:json|safetensors)"
    ),
    "--replace",
    "to put the model in its place",
    replaces=True,
)
