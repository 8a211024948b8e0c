"""Draws many solutions at once from a model in memory: left-padded prompts, one static KV cache. Knows no problems and no files.

For training and evaluation, where a whole batch starts and ends together; the engines serve everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from openr_data.engines.builtin.tokenizer import EOS_ID, PAD_ID

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Drawn(NamedTuple):
    """A continuation without its end token; `ended` is false where it was cut."""

    text: str
    ended: bool


@torch.inference_mode()
def sample_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    *,
    temperature: float,
    generator: torch.Generator,
    max_tokens: int = 300,
    enough: float = 1.0,
) -> list[Drawn]:
    """One continuation per prompt, in order; temperature 0 takes the likeliest token.

    Stops when the share `enough` of them has ended: the last few would take as long as all the others.
    """
    from transformers import StaticCache

    encoded = tokenizer(list(prompts), padding=True, padding_side="left", return_tensors="pt").to(model.device)
    width = encoded.input_ids.shape[1]
    mask = torch.ones(len(prompts), width + max_tokens, dtype=torch.long, device=model.device)
    mask[:, :width] = encoded.attention_mask
    cache = StaticCache(config=model.config, max_cache_len=width + max_tokens)
    tokens, columns = encoded.input_ids, []
    positions = (encoded.attention_mask.cumsum(1) - 1).clamp(min=0)
    ended = torch.zeros(len(prompts), dtype=torch.bool, device=model.device)
    for end in range(width, width + max_tokens):
        output = model(tokens, attention_mask=mask[:, :end], position_ids=positions, past_key_values=cache, logits_to_keep=1)
        chosen = _choose(output.logits[:, -1].float(), temperature, generator)
        chosen[ended] = PAD_ID
        columns.append(chosen)
        ended |= chosen == EOS_ID
        if ended.float().mean() >= enough:
            break
        tokens, positions = chosen[:, None], positions[:, -1:] + 1
    texts = tokenizer.batch_decode(torch.stack(columns, 1), skip_special_tokens=True)
    return [Drawn(text, end) for text, end in zip(texts, ended.tolist(), strict=True)]


def _choose(logits: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    probabilities = torch.softmax(logits / temperature, -1)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]
