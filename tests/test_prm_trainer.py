"""The loss of a step does not depend on how its batch is cut, and what is trained is what is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from prm_training import examples, losses, prepared, rows, run, tiny

from openr_data.prm.collate import Collator, fetch
from openr_data.prm.encode import Encoder
from openr_data.prm.examples import Example
from openr_data.prm.heads import judging
from openr_data.prm.load import load_prm
from openr_data.prm.loss import StepLoss
from openr_data.prm.rows import tokenised
from openr_data.prm.train_config import ModelChoice, TrainConfig
from openr_data.prm.trainer import judged

BASE = TrainConfig(batch=8, epochs=2, rate=1e-2, positive_weight=0, clip=0.5, evaluate_every=4, save_every=4)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """21 rows: the last step of an epoch has five."""
    return rows(tmp_path_factory.mktemp("rows"), 21)


@pytest.fixture(scope="module")
def whole(found: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(tmp_path_factory.mktemp("whole") / "out", found, BASE)


@pytest.mark.parametrize(
    "change",
    [{"accumulation": 4}, {"batch_tokens": 40}, {"packing": "on"}, {"packing": "on", "batch_tokens": 64, "accumulation": 2}],
)
def test_the_cut_of_a_batch_changes_no_loss(found: Any, whole: Any, tmp_path: Path, change: dict[str, Any]) -> None:
    other = run(tmp_path / "out", found, replace(BASE, **change))
    assert len(losses(whole)) == 6
    assert losses(other) == pytest.approx(losses(whole), abs=1e-6)
    assert other.tokens == whole.tokens
    assert other.auroc == pytest.approx(whole.auroc, abs=1e-6)


@pytest.mark.parametrize("loss", ["ranking", "squared"])
def test_other_losses_do_not_depend_on_the_cut_either(found: Any, tmp_path: Path, loss: Any) -> None:
    config = replace(BASE, loss=loss, positive_weight=1, max_steps=3)
    one = run(tmp_path / "one", found, config)
    four = run(tmp_path / "four", found, replace(config, accumulation=4, packing="on"))
    assert losses(four) == pytest.approx(losses(one), abs=1e-6)


def test_the_reported_loss_is_the_weighted_mean_over_steps(found: Any, tmp_path: Path) -> None:
    """The first step of a model that was not changed yet, from its logits and the formula."""
    model = judging(tiny(), prepared().config).eval()
    targets, margins, weights = [], [], []
    for row in found:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, row["reads"]]
        margins += (logits[:, 1] - logits[:, 0]).tolist()
        targets += row["targets"]
        weights += [row["weight"]] * len(row["reads"])
    each = torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor(margins), torch.tensor(targets), reduction="none")
    wanted = float((each * torch.tensor(weights)).sum() / sum(weights))
    found_loss = losses(run(tmp_path / "out", found, TrainConfig(batch=64, max_steps=1)))
    assert found_loss == pytest.approx([wanted], abs=1e-6)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("offset", [0, -1])
def test_the_trained_position_is_the_read_one(tmp_path: Path, packed: bool, offset: int) -> None:
    """A model without layers mixes no positions: of its embeddings, only that of the token at the read position learns. A model
    that is trained at -1 learns nothing of the tag, where OpenR reads it.
    """
    asked = replace(prepared().config, read_offset=offset)
    found = tokenised([Example("a", "q", ("12", "34"), (1.0, 0.0))], Encoder(prepared().tokenizer, asked), tmp_path).dataset
    model = judging(tiny(tied=False, layers=0), asked)
    (part,) = Collator(100, packed)(fetch(found.with_format("arrow"), [0]))
    total, embeddings = (
        StepLoss().total(judged(model, part, "causal"), part["labels"], part["weights"]),
        model.get_input_embeddings(),
    )
    (gradient,) = torch.autograd.grad(total, embeddings.weight)
    touched = gradient.abs().sum(1).nonzero().flatten().tolist()
    ends = [prepared().encoder.text_ids(text)[-1] for text in ("12", "34")]
    assert touched == ([asked.tag_id] if offset == 0 else sorted(ends))


def test_a_local_rule_is_learned(tmp_path: Path) -> None:
    """On other rows than those it saw; and the saved model says the same."""
    seen = tokenised(examples(600, seed=1), prepared().encoder, tmp_path / "seen").dataset
    others = tokenised(examples(100, seed=2), prepared().encoder, tmp_path / "others").dataset
    config = TrainConfig(batch=32, max_steps=50, rate=2e-2, batch_tokens=4096)
    result = run(tmp_path / "out", seen, config, evaluated=others)
    assert result.auroc is not None
    assert result.auroc > 0.95
    prm = load_prm(tmp_path / "out", device="cpu")
    encoded = prm.encoder.encode("a", ("x7", "3", "xx9"))
    with torch.no_grad():
        logits = prm.model(input_ids=torch.tensor([encoded.ids])).logits[0, list(encoded.reads)]
    assert ((logits[:, 1] - logits[:, 0]) > 0).tolist() == [True, False, True]


def test_the_value_head_learns_values(tmp_path: Path) -> None:
    graded = tokenised(examples(400, seed=1, targets=(0.25, 0.75)), prepared().encoder, tmp_path / "rows").dataset
    config = TrainConfig(model=ModelChoice(head="value"), loss="squared", batch=32, max_steps=50, rate=2e-2, batch_tokens=4096)
    result = run(tmp_path / "out", graded, config)
    assert result.auroc is not None
    assert result.auroc > 0.9
    assert result.history[-2]["eval_loss"] < 0.02
