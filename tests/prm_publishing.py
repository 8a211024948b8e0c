"""A tiny process reward model, a stand-in Hub and options without waits; what the tests of publishing models share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server import HubServer, hub_server
from publishing import use_hub

from openr_data.hub.retry import Patience
from openr_data.pipelines.prm.publishing import ModelPublishOptions, publish_model
from openr_data.pipelines.publishing.hub import HubTarget
from openr_data.prm.load import load_prm

REPO = "alice/prm"
KIND = "models"


class Stop(BaseException):
    """As a kill: nothing of ours handles it."""


@contextmanager
def published_once(model: Path, folder: Path) -> Iterator[HubServer]:
    """A stand-in on which the model is published already."""
    with pytest.MonkeyPatch.context() as patch, hub_server(folder) as server:
        use_hub(patch, server)
        publish_model(model, HubTarget(REPO), options())
        yield server


def options(**changes: Any) -> ModelPublishOptions:
    return ModelPublishOptions(**{"patience": Patience(attempts=4, sleep=lambda _: None), **changes})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_prm(folder, device="cpu").model.state_dict())


def same_weights(one: Path, other: Path) -> bool:
    ours, theirs = weights(one), weights(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def versions(hub: HubServer) -> int:
    history = hub.state.history(KIND, REPO)
    return sum("Publish" in hub.state.commit_body(KIND, REPO, commit)["summary"] for commit in history)


def copied(model: Path, folder: Path) -> Path:
    return Path(shutil.copytree(model, folder))
