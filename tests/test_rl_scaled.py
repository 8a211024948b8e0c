"""What is known of TRL as the trainer without TRL: what is refused, and how an update is dealt out to several processes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import torch

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.errors import UsageError
from openr_data.models.processes import processes
from openr_data.pipelines.rl.config import Grpo, RLConfig, Sft
from openr_data.pipelines.rl.lesson import Lesson
from openr_data.pipelines.rl.prepared import Asked, prepare
from openr_data.pipelines.rl.scaled import extra
from openr_data.pipelines.rl.scaled.config import Scale
from openr_data.pipelines.rl.scaled.device import take_device
from openr_data.pipelines.rl.training import train_policy
from openr_data.problems import ProblemSource
from openr_data.rl.learner import LearnConfig
from openr_data.rl.losses import PolicyLoss
from openr_data.types import Sampling

CONFIG = RLConfig(
    ProblemSource("builtin", count=40, difficulty=3, seed=1, split="train"),
    ProblemSource("builtin", count=4, difficulty=3, seed=2),
    EngineSpec("builtin"),
    Grpo(questions=4, group=4),
    updates=2,
    scale=Scale(),
)


def asked(tmp_path: Path, **changes: Any) -> Asked:
    return Asked(replace(CONFIG, **changes), Sampling(1.0, 80, 0), tmp_path / "run", EngineLimits(slots=8))


def test_the_missing_extra_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extra, "version", none)
    with pytest.raises(UsageError, match=r"pip install 'openr-data\[rl\]'"):
        train_policy(asked(tmp_path))
    assert not (tmp_path / "run").exists()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "version", lambda _: "1.17.2")
    with pytest.raises(UsageError, match=r"needs TRL 1.16.x and finds 1.17.2"):
        extra.check_extra()
    monkeypatch.setattr(extra, "version", lambda _: "1.16.0")
    extra.check_extra()


@pytest.mark.parametrize(
    "changes",
    [
        {"teaching": Sft(("run",))},
        {"learn": LearnConfig(PolicyLoss(ratio="step"))},
        {"learn": LearnConfig(optimizer="muon")},
    ],
    ids=["sft", "step", "muon"],
)
def test_what_trl_cannot_do_is_said(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--trainer trl learns by GRPO"):
        replace(CONFIG, **changes).checked()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"device_batch": 0}, "--device-batch is at least 1"),
        ({"lora": -1}, "not below 0"),
        ({"precision": "fp8"}, "no precision"),
    ],
)
def test_wrong_numbers_are_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Scale(**wrong)


def test_solutions_fill_whole_passes() -> None:
    assert Scale(device_batch=4).passes(6, 4, 1, 2) == 3
    with pytest.raises(UsageError, match="12 solutions of an update on each device are no multiple of --device-batch 8"):
        Scale(device_batch=8).passes(6, 4, 1, 2)
    with pytest.raises(UsageError, match="4 processes cannot share 6 --questions: ask a multiple of 4"):
        Scale(device_batch=4).passes(6, 4, 1, 4)
    with pytest.raises(UsageError, match="3 forward passes of an update cannot be cut into 2 --minibatches"):
        Scale(device_batch=4).passes(6, 4, 2, 2)


def test_processes_share_the_questions_of_an_update(tmp_path: Path) -> None:
    """Together they ask what one would ask alone, and sample the same solutions."""
    whole, *parts = (prepare(asked(tmp_path), lambda _: None, share) for share in ((0, 1), (0, 2), (1, 2)))

    async def lessons() -> list[Lesson]:
        async with whole.opened() as rollouts:
            return [await each.teacher.lesson((), rollouts) for each in (whole, *parts)]

    alone, *shared = asyncio.run(lessons())
    assert [len(each.groups) for each in shared] == [2, 2]
    together = [*shared[0].groups, *shared[1].groups]
    assert sorted(map(repr, together)) == sorted(map(repr, alone.groups))


def test_solutions_that_devices_cannot_share_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="16 solutions of an update on each device are no multiple of --device-batch 7"):
        prepare(asked(tmp_path, scale=Scale(device_batch=7)), lambda _: None)
    assert not (tmp_path / "run").exists()


def test_which_process_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes() == (0, 1)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert processes() == (1, 4)


def test_each_process_takes_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setenv("LOCAL_RANK", "3")
    take_device("auto", 4)
    take_device("cpu", 1)
    assert taken == [3]
    with pytest.raises(UsageError, match="a process for each of the 4 GPUs: begin with `accelerate launch`"):
        take_device("auto", 1)
    with pytest.raises(UsageError, match="does not take --device cuda:1"):
        take_device("cuda:1", 4)
