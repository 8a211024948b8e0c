"""`rl grpo --trainer trl`: the same runs as with the reference trainer, with what only TRL brings."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.errors import EngineError, Interrupted, RunDirError
from openr_data.models.files import BUILTIN
from openr_data.pipelines.rl.config import Grpo, RLConfig
from openr_data.pipelines.rl.outcome import Result
from openr_data.pipelines.rl.prepared import Asked, Listeners
from openr_data.pipelines.rl.record import finished
from openr_data.pipelines.rl.scaled.config import Scale
from openr_data.pipelines.rl.training import train_policy
from openr_data.prm.score.base import ScorerSpec
from openr_data.problems import ProblemSource
from openr_data.rl.credit import Credit
from openr_data.rl.guards import Guards
from openr_data.rl.learner import LearnConfig
from openr_data.rl.losses import PolicyLoss
from openr_data.rl.models import load_policy
from openr_data.types import Sampling

pytest.importorskip("trl", reason="TRL is installed by `make test-trl` only")

from peft import get_peft_model

from openr_data.pipelines.rl.scaled.arguments import adapter
from openr_data.pipelines.rl.scaled.weights import merged
from openr_data.rl.step_trainer import StepGRPOTrainer

LAST = ".checkpoints/000004"
SCALE = Scale(device_batch=4)


def config(**changes: Any) -> RLConfig:
    base = RLConfig(
        ProblemSource("builtin", count=40, difficulty=3, seed=1, split="train"),
        ProblemSource("builtin", count=12, difficulty=3, seed=2),
        EngineSpec("builtin"),
        Grpo(questions=4, group=4),
        learn=LearnConfig(rate=1e-3, temperature=1.2, length=80),
        updates=4,
        evaluate_every=2,
        save_every=1,
    )
    return replace(base, **changes)


def run(out: Path, run_config: RLConfig, *, resume: bool = False, listeners: Listeners | None = None) -> Result:
    scorer = ScorerSpec("builtin") if run_config.needs_scores else None
    asked = Asked(run_config, Sampling(1.2, 80, 0), out, EngineLimits(device="cpu"), scorer, resume=resume)
    return train_policy(asked, listeners or Listeners())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_policy(folder, torch.device("cpu")).state_dict())


def flat(folder: Path) -> torch.Tensor:
    return torch.cat([each.flatten() for _, each in sorted(weights(folder).items())])


def metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("teaching", "learn"),
    [
        (Grpo(questions=4, group=4), {}),
        (Grpo(Credit("process"), questions=4, group=4), {}),
        (Grpo(questions=4, group=4), {"loss": PolicyLoss(reduction="dr_grpo", beta=0.1)}),
    ],
    ids=["outcome", "process", "penalty"],
)
def test_both_trainers_make_the_same_policy(tmp_path: Path, teaching: Grpo, learn: dict[str, Any]) -> None:
    """With several passes of TRL for one update, and one of ours."""
    alike = config(teaching=teaching, prm="builtin" if teaching.credit.scores else "")
    alike = replace(alike, learn=replace(alike.learn, **learn))
    ours = run(tmp_path / "ours", alike)
    theirs = run(tmp_path / "theirs", replace(alike, scale=SCALE))
    assert (ours.tokens, ours.before, ours.last) == (theirs.tokens, theirs.before, theirs.last)
    for mine, other in zip(metrics(tmp_path / "ours"), metrics(tmp_path / "theirs"), strict=True):
        for name in ("right", "score", "steps", "sampled_tokens", "learnt", "rate"):
            assert mine[name] == pytest.approx(other[name])
        assert mine["gradient"] == pytest.approx(other["gradient"], rel=1e-3)
        assert mine["loss"] == pytest.approx(other["loss"], abs=1e-5)
    start, one, two = (flat(folder) for folder in (BUILTIN, *(tmp_path / name / LAST for name in ("ours", "theirs"))))
    # Adam moves a weight whose gradient is next to nothing by the sign of its rounding: so the way as a whole is compared.
    assert torch.dist(one, two) < 0.02 * torch.dist(one, start)


def test_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = config(scale=SCALE)
    run(tmp_path / "whole", whole)

    def stop(done: int, *_: Any) -> None:
        if done == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="after 2 of 4 updates"):
        run(tmp_path / "cut", whole, listeners=Listeners(on_update=stop))
    run(tmp_path / "cut", whole, resume=True)
    for name, mine in weights(tmp_path / "whole" / LAST).items():
        assert torch.equal(mine, weights(tmp_path / "cut" / LAST)[name]), name
    assert [each["loss"] for each in metrics(tmp_path / "whole")] == [each["loss"] for each in metrics(tmp_path / "cut")]


def test_several_passes_and_steps_of_an_update(tmp_path: Path) -> None:
    """Two passes of two parts: four steps of the optimiser, and still one lesson and one line of measurements an update."""
    learn = LearnConfig(rate=1e-3, temperature=1.2, length=80, epochs=2, minibatches=2)
    assert run(tmp_path / "run", config(scale=SCALE, learn=learn)).updates == 4
    told = metrics(tmp_path / "run")
    assert [each["update"] for each in told] == [1, 2, 3, 4]
    assert [each["rate"] for each in told] == pytest.approx([learn.rate_at(update, 4) for update in range(4)])
    assert max(each["clipped"] for each in told) > 0
    state = json.loads((tmp_path / "run" / LAST / "trainer" / "trainer_state.json").read_text())
    assert state["global_step"] == 16


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Advantages that are none, from the second update on."""
    known, asked = StepGRPOTrainer._advantages, count(1)

    def broken(trainer: StepGRPOTrainer, ids: torch.Tensor) -> torch.Tensor:
        return known(trainer, ids) * (1.0 if next(asked) < 2 else math.nan)

    with monkeypatch.context() as patched:
        patched.setattr(StepGRPOTrainer, "_advantages", broken)
        with pytest.raises(EngineError, match="the loss is no number any more: try a lower --rate"):
            run(tmp_path / "run", config(scale=SCALE))
    assert sorted(each.name for each in (tmp_path / "run/.checkpoints").glob("0*")) == ["000000", "000001"]
    assert run(tmp_path / "run", config(scale=SCALE), resume=True).updates == 4


