"""The text side of a model that runs elsewhere: its tokenizer, found by name, with the template in use. Loads no weights."""

from __future__ import annotations

from openr_data.engines.local_text import TextSide
from openr_data.engines.model_files import ModelFiles
from openr_data.engines.prompts import resolve_template
from openr_data.errors import EngineError, UsageError

PromptEncoder = TextSide


def load_encoder(files: ModelFiles, template: str) -> PromptEncoder:
    """The model's tokenizer and the template; `auto` is `boxed` for a chat model, else `plain`."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(files.name, revision=files.revision or "main", trust_remote_code=False)
    except Exception as error:  # tokenizers fail in many ways; the user needs the name and the reason
        raise EngineError(f"the tokenizer of '{files.name}' cannot be loaded: {error}") from error
    chosen = resolve_template(template, auto="boxed" if tokenizer.chat_template else "plain")
    if chosen.chat and not tokenizer.chat_template:
        raise UsageError(f"the template '{chosen.name}' needs a model with a chat template; use --template plain")
    return TextSide(tokenizer, chosen)
