"""The heads compute what the whole model would have said at the same place, in fp32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from prm_families import FAMILIES, save_family
from torch import nn

from openr_data.prm.build import build
from openr_data.prm.config import Head, LabelReading
from openr_data.prm.encode import Encoded
from openr_data.prm.heads import Fp32Linear, JudgementHead, judging, margins, plain
from openr_data.prm.prepare import Prepared, prepare
from openr_data.prm.train_config import ModelChoice

QUESTION, STEPS = "What is 3 + 4?", ("We have 3 + 4 = 7.\n\n", "", "The answer is 7.")


def prepared_of(folder: Path, head: Head = "causal", **options: Any) -> Prepared:
    return prepare(ModelChoice(base=str(folder), head=head, **options), LabelReading())


def logits_of(model: Any, found: Encoded) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.tensor([found.ids])).logits
    return logits[0, list(found.reads)]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_judgement_head_gives_the_logits_of_the_whole_vocabulary(family: str, tmp_path: Path) -> None:
    """Also where the family caps its logits afterwards (Gemma 2)."""
    prepared = prepared_of(save_family(tmp_path, family))
    config, found = prepared.config, prepared.encoder.encode(QUESTION, STEPS)
    model = build(prepared, dtype=torch.float32).eval()
    whole = logits_of(model, found)
    judged = logits_of(judging(model, config), found)
    assert whole.shape == (len(STEPS), model.config.vocab_size)
    assert torch.allclose(judged, whole[:, [config.negative_id, config.positive_id]], atol=1e-6, rtol=0)
    difference = torch.log_softmax(whole, -1)[:, config.positive_id] - torch.log_softmax(whole, -1)[:, config.negative_id]
    assert torch.allclose(margins(judged), difference, atol=2e-6, rtol=0)
    assert margins(judged).std() > 0.01, "a random model, but not a constant one"
    assert torch.equal(logits_of(plain(model), found), whole)


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_scores_do_not_depend_on_padding_or_company(family: str, tmp_path: Path) -> None:
    """Alone, padded at the right without a mask, and packed behind another solution with positions that begin anew."""
    prepared = prepared_of(save_family(tmp_path, family))
    model = judging(build(prepared, dtype=torch.float32).eval(), prepared.config)
    short, long = (prepared.encoder.encode(QUESTION, steps) for steps in (STEPS[:1], STEPS * 4))
    alone = [margins(logits_of(model, found)) for found in (short, long)]
    padding = (0,) * (len(long.ids) - len(short.ids))
    with torch.no_grad():
        padded = margins(model(input_ids=torch.tensor([short.ids + padding, long.ids])).logits)
        places = torch.tensor([[*range(len(short.ids)), *range(len(long.ids))]])
        packed = margins(model(input_ids=torch.tensor([short.ids + long.ids]), position_ids=places, use_cache=False).logits)[0]
    assert torch.allclose(padded[0, list(short.reads)], alone[0], atol=1e-5)
    assert torch.allclose(padded[1, list(long.reads)], alone[1], atol=1e-5)
    assert torch.allclose(packed[list(short.reads)], alone[0], atol=1e-5)
    assert torch.allclose(packed[[len(short.ids) + read for read in long.reads]], alone[1], atol=1e-5)


def test_only_the_read_position_is_trained(tmp_path: Path) -> None:
    """The usual loss of a language model moves the answer one place on; here the gradient of a step's score reaches its own tag,
    and nothing behind it.
    """
    prepared = prepared_of(save_family(tmp_path, "llama"))
    found = prepared.encoder.encode(QUESTION, STEPS)
    model = judging(build(prepared, dtype=torch.float32), prepared.config)
    embedded = model.get_input_embeddings()(torch.tensor([found.ids])).detach().requires_grad_()
    score = margins(model(inputs_embeds=embedded).logits)[0, found.reads[1]]
    (gradient,) = torch.autograd.grad(score, embedded)
    reached = gradient[0].abs().sum(-1) > 0
    assert bool(reached[: found.reads[1] + 1].all())
    assert not bool(reached[found.reads[1] + 1 :].any())


def test_margins_of_two_classes_and_of_one_value() -> None:
    assert margins(torch.tensor([[1.0, 3.0], [0.5, 0.0]])).tolist() == [2.0, -0.5]
    assert margins(torch.tensor([[1.5], [-2.0]])).tolist() == [1.5, -2.0]
    assert margins(torch.tensor([[1.0, 3.0]], dtype=torch.bfloat16)).dtype == torch.float32


def test_a_head_in_bf16_would_tie_what_the_head_in_fp32_tells_apart() -> None:
    """A few hundred steps whose logits differ by about 6, p(+) = .9975: bf16 knows few numbers there."""
    torch.manual_seed(0)
    head = nn.Linear(16, 8, bias=False).to(torch.bfloat16)
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.weight[5], 6 / 16)
    hidden = (1 + 0.2 * torch.randn(400, 16)).to(torch.bfloat16)
    coarse = head(hidden)[:, [3, 5]].softmax(-1)[:, 1]
    head.__class__ = JudgementHead
    head.rows = (3, 5)  # type: ignore[assignment]  # what `judging` does
    fine = margins(head(hidden)).sigmoid()
    assert fine.dtype == torch.float32
    assert len(set(coarse.tolist())) < 10
    assert len(set(fine.tolist())) > 100


@pytest.mark.parametrize("bias", [True, False])
def test_the_head_in_fp32_is_the_linear_map_also_under_autocast(bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(8, 4, bias=bias)
    rows = nn.Linear(8, 4, bias=bias)
    rows.load_state_dict(layer.state_dict())
    hidden = torch.randn(5, 8)
    expected = layer(hidden)
    layer.__class__, rows.__class__ = Fp32Linear, JudgementHead
    rows.rows = (2, 0)  # type: ignore[assignment]  # what `judging` does
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(hidden), expected)
        assert torch.allclose(rows(hidden), expected[:, [2, 0]], atol=1e-6)


@pytest.mark.parametrize("head", ["token_classification", "value", "process_reward"])
def test_small_heads_are_in_fp32_in_a_bf16_model_and_what_is_saved_is_unchanged(head: Head, tmp_path: Path) -> None:
    prepared = prepared_of(save_family(tmp_path, "qwen2"), head)
    model = build(prepared, dtype=torch.bfloat16).eval()
    names = {name: value.dtype for name, value in model.state_dict().items()}
    judged = judging(model, prepared.config)
    found = logits_of(judged, prepared.encoder.encode(QUESTION, STEPS))
    assert found.dtype == torch.float32
    assert found.shape == (len(STEPS), 1 if head == "value" else 2)
    assert {name: value.dtype for name, value in judged.state_dict().items()} == names
    assert not any(isinstance(module, Fp32Linear) for module in plain(judged).modules())
