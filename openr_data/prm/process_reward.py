"""The head of Qwen2.5-Math-PRM (arXiv 2501.07301, model card): Linear, ReLU, Linear to two classes, the good one second.

Over a Qwen2 it is the architecture `Qwen2ForProcessRewardModel`, whose weights (`score.0`, `score.2`) vLLM reads as well.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import nn
from transformers import AutoModelForTokenClassification

from openr_data.errors import UsageError

CLASSES = 2


@cache
def process_reward_class(config_class: type) -> Any:
    """The family's token classification with the head of Qwen's PRM instead of its linear one.

    Raises `UsageError` for a family of which transformers has no token classification.
    """
    family = token_classification_class(config_class)

    def begin(self: Any, config: Any) -> None:
        family.__init__(self, config)
        hidden = config.get_text_config().hidden_size
        self.score = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES))
        self.post_init()

    name = family.__name__.replace("ForTokenClassification", "ForProcessRewardModel")
    return type(name, (family,), {"__init__": begin, "__doc__": __doc__})


def token_classification_class(config_class: type) -> Any:
    """Raises `UsageError` for a family of which transformers has none (Gemma 3)."""
    mapping: Any = AutoModelForTokenClassification._model_mapping
    if config_class not in mapping:
        family = getattr(config_class, "model_type", config_class.__name__)
        raise UsageError(f"transformers has no token classification over a '{family}' model: its head stays causal")
    return mapping[config_class]
