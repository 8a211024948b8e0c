"""A head that asks the language model how likely it finds what was written: no token of judgement, two numbers for every step.

A step is judged by the least and by the total log-probability of its tokens, given everything before them. A policy that is
sampled now and then takes a token that it holds for unlikely, and goes wrong with it: it knows, but in its last layer, where a
judgement at a tag can look for it only after long training (measured in `docs/log.md`). The language model is trained on the
labels through these numbers like any other head's body.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForCausalLM
from transformers.modeling_outputs import TokenClassifierOutput

from openr_data.errors import UsageError

_LOGITS = 2**24
"""As many logits are held at once: 64 MiB in fp32."""


@cache
def likelihood_class(config_class: type) -> Any:
    """The family's language model with `score`, a linear map of the two numbers to one logit. Its configuration names the tag
    as `step_tag_id`.

    Raises `UsageError` for a family of which transformers has no language model.
    """
    mapping: Any = AutoModelForCausalLM._model_mapping
    if config_class not in mapping:
        family_name = getattr(config_class, "model_type", config_class.__name__)
        raise UsageError(f"transformers has no language model over a '{family_name}' model")
    family = mapping[config_class]

    def begin(self: Any, config: Any) -> None:
        family.__init__(self, config)
        self.score = nn.Linear(2, 1)
        self.post_init()

    def forward(
        self: Any,
        input_ids: Tensor,
        position_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        **_: Any,
    ) -> TokenClassifierOutput:
        # Behind a past the first token must be the tag before the step: it is what predicts the step's first token.
        hidden = self.base_model(
            input_ids=input_ids,
            position_ids=position_ids,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            use_cache=past_key_values is not None,
        ).last_hidden_state
        chances = log_probabilities(self, hidden[:, :-1], input_ids[:, 1:])
        features = step_features(chances, input_ids, self.config.step_tag_id, position_ids)
        return TokenClassifierOutput(logits=self.score(features))

    name = family.__name__.replace("ForCausalLM", "ForStepLikelihood")
    return type(name, (family,), {"__init__": begin, "forward": forward, "__doc__": __doc__})


@torch.no_grad()
def begin_likelihood(score: nn.Linear) -> None:
    """Sure of what is written with certainty, in doubt at a probability of one in twenty."""
    score.weight.copy_(torch.tensor([[1.0, 0.5]]))
    score.bias.fill_(3.0)


def step_features(chances: Tensor, ids: Tensor, tag: int, position_ids: Tensor | None = None) -> Tensor:
    """[rows, tokens - 1], [rows, tokens] -> [rows, tokens, 2]: at a tag, the least and the total log-probability of the tokens
    between the tag before it and itself; at any other token, those of the last step that is finished. Both are 0 of no token.

    `chances` are of the tokens from the second on. The first token of a sequence (its position is 0) has no chance.

    >>> ids = torch.tensor([[5, 9, 6, 7, 9, 8, 9]])
    >>> step_features(torch.tensor([[-9.0, -1.0, -2.0, -9.0, -4.0, -9.0]]), ids, 9)[0, [1, 4, 6]].tolist()
    [[0.0, 0.0], [-2.0, -3.0], [-4.0, -4.0]]
    """
    tags = ids == tag
    counted = ~tags
    counted[:, 0] = False
    if position_ids is not None:
        counted &= position_ids != 0
    number = tags.cumsum(1)
    own = torch.where(counted, torch.nn.functional.pad(chances, (1, 0)), 0.0)
    empty = own.new_zeros(len(ids), int(number.max()) + 1)
    both = torch.stack([empty.scatter_reduce(1, number, own, "amin"), empty.scatter_add(1, number, own)], dim=2)
    finished = (number - 1).clamp(min=0)
    found = both.gather(1, finished.unsqueeze(2).expand(-1, -1, 2))
    return torch.where(number.unsqueeze(2) > 1, found, 0.0)


def log_probabilities(model: Any, hidden: Tensor, tokens: Tensor) -> Tensor:
    """[rows, tokens, hidden], [rows, tokens] -> [rows, tokens]: of each token under the head's logits before it, in fp32.

    Logits are computed in parts, again for the gradient where there are several: all at once, those of a large vocabulary would
    need more memory than the model.
    """
    head, settings = model.get_output_embeddings(), model.config.get_text_config()
    cap = getattr(settings, "final_logit_softcapping", None)
    size = max(1, _LOGITS // settings.vocab_size)
    pairs = list(zip(torch.split(hidden.flatten(0, 1), size), torch.split(tokens.flatten(), size), strict=True))
    again = torch.is_grad_enabled() and len(pairs) > 1
    found: list[Any] = [
        checkpoint(_chances, head, *pair, cap, use_reentrant=False) if again else _chances(head, *pair, cap) for pair in pairs
    ]
    return torch.cat(found).view(tokens.shape)


def _chances(head: Any, hidden: Tensor, tokens: Tensor, cap: float | None) -> Tensor:
    logits = head(hidden).float()
    if cap:
        logits = cap * torch.tanh(logits / cap)
    found: Tensor = logits.gather(1, tokens.unsqueeze(1)).squeeze(1) - logits.logsumexp(1)
    return found
