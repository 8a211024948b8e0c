"""The loop on the built-in policy, as small as it can be: rounds, manifests, and that it goes on where it was killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.errors import RunDirError, UsageError
from openr_data.labelers import LabelConfig
from openr_data.models.files import BUILTIN, model_digest
from openr_data.pipelines.loop.config import LoopConfig
from openr_data.pipelines.loop.figure import figure_of
from openr_data.pipelines.loop.manifest import RoundManifest
from openr_data.pipelines.loop.rounds import LoopListeners, run_loop
from openr_data.pipelines.rl.config import Grpo
from openr_data.prm.train_config import ModelChoice, TrainConfig
from openr_data.problems import ProblemSource
from openr_data.rl.credit import Credit
from openr_data.rl.learner import LearnConfig
from openr_data.types import Sampling

pytestmark = pytest.mark.slow


def config(**changes: Any) -> LoopConfig:
    base = LoopConfig(
        source=ProblemSource("builtin", difficulty=6, split="train"),
        held_out=ProblemSource("builtin", count=8, difficulty=6, seed=1),
        confirming=ProblemSource("builtin", count=8, difficulty=6, seed=2),
        engine=EngineSpec("builtin"),
        sampling=Sampling(1.3, 160, 0),
        questions=12,
        solutions=4,
        label=LabelConfig(method="adaptive", rollouts=4, filter_rollouts=4, searches=0, pilot=0),
        prm=TrainConfig(ModelChoice(head="likelihood"), epochs=1, batch=8, rate=1e-4, positive_weight=0.0, device="cpu"),
        teaching=Grpo(Credit("process"), questions=4, group=4),
        learn=LearnConfig(temperature=1.3, length=160),
        updates=2,
        samples=2,
        go_on=True,
    )
    return replace(base, **changes)


def run(out: Path, chosen: LoopConfig, listeners: LoopListeners | None = None, **options: Any) -> list[RoundManifest]:
    return run_loop(chosen, out, EngineLimits(slots=16), listeners or LoopListeners(), threads=1, **options)


class Killed(BaseException):
    """Nothing may catch it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[RoundManifest]]:
    out = tmp_path_factory.mktemp("loop") / "run"
    return out, run(out, config())


def test_every_round_hands_its_policy_to_the_next(whole: tuple[Path, list[RoundManifest]]) -> None:
    out, found = whole
    assert [each.round for each in found] == [1, 2]
    assert found[0].policy_in == model_digest(BUILTIN)
    assert found[1].policy_in == found[0].policy_out == model_digest(out / "round-1" / "policy")
    assert found[1].greedy_before == found[0].greedy_after
    for each in found:
        assert each.labelled == 48
        assert all(tokens > 0 for tokens in each.tokens.values())
        assert 0 <= each.sampled_after.value <= 1
    assert RoundManifest.load(out / "round-2") == found[1]
    assert (out / "rounds.png").read_bytes() == figure_of(found).png != figure_of(found[:1]).png


@pytest.mark.parametrize("stage", ["labels", "process reward model", "policy", "measuring"])
def test_a_loop_goes_on_where_it_was_killed(whole: tuple[Path, list[RoundManifest]], tmp_path: Path, stage: str) -> None:
    def kill(number: int, name: str) -> None:
        if (number, name) == (1, stage) and (tmp_path / "run" / "round-1").exists():
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path / "run", config(rounds=1), LoopListeners(on_stage=kill))
    (found,) = run(tmp_path / "run", config(rounds=1), resume=True)
    assert replace(found, seconds={}) == replace(whole[1][0], seconds={})


def test_a_finished_loop_is_read_again(whole: tuple[Path, list[RoundManifest]]) -> None:
    heard: list[str] = []
    found = run(whole[0], config(), LoopListeners(on_stage=lambda _, name: heard.append(name)), resume=True)
    assert (found, heard) == (whole[1], [])


def test_another_loop_is_refused(whole: tuple[Path, list[RoundManifest]]) -> None:
    with pytest.raises(UsageError, match="--resume goes on"):
        run(whole[0], config())
    with pytest.raises(RunDirError, match=r"loop\.updates \(2, now 3\)"):
        run(whole[0], config(updates=3), resume=True)


def test_a_round_without_a_gain_is_the_last_one(tmp_path: Path) -> None:
    """Questions without a wrong answer can bring none."""
    easy = ProblemSource("builtin", count=8, difficulty=1, seed=2)
    assert len(run(tmp_path / "run", config(go_on=False, confirming=easy, updates=1))) == 1


def test_what_chooses_a_policy_does_not_confirm_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--confirming has no question that --held-out has not"):
        run(tmp_path / "run", config(confirming=config().held_out))
    assert not (tmp_path / "run").exists()
