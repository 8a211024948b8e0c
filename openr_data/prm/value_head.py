"""The head of Skywork-o1-Open-PRM: one logit from the last hidden state, saved as `v_head.summary` beside the language model.

Its sigmoid is the score (SkyworkAI/skywork-o1-prm-inference: `ValueHead`, `derive_step_rewards`). The `lm_head` of a checkpoint
is not read: only scores are asked for.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import Tensor, nn

from openr_data.prm.process_reward import token_classification_class


class ValueHead(nn.Module):
    """[..., hidden] -> [..., 1]. The authors' dropout is for training only."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.summary = nn.Linear(hidden, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        found: Tensor = self.summary(hidden)
        return found


@cache
def value_head_class(config_class: type) -> Any:
    """The family's token classification with `v_head` in the place of its linear head.

    Raises `UsageError` for a family of which transformers has no token classification.
    """
    family = token_classification_class(config_class)

    def begin(self: Any, config: Any) -> None:
        family.__init__(self, config)
        del self.score
        self.v_head = ValueHead(config.get_text_config().hidden_size)
        self.post_init()

    def score(self: Any) -> nn.Module:
        head: nn.Module = self.v_head
        return head

    name = family.__name__.replace("ForTokenClassification", "ForPrmModel")
    return type(name, (family,), {"__init__": begin, "score": property(score), "__doc__": __doc__})
