"""A process that labels, to be killed: it notes every completion when it is finished and when it is durable.

    python crash_child.py SPEC.json

SPEC: problems, engine, script, model, template, seed, out (with `solutions` and `labeled` below it), log, method, rollouts.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

from openr_data.engines import EngineSpec
from openr_data.labelers import LabelConfig
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.pipelines.recording import RecordingEngine
from openr_data.problems import ProblemSource
from openr_data.store.journal import Journal
from openr_data.types import Completion, Sampling


def note_completions(log: Path) -> None:
    """Append `finished KEY` when the engine has answered and `durable KEY` when the journal has acknowledged it."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    draw, record = RecordingEngine._draw, Journal.record

    async def noting_record(self: Journal, key: bytes, completion: Completion) -> None:
        await record(self, key, completion)
        os.write(file, f"durable {key.hex()}\n".encode())

    async def noting_draw(self: RecordingEngine, key: bytes, *request: Any) -> Completion:
        sample = self._engine.sample

        async def noting_sample(*args: Any, **kwargs: Any) -> Sequence[Completion]:
            completions = await sample(*args, **kwargs)
            os.write(file, f"finished {key.hex()}\n".encode())
            return completions

        watched = copy(self)
        watched._engine = Watched(self._engine, noting_sample)  # type: ignore[assignment]  # answers as the engine does
        return await draw(watched, key, *request)

    Journal.record = noting_record  # type: ignore[method-assign]  # the child watches itself
    RecordingEngine._draw = noting_draw  # type: ignore[method-assign,assignment]  # likewise


class Watched:
    """An engine whose `sample` is another one."""

    def __init__(self, engine: object, sample: object) -> None:
        self._engine = engine
        self.sample = sample

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def main() -> None:
    spec: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    note_completions(Path(spec["log"]))
    out = Path(spec["out"])
    engine = EngineSpec(
        spec["engine"], spec.get("model", ""), template=spec.get("template", "auto"), script=spec.get("script", "")
    )
    sampling = Sampling(1.0, 256, spec.get("seed", 0))
    source = ProblemSource(spec["problems"], count=spec.get("count", 10))
    generate(GenerateConfig(source, engine, sampling, shard_size=4), RunOptions(out / "solutions", mode="resume"))
    method = LabelConfig(method=spec["method"], rollouts=spec["rollouts"], filter_rollouts=8, searches=2)
    run = LabelRunConfig(ProblemSource(str(out / "solutions")), engine, sampling, method, shard_size=4)
    label(run, RunOptions(out / "labeled", mode="resume"))


if __name__ == "__main__":
    main()
