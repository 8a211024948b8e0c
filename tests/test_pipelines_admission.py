"""Questions opened by load: the cap is kept, the engine is busy with few sequences each, and no byte depends on any of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_pipelines_stage import SAMPLING, config, data_bytes, labels, write_problems

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.generate import generate, generate_stage
from openr_data.pipelines.label import label
from openr_data.pipelines.plan import Stage, Tables, Tools
from openr_data.pipelines.stage import run_stage

SLOW = "error=0.1,recovery=0,latency=0.002,slow=0.2,slow_seconds=0.01"


class Door:
    """Counts the items at work."""

    def __init__(self, work: Callable[[Any, Tools], Awaitable[Tables]]) -> None:
        self._work = work
        self.open = 0
        self.most = 0
        self.most_running = 0

    async def __call__(self, item: Any, tools: Tools) -> Tables:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            return await self._work(item, tools)
        finally:
            self.most_running = max(self.most_running, tools.engine.scheduler.running)
            self.open -= 1


def watched(stage: Stage[Any]) -> tuple[Stage[Any], Door]:
    door = Door(stage.work)
    return replace(stage, work=door), door


def test_the_window_caps_the_open_questions(tmp_path: Path) -> None:
    stage, door = watched(generate_stage(config(write_problems(tmp_path / "problems.jsonl", 30), SLOW)))
    run_stage(stage, RunOptions(tmp_path / "run", window=3))
    assert door.most == 3


def test_as_many_questions_are_open_as_fill_the_engine_and_a_short_queue(tmp_path: Path) -> None:
    """One sequence per question: more questions than places, but not all of them."""
    source = write_problems(tmp_path / "problems.jsonl", 120)
    script = "error=0.1,recovery=0,latency=0.4"  # longer than a busy machine needs to open the questions
    stage, door = watched(generate_stage(config(source, script, solutions=1)))
    run_stage(stage, RunOptions(tmp_path / "run", limits=EngineLimits(slots=16)))
    assert door.most_running == 20  # a quarter more than the slots
    assert 20 < door.most <= 64


@pytest.mark.parametrize("method", ["omegaprm", "math-shepherd"])
def test_neither_places_nor_cap_nor_timing_changes_a_byte_of_the_labels(tmp_path: Path, method: str) -> None:
    generate(config(write_problems(tmp_path / "problems.jsonl", 20)), RunOptions(tmp_path / "solutions"))
    plain = replace(labels(tmp_path / "solutions", method=method, searches=2), sampling=replace(SAMPLING, seed=4))
    slow = replace(plain, engine=EngineSpec("scripted", script=SLOW))
    label(plain, RunOptions(tmp_path / "plain"))
    label(slow, RunOptions(tmp_path / "narrow", window=2, limits=EngineLimits(slots=5)))
    label(slow, RunOptions(tmp_path / "wide", limits=EngineLimits(slots=200)))
    plain_data, narrow, wide = (_shards(tmp_path / name) for name in ("plain", "narrow", "wide"))
    assert len(plain_data) == 12  # four tables of three shards
    assert narrow == wide == plain_data


def _shards(run: Path) -> dict[str, str]:
    return {name: digest for name, digest in data_bytes(run).items() if name.startswith("data/")}
