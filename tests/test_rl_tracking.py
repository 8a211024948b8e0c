"""Trackers hear what the listeners hear."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS

from openr_data.errors import UsageError
from openr_data.models import trackers
from openr_data.pipelines.rl import tracking
from openr_data.pipelines.rl.prepared import Listeners
from openr_data.pipelines.rl.state import Evaluation


class Noting:
    """A tracker that keeps what it was told."""

    requires_logging_directory = False
    made: ClassVar[list[Any]] = []

    def __init__(self, project: str, name: str) -> None:
        self.where = (project, name)
        self.lines: list[Any] = []
        Noting.made.append(self)

    def start(self) -> None:
        self.lines.append("start")

    def log(self, values: dict[str, Any], step: int) -> None:
        self.lines.append((step, values))

    def finish(self) -> None:
        self.lines.append("finish")


@pytest.fixture
def noting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Noting, "made", [])
    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "wandb", Noting)


def test_numbers_and_measurements_are_told_to_both(noting: None, tmp_path: Path) -> None:
    heard: list[Any] = []
    listeners = Listeners(lambda *told: heard.append(told), heard.append)
    with tracking.tracked(("wandb",), tmp_path / "run", listeners) as told:
        told.on_evaluation(Evaluation(0, (1.0, 0.0), 5))
        told.on_update(1, 4, {"right": 0.5, "score": None, "loss": 0.25})
    (tracker,) = Noting.made
    assert tracker.where == ("openr-data", "run")
    assert tracker.lines == ["start", (0, {"held_out": 0.5}), (1, {"right": 0.5, "loss": 0.25}), "finish"]
    assert heard == [Evaluation(0, (1.0, 0.0), 5), (1, 4, {"right": 0.5, "score": None, "loss": 0.25})]


def test_they_are_closed_where_a_run_fails(noting: None, tmp_path: Path) -> None:
    def failing() -> None:
        with tracking.tracked(("wandb",), tmp_path, Listeners()) as told:
            told.on_evaluation(Evaluation(0, (1.0,), 5))
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        failing()
    assert Noting.made[0].lines[-1] == "finish"


def test_nothing_is_opened_without_a_name(tmp_path: Path) -> None:
    listeners = Listeners()
    with tracking.tracked((), tmp_path, listeners) as told:
        assert told is listeners


def test_unknown_and_missing_trackers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="there is no tracker 'paper'; choose among: trackio, wandb, tensorboard"):
        trackers.check_trackers(["paper"])
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="pip install trackio"):
        trackers.check_trackers(["trackio"])