def test_adapters_are_added_to_the_policy(tmp_path: Path) -> None:
    learn = LearnConfig(rate=3e-2, temperature=1.2, length=80)
    assert run(tmp_path / "run", config(scale=Scale(device_batch=4, lora=4), learn=learn)).updates == 4
    first, last = weights(BUILTIN), weights(tmp_path / "run" / LAST)
    changed = {name for name in first if not torch.equal(first[name], last[name])}
    assert changed
    assert all("proj" in name for name in changed)


def test_a_model_with_its_adapter_merged_says_what_both_say() -> None:
    torch.manual_seed(0)
    lora = adapter(Scale(lora=4))
    assert lora is not None
    model = get_peft_model(load_policy(BUILTIN, torch.device("cpu")), lora)
    for name, each in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(each, std=0.1)
    plain = load_policy(BUILTIN, torch.device("cpu"))
    ids = torch.arange(1, 40)[None]
    with torch.no_grad():
        alone, both = plain.eval()(ids).logits, model.eval()(ids).logits
        plain.load_state_dict(merged(model))
        assert torch.allclose(plain(ids).logits, both, atol=1e-4)
    assert not torch.allclose(alone, both, atol=1e-2)


def test_every_process_has_the_weights_of_the_first() -> None:
    """As FSDP and ZeRO-3 gather them: for the first process alone."""
    script = """
import torch
from accelerate import PartialState
from openr_data.pipelines.rl.scaled.weights import from_first
state = PartialState(cpu=True)
mine = {"one": torch.arange(6.0).reshape(2, 3), "two": torch.ones(2, dtype=torch.bfloat16)} if state.is_main_process else None
found = from_first(mine, state.device)
assert found["one"].tolist() == [[0, 1, 2], [3, 4, 5]] and found["two"].dtype == torch.bfloat16 and list(found) == ["one", "two"]
"""
    together([sys.executable, "-c", script])


def test_another_number_of_processes_does_not_go_on(tmp_path: Path) -> None:
    run(tmp_path / "run", config(scale=SCALE))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("WORLD_SIZE", "2")
        with pytest.raises(RunDirError, match=r"processes \(1, now 2\)"):
            run(tmp_path / "run", config(scale=SCALE), resume=True)


def test_two_processes_take_the_updates_of_one(tmp_path: Path) -> None:
    source, held_out = (
        ProblemSource("builtin", count=count, difficulty=3, seed=0, split=split) for count, split in ((40, "train"), (12, ""))
    )
    alike = config(source=source, held_out=held_out, scale=SCALE, updates=2, guards=Guards(window=1))
    one = run(tmp_path / "one", alike)
    started(tmp_path / "two")
    two = Result.read(finished(tmp_path / "two") or {})
    assert (two.updates, two.tokens, two.before, two.last) == (one.updates, one.tokens, one.before, one.last)
    start, alone, together = (
        flat(each) for each in (BUILTIN, tmp_path / "one/.checkpoints/000002", tmp_path / "two/.checkpoints/000002")
    )
    assert torch.dist(alone, together) < 0.02 * torch.dist(alone, start)


def started(out: Path) -> None:
    """The same run by command line, as two processes that a launcher would start."""
    asked = (
        "builtin --count 40 --difficulty 3 --held-out builtin --held-out-count 12 --questions 4 --group 4 --rate 1e-3 --updates 2"
    )
    more = "--evaluate-every 2 --save-every 1 --temperature 1.2 --max-tokens 80 --trainer trl --device-batch 4 --device cpu"
    command = [
        sys.executable,
        "-m",
        "openr_data",
        "rl",
        "grpo",
        *asked.split(),
        *more.split(),
        "--guard-window",
        "1",
        "--out",
        str(out),
    ]
    together(command)


def together(command: Sequence[str]) -> None:
    """Two processes of `command`, to a good end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    alike = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen(
            command, env={**os.environ, **alike, "RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE, text=True
        )
        for rank in ("0", "1")
    ]
    told = [each.communicate(timeout=300)[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], told
