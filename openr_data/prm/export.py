"""Writes a process reward model with another head: the same scores (1e-5 in fp32) where other programs expect other layouts.

`causal` is the language model as it is, with `prm_config.json` beside it (a third-party model then says itself how it is asked).
`token-classification` is `*ForTokenClassification` with two labels, the good one second (TRL, transformers' pipelines, vLLM).
`qwen-prm` is `Qwen2ForProcessRewardModel` (Qwen2.5-Math-PRM, vLLM). None of them holds code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from transformers import AutoTokenizer

from openr_data.errors import UsageError
from openr_data.prm.config import Head, PRMConfig
from openr_data.prm.encode import Encoder, fingerprint
from openr_data.prm.exports.qwen2 import qwen2_config, qwen2_state, qwen_head
from openr_data.prm.exports.rows import rows_of
from openr_data.prm.heads import judging, margins, plain
from openr_data.prm.load import PRM, load_encoder
from openr_data.prm.process_reward import process_reward_class, token_classification_class
from openr_data.prm.tokenizer_files import save_tokenizer
from openr_data.prm.weights import quiet

PROBE = ("What is 3 + 4?", ("We have 3 + 4 = 7.", "", "The answer is 7."))
TOLERANCE = 1e-5
"""Of a margin, in units of the largest logit, or of one where all are smaller."""


@dataclass(frozen=True, slots=True)
class Exported:
    """`difference` is the largest change of a margin on a fixed solution; `notes` is what other programs do otherwise."""

    folder: Path
    head: Head
    architecture: str
    difference: float
    notes: tuple[str, ...] = ()


def export(prm: PRM, to: str, out: Path) -> Exported:
    """Writes into `out`, which must not exist or be empty. `prm` is of `load_prm`, in the number format that is to be saved.

    Raises `UsageError` in one sentence for a head or a family that the layout cannot hold exactly.
    """
    refuse_unknown(to)
    before = _logits(prm.model, prm.encoder)
    model, head = TARGETS[to](plain(prm.model), prm.config)
    config = _config(prm, head)
    with quiet():
        model.save_pretrained(out)
    save_tokenizer(prm.tokenizer, out)
    config.save(out)
    after = _logits(judging(model, config).eval(), load_encoder(out))
    difference = float((margins(after) - margins(before)).abs().max())
    if difference > TOLERANCE * max(1.0, float(before.abs().max())):
        raise UsageError(
            f"the {to} layout of this model does not score as the model does (by {difference:.1e}): it is not exported"
        )
    return Exported(out, head, type(model).__name__, difference, tuple(_notes(prm, config, out)))


def refuse_unknown(to: str) -> None:
    if to not in TARGETS:
        raise UsageError(f"there is no layout '{to}' of process reward models; choose one of: {', '.join(TARGETS)}")


Target = Callable[[Any, PRMConfig], tuple[Any, Head]]


def _to_causal(model: Any, config: PRMConfig) -> tuple[Any, Head]:
    if config.head != "causal":
        raise UsageError(f"a model with the head '{config.head}' has no language head, so it is not exported to causal")
    return model, "causal"


def _to_token_classification(model: Any, config: PRMConfig) -> tuple[Any, Head]:
    rows = rows_of(model, config)
    settings = _with_two_labels(model.config)
    state = {**_layers(model), "score.weight": rows.weight, "score.bias": rows.bias}
    return _assembled(token_classification_class, settings, state), "token_classification"


def _to_qwen_prm(model: Any, config: PRMConfig) -> tuple[Any, Head]:
    settings = _with_two_labels(qwen2_config(model.config, config))
    if config.head == "process_reward":
        head = {name: value for name, value in model.state_dict().items() if name.startswith("score.")}
    else:
        head = qwen_head(rows_of(model, config))
    state = {**qwen2_state(_layers(model)), **head}
    return _assembled(process_reward_class, settings, state), "process_reward"


TARGETS: Mapping[str, Target] = {
    "causal": _to_causal,
    "token-classification": _to_token_classification,
    "qwen-prm": _to_qwen_prm,
}


def _layers(model: Any) -> dict[str, Any]:
    """The weights below the head."""
    return {name: value for name, value in model.state_dict().items() if name.startswith(f"{model.base_model_prefix}.")}


def _with_two_labels(config: Any) -> Any:
    settings = type(config).from_dict(config.to_dict())
    settings.num_labels, settings.classifier_dropout = 2, 0.0
    settings.dtype, settings._attn_implementation = config.dtype, config._attn_implementation
    return settings


def _assembled(kind: Callable[[Any], Any], settings: Any, state: Mapping[str, Any]) -> Any:
    """A model of these weights: none is drawn, and the layers' are not copied."""
    with init_empty_weights():
        model = kind(type(settings))(settings)
    model.load_state_dict(state, assign=True)
    return model.eval()


def _config(prm: PRM, head: Head) -> PRMConfig:
    config = replace(prm.config, head=head, fingerprint=fingerprint(prm.encoder))
    return config if head == "causal" else replace(config, positive="", positive_id=-1, negative="", negative_id=-1)


def _logits(model: Any, encoder: Encoder) -> torch.Tensor:
    found = encoder.assemble(*PROBE)
    with torch.inference_mode():
        ids = torch.tensor([found.ids], device=model.device)
        logits: torch.Tensor = model(input_ids=ids).logits[0, list(found.reads)].float()
        return logits


def _notes(prm: PRM, config: PRMConfig, out: Path) -> list[str]:
    notes = []
    theirs = Encoder(AutoTokenizer.from_pretrained(out, trust_remote_code=False), config)
    if fingerprint(theirs) != config.fingerprint:
        kind = type(theirs.tokenizer).__name__
        notes.append(f"transformers chooses {kind} for this model type, which encodes otherwise: send other programs token ids")
    if (prm.config.scale, prm.config.shift) != (1.0, 0.0):
        notes.append("its calibration stands in prm_config.json alone: other programs give the scores before it")
    return notes
