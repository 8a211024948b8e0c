"""TRL's GRPO trainer and the reference trainer have the same loss on the same batch, with an advantage for each token."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from openr_data.rl.batches import Batch, Sample, batches
from openr_data.rl.losses import Extent, Played, PolicyLoss, policy_loss
from openr_data.rl.policy import token_logprobs

trl = pytest.importorskip("trl", reason="TRL is installed by `make test-trl` only")

LENGTH, VOCABULARY = 12, 64
LOSSES = [
    PolicyLoss(0.1, 0.3, ratio, reduction, beta, corrected)
    for ratio in ("token", "sequence")
    for reduction in ("dapo", "grpo", "dr_grpo")
    for beta, corrected in ((0.0, True), (0.2, True), (0.2, False))
]


def samples() -> list[Sample]:
    draw = Random(0)
    found = []
    for _ in range(4):
        tokens = [draw.randrange(4, VOCABULARY) for _ in range(draw.randint(3, LENGTH))]
        found.append(
            Sample(
                [draw.randrange(4, VOCABULARY) for _ in range(draw.randint(2, 6))], tokens, [draw.uniform(-1, 1) for _ in tokens]
            )
        )
    return found


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    pad, start, end, other = "<pad>", "<s>", "</s>", "<unk>"
    words = [pad, start, end, other, *(f"w{number}" for number in range(4, VOCABULARY))]
    backend = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token=other))
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token=pad, bos_token=start, eos_token=end)


def trainer_of(loss: PolicyLoss, tokenizer: Any, folder: Path) -> Any:
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = LlamaConfig(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
    LlamaForCausalLM(shape).save_pretrained(folder / "model")
    arguments = trl.GRPOConfig(
        model_init_kwargs={"dtype": torch.float32},
        output_dir=str(folder),
        per_device_train_batch_size=4,
        num_generations=2,
        max_completion_length=LENGTH,
        epsilon=loss.clip_low,
        epsilon_high=loss.clip_high,
        importance_sampling_level=loss.ratio,
        loss_type=loss.reduction,
        beta=loss.beta,
        use_bias_correction_kl=loss.corrected,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
    )
    return trl.GRPOTrainer(
        model=str(folder / "model"),  # by name: it loads the reference model from there
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": ["w4"] * 8}),
        processing_class=tokenizer,
    )


def as_trl(batch: Batch, old: torch.Tensor, reference: torch.Tensor, advantages: torch.Tensor) -> dict[str, Any]:
    before = batch.ids.shape[1] - batch.targets.shape[1]
    return {
        "prompt_ids": batch.ids[:, :before],
        "prompt_mask": batch.attention[:, :before],
        "completion_ids": batch.targets,
        "completion_mask": batch.mask.long(),
        "advantages": advantages,
        "old_per_token_logps": old,
        "ref_per_token_logps": reference,
        "num_items_in_batch": batch.mask.sum(),
    }


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_the_losses_are_equal(loss: PolicyLoss, tokenizer: Any, tmp_path: Path) -> None:
    trainer = trainer_of(loss, tokenizer, tmp_path)
    trainer.current_gradient_accumulation_steps = 1
    (batch,) = batches(samples(), 10_000, torch.device("cpu"))
    new = token_logprobs(trainer.model, batch)
    torch.manual_seed(1)
    old, reference = ((new + 0.3 * torch.randn_like(new)).detach() for _ in range(2))
    theirs = trainer._compute_loss(trainer.model, as_trl(batch, old, reference, batch.advantages))
    played = Played(new, old, batch.advantages, batch.mask, batch.step, reference)
    extent = Extent(int(batch.mask.sum()), len(batch.rows), LENGTH)
    ours = policy_loss(played, loss, extent)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)
    gradients = [torch.autograd.grad(each, trainer.model.parameters(), allow_unused=True) for each in (ours, theirs)]
    for mine, other in zip(*gradients, strict=True):
        if mine is not None:
            assert torch.allclose(mine, other, atol=1e-5)
    one = batch.advantages[:, 0]
    wide = one[:, None].expand_as(batch.advantages)
    either = [trainer._compute_loss(trainer.model, as_trl(batch, old, reference, each)).item() for each in (one, wide)]
    assert either[0] == pytest.approx(either[1], abs=1e-6)
