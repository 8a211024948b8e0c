"""Low-rank adapters (LoRA, arXiv 2106.09685) on a process reward model, and their merge into its weights."""

from __future__ import annotations

from typing import Any

from openr_data.errors import UsageError
from openr_data.prm.config import PRMConfig
from openr_data.prm.train_config import Lora

_HEADS = ("score", "v_head")


def adapted(model: Any, config: PRMConfig, lora: Lora) -> Any:
    """The peft model around a model of `heads.judging`: adapters on the linear layers, the tag's embedding and a head of its own
    trained beside them, all else frozen.

    A causal head stays the language model's: its two rows are frozen, and adapters are never put on it. Raises `UsageError`
    where no layer has one of the names in `lora.targets`.
    """
    from peft import LoraConfig, get_peft_model

    heads = [name for name in _HEADS if hasattr(model, name)]
    targets = lora.targets[0] if lora.targets == ("all-linear",) else list(lora.targets)
    head, embeddings = model.get_output_embeddings(), _name_of(model, model.get_input_embeddings())
    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        exclude_modules=_excluded(model, [*heads, *([] if head is None else [_name_of(model, head)])]),
        modules_to_save=heads or None,
        trainable_token_indices={embeddings: [config.tag_id]} if _trains_tag(config) else None,
    )
    try:
        found = get_peft_model(model, settings)
    except ValueError as error:
        raise UsageError(f"the adapters do not fit this model: {error}") from error
    if head is not None:
        _own_head(found.get_base_model(), head)
    return found


def merged(model: Any) -> Any:
    """The model with its adapters added to its weights, in the number format that it has."""
    return model.merge_and_unload()


def _trains_tag(config: PRMConfig) -> bool:
    """A tag that is a judgement at once (RLHFlow's +), or ends lines, is a word of the language model, which stays as it is."""
    return config.head != "likelihood" and config.tag_id not in {config.positive_id, config.negative_id}


def _own_head(base: Any, head: Any) -> None:
    """Where embeddings and head are tied, peft also wraps the head, and computes every token with it: the judgements' rows do not
    change, so the head itself is asked.
    """
    if base.get_output_embeddings() is not head:
        base.set_output_embeddings(head)


def _name_of(model: Any, wanted: Any) -> str:
    return str(next(name for name, module in model.named_modules(remove_duplicate=False) if module is wanted))


def _excluded(model: Any, names: list[str]) -> list[str]:
    """The linear layers of the heads."""
    return [name for name, _ in model.named_modules() if any(name == head or name.startswith(f"{head}.") for head in names)]
