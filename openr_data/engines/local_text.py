"""The text side of a local model: prompts, tokens and back, stop strings. Loads a tokenizer and never the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openr_data.engines.prompts import Message, PromptTemplate, resolve_template
from openr_data.engines.stops import stop_at
from openr_data.errors import UsageError
from openr_data.models.files import policy_prompt
from openr_data.types import Steps

_ANCHOR = 6
_REMEMBERED = 4096
_BROKEN = "\ufffd"


@dataclass(frozen=True, slots=True)
class StopRule:
    r"""Strings that end a completion. `lead` is the end of the prompt, in which one of them may begin.

    `ending[token]` says whether that token can complete a stop string: only then the text is looked at.

    >>> StopRule(("\n\nQ:",), lead="4\n", ending=np.zeros(0, dtype=np.bool_)).cut("\nQ: next")
    0
    >>> StopRule(("END",), lead="", ending=np.zeros(0, dtype=np.bool_)).cut("so 4. END of it END")
    6
    """

    strings: tuple[str, ...]
    lead: str
    ending: NDArray[np.bool_]

    def cut(self, text: str) -> int | None:
        """See `stop_at`."""
        return stop_at(text, self.strings, self.lead)


class TextSide:
    """A tokenizer with the template in use: what is encoded is the text that `prompt` shows, and what comes back is exact.

    A chat template writes its special tokens itself. For other templates the ones that the tokenizer puts in front of a text (a
    start token, usually) are written into the prompt here. Encoding then adds nothing: no token is ever doubled.
    """

    def __init__(self, tokenizer: Any, template: PromptTemplate) -> None:
        if template.chat and not tokenizer.chat_template:
            raise UsageError(f"the template '{template.name}' needs a model with a chat template; use --template plain")
        self.tokenizer = tokenizer
        self.template = template
        # The Rust tokenizer, without the cost of the wrapper at each call; None for a tokenizer written in Python.
        self._backend: Any = tokenizer.backend_tokenizer if getattr(tokenizer, "is_fast", False) else None
        self._endings: dict[tuple[str, ...], NDArray[np.bool_]] = {}
        # Searches ask for one sample of a prompt at a time: the latest prompts are not cut into tokens again.
        self.encode_prompt = lru_cache(maxsize=_REMEMBERED)(self._encode_prompt)

    def prompt(self, question: str, prefix: Steps) -> str:
        """See `LoadedEngine.prompt`."""
        text = self.template.render(question, prefix, self._chat)
        return text if self.template.chat else self._opening + text

    @cached_property
    def _opening(self) -> str:
        """The text of what the tokenizer would add in front of a plain text."""
        plain, marked = self.encode("x"), list(self.tokenizer("x")["input_ids"])
        count = next((at for at in range(len(marked)) if marked[at : at + len(plain)] == plain), 0)
        return "".join(self.tokenizer.convert_ids_to_tokens(marked[:count]))

    def _chat(self, messages: list[Message]) -> str:
        try:
            return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        except Exception as error:  # chat templates are programs of the model's makers and raise what they like
            hint = "; use --template boxed-user" if self.template.system else ""
            raise UsageError(f"the model's chat template refuses the template '{self.template.name}': {error}{hint}") from error

    def encode(self, text: str) -> list[int]:
        """The tokens of a text; nothing is added."""
        if self._backend:
            return list(self._backend.encode(text, add_special_tokens=False).ids)
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def _encode_prompt(self, prompt: str) -> tuple[int, ...]:
        return tuple(self.encode(prompt))

    @property
    def end(self) -> tuple[int, ...]:
        """The token that ends a solution; none where the tokenizer has no such token."""
        end = self.tokenizer.eos_token_id
        return () if end is None else (int(end),)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens, without special tokens and without cosmetics."""
        if self._backend:
            return str(self._backend.decode(list(ids), skip_special_tokens=True))
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def pieces(self, text: str) -> Sequence[str]:
        """The text cut where tokens begin; tokens that share a character stay together."""
        if not self._backend:
            return list(text)  # a tokenizer written in Python does not say where its tokens lie
        offsets = self._backend.encode(text, add_special_tokens=False).offsets
        return [text[start:end] for start, end in pairwise(sorted({0, len(text), *(start for start, _ in offsets)}))]

    def continuation(self, prompt: Sequence[int], ids: Sequence[int], *, complete: bool = True) -> str:
        """The text of generated tokens as it follows the prompt, whose end is decoded too: some decoders drop a leading space.

        Not `complete`: bytes of an unfinished character at the end are left out.
        """
        for anchor in (prompt[-_ANCHOR:], prompt):
            before, after = self.decode(anchor), self.decode((*anchor, *ids))
            if before and not before.startswith(_BROKEN) and after.startswith(before):
                text = after[len(before) :]
                break
        else:
            text = self.decode(ids)
        return text if complete else text.rstrip(_BROKEN)

    def stop_rule(self, strings: Sequence[str], prompt: str) -> StopRule | None:
        """The rule for these strings after this prompt; None without strings."""
        kept = tuple(dict.fromkeys(string for string in strings if string))
        if not kept:
            return None
        longest = max(map(len, kept))
        if kept not in self._endings:
            self._endings[kept] = self._ending_tokens(kept)
        return StopRule(kept, prompt[len(prompt) - longest + 1 :] if longest > 1 else "", self._endings[kept])

    def _ending_tokens(self, strings: tuple[str, ...]) -> NDArray[np.bool_]:
        last = {string[-1] for string in strings}
        return np.array([_BROKEN in piece or not last.isdisjoint(piece) for piece in self._token_texts], np.bool_)

    @cached_property
    def _token_texts(self) -> list[str]:
        """Each token's text behind another token, so that a leading space is seen."""
        anchor = self.encode("a")
        size = len(self.decode(anchor))
        batch = [[*anchor, token] for token in range(len(self.tokenizer))]
        if self._backend:
            return [text[size:] for text in self._backend.decode_batch(batch, skip_special_tokens=True)]
        return [self.decode(ids)[size:] for ids in batch]


def load_text_side(folder: Path, template: str, *, builtin: bool, separator: str | None = None) -> TextSide:
    """The tokenizer in that folder with the template of that name.

    `auto` is the template that a policy was trained with here (with its separator), `builtin` for the built-in model and `boxed`
    for one with a chat template; any other model needs a choice.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"the folder '{folder}' holds no tokenizer that can be read: {reason}") from error
    known, own = ("builtin", None) if builtin else policy_prompt(folder)
    if template == "auto" and not known and not tokenizer.chat_template:
        raise UsageError("the model has no chat template, so the prompt must be chosen: use --template plain (or another one)")
    chosen = own if separator is None and template == "auto" else separator
    return TextSide(tokenizer, resolve_template(template, auto=known or "boxed", separator=chosen))
