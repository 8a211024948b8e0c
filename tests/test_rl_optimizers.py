"""Which optimiser moves which weights, and that both go on exactly."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from random import Random

import pytest
import torch
from local_models import save_llama

from openr_data.errors import UsageError
from openr_data.rl.batches import Sample
from openr_data.rl.learner import LearnConfig, Learner
from openr_data.rl.models import load_policy
from openr_data.rl.optimizers import optimizer_of

SAMPLES = [Sample([5, 6], [7, 8, 9], [1.0, 1.0, -0.5]), Sample([9], [10, 11], [-1.0, 1.0])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = save_llama(tmp_path_factory.mktemp("llama"))
    return path


def test_muon_takes_the_matrices_inside_and_adamw_the_rest(folder: Path) -> None:
    model = load_policy(folder, torch.device("cpu"))
    names = {id(each): name for name, each in model.named_parameters()}
    groups = optimizer_of(model, "muon", 0.01, 0.0).param_groups
    parts = {group["part"]: {names[id(each)] for each in group["params"]} for group in groups}
    assert set(parts) == {1.0, 0.3}
    assert all("layers." in name and "norm" not in name for name in parts[1.0])
    assert {name for name in parts[0.3] if "embed" in name or "lm_head" in name}
    assert parts[1.0] | parts[0.3] == set(names.values())


def test_frozen_weights_are_in_no_group(folder: Path) -> None:
    model = load_policy(folder, torch.device("cpu"))
    model.model.embed_tokens.requires_grad_(False)
    for name in ("adamw", "muon"):
        held = {id(each) for group in optimizer_of(model, name, 0.01, 0.0).param_groups for each in group["params"]}
        assert held == {id(each) for each in model.parameters() if each.requires_grad}


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_it_goes_on_from_its_state(folder: Path, name: str) -> None:
    config = LearnConfig(rate=1e-2, optimizer=name)
    learners = [Learner(load_policy(folder, torch.device("cpu")), config) for _ in range(2)]
    for number in range(2):
        learners[0].update(SAMPLES, 1e-2, Random(number))
    learners[1].model.load_state_dict(learners[0].model.state_dict())
    learners[1].optimizer.load_state_dict(deepcopy(learners[0].optimizer.state_dict()))
    for each in learners:
        each.update(SAMPLES, 5e-3, Random(2))
    one, two = (torch.cat([weight.flatten() for weight in each.model.parameters()]) for each in learners)
    assert torch.equal(one, two)
    start = torch.cat([weight.flatten() for weight in load_policy(folder, torch.device("cpu")).parameters()])
    assert not torch.equal(one, start)


def test_the_rest_moves_at_three_tenths_of_the_rate(folder: Path) -> None:
    learner = Learner(load_policy(folder, torch.device("cpu")), LearnConfig(rate=1.0, optimizer="muon"))
    learner.at(0.5)
    assert sorted(group["lr"] for group in learner.optimizer.param_groups) == [0.15, 0.5]


def test_another_name_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no optimizer 'sgd'"):
        LearnConfig(optimizer="sgd")
