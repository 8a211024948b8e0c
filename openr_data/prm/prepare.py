"""From a base model to the configuration of the process reward model that it becomes. Loads its tokenizer, not its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from openr_data.errors import UsageError
from openr_data.models.files import BUILTIN, model_folder, weights_digest
from openr_data.prm.config import NAME, LabelReading, PRMConfig, Template
from openr_data.prm.encode import Encoder, check_fingerprint, fingerprint
from openr_data.prm.load import check_ids, load_tokenizer
from openr_data.prm.tags import Tag, add_tag, choose_break, choose_judgements, choose_tag
from openr_data.prm.templates import template_of
from openr_data.prm.train_config import ModelChoice
from openr_data.prm.weights import read_model_config


@dataclass(frozen=True, slots=True)
class Prepared:
    """`folder` holds the base model; `tokenizer` is its own, with the tag.

    `new_tag`: the tag is no token of the base, and `build` gives it the mean embedding. A low-rank adapter has to train that row
    (peft: `trainable_token_indices=[config.tag_id]`), or it stays the mean. `new_head`: the base need not have the head.
    """

    folder: Path
    tokenizer: Any
    config: PRMConfig
    encoder: Encoder
    new_tag: bool = False
    new_head: bool = False


def prepare(choice: ModelChoice, labels: LabelReading) -> Prepared:
    """What `choice` makes of its base. A base that is a process reward model already keeps its template, tag and head.

    The template `auto` is `builtin` for the built-in tokenizer, `chat` where there is a chat template, else `plain`. The context
    is the model's (`max_position_embeddings`) or the choice's, whichever is smaller. Raises `UsageError` in one sentence for what
    this tokenizer or model cannot do.
    """
    folder = model_folder(choice.base, choice.revision)
    tokenizer = load_tokenizer(folder)
    if known := (folder / NAME).is_file():
        config, new_tag = _continued(PRMConfig.load(folder), choice), False
        check_ids(tokenizer, config, folder)
    else:
        tag = add_tag(tokenizer, _tag(tokenizer, choice))
        config, new_tag = _fresh(tokenizer, tag, choice), tag.is_new
    context = min(config.context, _context(folder, choice.context))
    config = replace(config, labels=labels, context=context, base_model=choice.base, base_digest=weights_digest(folder))
    encoder = Encoder(tokenizer, config)
    check_fingerprint(encoder, folder)
    encoder.config = replace(encoder.config, fingerprint=fingerprint(encoder))
    return Prepared(folder, tokenizer, encoder.config, encoder, new_tag, new_head=not known and choice.head != "causal")


def _fresh(tokenizer: Any, tag: Tag, choice: ModelChoice) -> PRMConfig:
    template = _template(tokenizer, choice)
    config = PRMConfig(choice.head, template, tag.text, tag.id, context=_UNBOUNDED)
    if choice.head != "causal":
        return config
    good, bad = choose_judgements(tokenizer, _wanted(choice))
    return replace(config, positive=good[0], positive_id=good[1], negative=bad[0], negative_id=bad[1])


def _continued(config: PRMConfig, choice: ModelChoice) -> PRMConfig:
    """The base's own configuration; its calibration belonged to its old weights."""
    asked = {
        "head": (choice.head if choice.head != "causal" else config.head, config.head),
        "template": (choice.template, config.template.name),
        "tag": (choice.tag, config.tag),
        "positive token": (choice.positive or config.positive, config.positive),
        "negative token": (choice.negative or config.negative, config.negative),
    }
    for what, (wanted, has) in asked.items():
        if wanted not in {"auto", has}:
            raise UsageError(
                f"'{choice.base}' is a process reward model with the {what} '{has}', and cannot go on with '{wanted}'"
            )
    return replace(config, scale=1.0, shift=0.0)


def _tag(tokenizer: Any, choice: ModelChoice) -> Tag:
    """Steps whose likelihood is asked for end as the policy ends them: a token that it does not know would be in its way."""
    breaks = choice.head == "likelihood" and choice.tag == "auto"
    return choose_break(tokenizer) if breaks else choose_tag(tokenizer, choice.tag)


def _template(tokenizer: Any, choice: ModelChoice) -> Template:
    name = choice.template
    if choice.head == "likelihood":
        found = template_of(("chat-lines" if tokenizer.chat_template else "lines") if name == "auto" else name)
        if not found.opened:
            raise UsageError(f"the likelihood of steps needs the template lines or chat-lines, and not '{name}'")
        return found
    if name != "auto":
        return template_of(name)
    if _is_builtin(tokenizer):
        return template_of("builtin")
    return template_of("chat" if tokenizer.chat_template else "plain")


def _is_builtin(tokenizer: Any) -> bool:
    """Whether it knows the same pieces as the tokenizer of the built-in policy."""
    if len(tokenizer) > 1000 or not (BUILTIN / "tokenizer.json").is_file():
        return False
    return bool(tokenizer.get_vocab() == load_tokenizer(BUILTIN).get_vocab())


def _wanted(choice: ModelChoice) -> tuple[str, ...]:
    if bool(choice.positive) != bool(choice.negative):
        raise UsageError("--positive and --negative go together: name both tokens, or neither")
    return (choice.positive, choice.negative) if choice.positive else ()


_UNBOUNDED = 2**31 - 1


def _context(folder: Path, wanted: int) -> int:
    """In tokens: what the model was made for, or less."""
    config = read_model_config(folder)
    longest = getattr(config.get_text_config(), "max_position_embeddings", None) or _UNBOUNDED
    return min(int(longest), wanted or _UNBOUNDED)
