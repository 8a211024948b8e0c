"""Preference pairs: the loss by hand, what a trainer makes of it, and which pairs labelled solutions bring."""

from __future__ import annotations

from math import exp, log
from pathlib import Path
from random import Random

import pytest
import torch
from local_models import save_llama

from openr_data.engines import EngineSpec
from openr_data.engines.local import render_only
from openr_data.errors import InputError, UsageError
from openr_data.labelers.config import LabelConfig
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.generate import generate_stage
from openr_data.pipelines.label import label_stage
from openr_data.pipelines.prm.contamination import Guard
from openr_data.pipelines.rl.config import Dpo, RLConfig
from openr_data.pipelines.rl.prepared import Asked
from openr_data.pipelines.rl.questions import Ban
from openr_data.pipelines.rl.teaching.preferring import preference_teacher
from openr_data.pipelines.rl.training import train_policy
from openr_data.pipelines.stage import run_stage
from openr_data.problems import ProblemSource
from openr_data.problems.evaluation_sets import words_digest
from openr_data.rl.learner import LearnConfig
from openr_data.rl.models import load_policy
from openr_data.rl.pair_learner import PairLearner
from openr_data.rl.preferences import Pair, PairLoss, pair_losses, parted
from openr_data.types import Sampling

CPU = torch.device("cpu")
NOBODY = Ban(frozenset(), Guard((), 13, 0.5))


def loss_of(chosen: float, rejected: float, loss: PairLoss, *, lengths: int = 4) -> float:
    """Against a reference that finds either -2."""
    sides = torch.tensor([chosen]), torch.tensor([rejected])
    fixed = torch.tensor([-2.0])
    return pair_losses(*sides, torch.tensor([lengths]), loss, (fixed, fixed)).item()


def test_the_loss_by_hand() -> None:
    """The margin is beta (1 - -1) = 1: ln(1 + 1/e)."""
    assert loss_of(-1.0, -3.0, PairLoss(0.5)) == pytest.approx(log(1 + exp(-1)), rel=1e-6)
    assert loss_of(-2.0, -2.0, PairLoss(0.5)) == pytest.approx(log(2), rel=1e-6)
    smooth = 0.8 * log(1 + exp(-1)) + 0.2 * log(1 + exp(1))
    assert loss_of(-1.0, -3.0, PairLoss(0.5, smoothing=0.2)) == pytest.approx(smooth, rel=1e-6)
    with_likelihood = loss_of(-1.0, -3.0, PairLoss(0.5, likelihood=2.0))
    assert with_likelihood == pytest.approx(log(1 + exp(-1)) + 2 * 1 / 4, rel=1e-6)


@pytest.mark.parametrize("wrong", [{"beta": 0.0}, {"smoothing": 0.5}, {"likelihood": -1.0}])
def test_what_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="--beta"):
        PairLoss(**wrong)


def some_pairs(count: int = 5) -> list[Pair]:
    draw = Random(0)

    def ids(most: int) -> tuple[int, ...]:
        return tuple(draw.randrange(4, 60) for _ in range(draw.randint(2, most)))

    return [Pair(ids(8), ids(5), ids(9)) for _ in range(count)]


def test_parts_hold_every_pair_once_under_the_budget() -> None:
    pairs = some_pairs(20)
    found = parted(pairs, 60)
    assert sorted(place for part in found for place in part) == list(range(20))
    for part in found:
        before = max(len(pairs[place].prompt) for place in part)
        behind = max(max(len(pairs[place].chosen), len(pairs[place].rejected)) for place in part)
        assert len(part) == 1 or 2 * len(part) * (before + behind) <= 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = save_llama(tmp_path_factory.mktemp("llama"))
    return path


def learner(folder: Path, **config: int) -> PairLearner:
    model, reference = load_policy(folder, CPU), load_policy(folder, CPU).eval()
    return PairLearner(model, LearnConfig(warmup=0, **config), reference, PairLoss())  # type: ignore[arg-type]


def test_pairs_come_into_their_order(folder: Path) -> None:
    trainer = learner(folder)
    told = [trainer.prefer(some_pairs(), 1e-3) for _ in range(10)]
    assert told[0]["loss"] == pytest.approx(log(2), abs=1e-6)
    assert told[0]["margin"] == pytest.approx(0, abs=1e-4)
    assert (told[-1]["ordered"], told[-1]["loss"] < told[0]["loss"]) == (1.0, True)


def test_how_pairs_are_cut_changes_nothing(folder: Path) -> None:
    whole, cut = learner(folder), learner(folder, batch_tokens=30)
    for trainer in (whole, cut):
        trainer.prefer(some_pairs(), 1e-3)
    again = [trainer.prefer(some_pairs(), 1e-3) for trainer in (whole, cut)]
    assert again[0] == pytest.approx(again[1], abs=1e-4)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    source = ProblemSource("builtin", count=8, difficulty=8, seed=3, split="train")
    run_stage(
        generate_stage(GenerateConfig(source, EngineSpec("builtin"), Sampling(1.2, 200, 0), 4)), RunOptions(folder / "made")
    )
    method = LabelRunConfig(
        ProblemSource(str(folder / "made")), EngineSpec("builtin"), Sampling(1.0, 200, 0), LabelConfig("omegaprm")
    )
    run_stage(label_stage(method), RunOptions(folder / "labels"))
    return folder / "labels"


def test_a_step_ends_with_its_line_and_a_solution_with_its_end_token(labelled: Path) -> None:
    text = render_only(EngineSpec("builtin"))
    (end,) = text.end
    single = preference_teacher(Dpo((str(labelled),)), text, NOBODY, 0, 0).pairs
    assert len(single) >= 5
    for pair in single:
        assert pair.chosen != pair.rejected
        prompt, *sides = (text.decode(ids) for ids in (pair.prompt, pair.chosen, pair.rejected))
        assert prompt.endswith("\n")
        for ids, side in zip((pair.chosen, pair.rejected), sides, strict=True):
            assert (ids[-1] == end) != side.endswith("\n")
    whole = preference_teacher(Dpo((str(labelled),), whole=True), text, NOBODY, 0, 0).pairs
    assert all(ids[-1] == end for pair in whole for ids in (pair.chosen, pair.rejected))
    assert max(len(pair.chosen) for pair in whole) > max(len(pair.chosen) for pair in single)


def test_pairs_of_held_out_questions_are_left_out(labelled: Path) -> None:
    from openr_data import load

    measuring = frozenset(words_digest(each.question) for each in load(labelled).problems())
    with pytest.raises(InputError, match="no pair"):
        preference_teacher(Dpo((str(labelled),)), render_only(EngineSpec("builtin")), Ban(measuring, NOBODY.guard), 0, 0)


def test_a_run_learns_the_order_of_its_pairs(labelled: Path, tmp_path: Path) -> None:
    config = RLConfig(
        None,
        ProblemSource("builtin", count=8, difficulty=3, seed=2),
        EngineSpec("builtin"),
        Dpo((str(labelled),), batch=256, epochs=8),
        LearnConfig(rate=1e-4, warmup=0),
        updates=4,
    )
    result = train_policy(Asked(config, Sampling(1.0, 80, 0), tmp_path / "run", threads=1))
    import json

    told = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert (result.updates, result.tokens) == (4, 0)
    assert told[-1]["loss"] < told[0]["loss"] == pytest.approx(log(2), abs=1e-5)
    assert told[-1]["ordered"] > 0.5
