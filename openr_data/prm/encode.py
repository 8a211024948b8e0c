"""From a question and its steps to token ids and the positions where steps are judged. No text is joined or split for it.

Every part is encoded alone and the tag is put in as an id, so that a tokenizer cannot merge a tag with what stands beside it, and
training, scoring and serving see the same ids. Text of a question or a step is encoded as plain text: what looks like a control
token in it is an error, and never becomes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from openr_data.errors import InputError, UsageError
from openr_data.prm.config import PRMConfig
from openr_data.types import Steps

_REMEMBERED = 4096


class RowError(InputError):
    """One solution that cannot be scored or trained on; whoever knows its row says which it is."""


class TooLong(RowError):
    """Longer than the model's context. Nothing is ever cut."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """`ids` of the whole sequence; `reads[i]` is the position whose logits judge step i, ascending. The first `prompt` ids are
    the same for every solution of the question.
    """

    ids: tuple[int, ...]
    reads: tuple[int, ...]
    prompt: int


class Encoder:
    """Encodes for one tokenizer and configuration. Raises `RowError` for what cannot be judged step by step."""

    def __init__(self, tokenizer: Any, config: PRMConfig) -> None:
        self.config, self._tokenizer = config, tokenizer
        self._text = _plain_text(tokenizer)
        self._opening = _opening(tokenizer)
        self._separator = self.text_ids(config.template.separator)
        self._in_chat, self._anywhere = _controls(tokenizer, config)
        self.prompt = lru_cache(maxsize=_REMEMBERED)(self._prompt)
        if config.template.chat and not tokenizer.chat_template:
            raise UsageError(
                f"the template '{config.template.name}' needs a tokenizer with a chat template; use --template plain"
            )

    def encode(self, question: str, steps: Steps) -> Encoded:
        """One sequence for all steps. Raises `RowError` without steps, for a control token in a text, and `TooLong`."""
        if not steps:
            raise RowError("it has no steps")
        self._refuse_controls(question, steps)
        found = self._turns(question, steps) if self.config.template.turns else self._tagged(question, steps)
        if len(found.ids) > self.config.context:
            raise TooLong(f"it has {len(found.ids)} tokens, and the model's context is {self.config.context}")
        return found

    def text_ids(self, text: str) -> tuple[int, ...]:
        """The tokens of a text; nothing is added, and nothing in it is a control token."""
        return tuple(self._text(text)) if text else ()

    def _tagged(self, question: str, steps: Steps) -> Encoded:
        ids = list(self.prompt(question))
        prompt, reads = len(ids), []
        for number, step in enumerate(steps):
            if number:
                ids += self._separator
            ids += self.text_ids(self.config.template.step.replace("{step}", step))
            reads.append(len(ids) + self.config.read_offset)
            ids.append(self.config.tag_id)
        return Encoded(tuple(ids), tuple(reads), prompt)

    def _prompt(self, question: str) -> tuple[int, ...]:
        template = self.config.template
        user = template.user.replace("{question}", question)
        if not template.chat:
            return (*self._opening, *self.text_ids(user))
        system = [{"role": "system", "content": template.system}] if template.system else []
        return self._chat([*system, {"role": "user", "content": user}])

    def _turns(self, question: str, steps: Steps) -> Encoded:
        """RLHFlow's dialogue, every earlier step judged good, read where the next token is the judgement."""
        first = self.config.template.user.replace("{question}", question)
        messages: list[dict[str, str]] = []
        ids: tuple[int, ...] = ()
        reads = []
        for number, step in enumerate(steps):
            messages.append({"role": "user", "content": step if number else f"{first} {step}"})
            longer = self._chat(messages)
            if longer[: len(ids)] != ids:
                raise UsageError("the model's chat template rewrites earlier turns, so its steps cannot be judged in one pass")
            ids = (*longer, self.config.tag_id)
            reads.append(len(longer) + self.config.read_offset)
            messages.append({"role": "assistant", "content": self.config.tag.strip()})
        return Encoded(ids, tuple(reads), 0)

    def _chat(self, messages: list[dict[str, str]]) -> tuple[int, ...]:
        try:
            text = str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        except Exception as error:  # chat templates are programs of the model's makers and raise what they like
            raise UsageError(f"the model's chat template refuses the template '{self.config.template.name}': {error}") from error
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    def _refuse_controls(self, question: str, steps: Sequence[str]) -> None:
        turns = self.config.template.turns
        for control in (*self._in_chat, *self._anywhere):
            if control in question:
                raise RowError(f"its question holds the control token '{control}'")
        for control in (*(self._in_chat if turns else ()), *self._anywhere):
            for number, step in enumerate(steps, 1):
                if control in step:
                    raise RowError(f"its step {number} holds the control token '{control}'")


def _controls(tokenizer: Any, config: PRMConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Texts that must not stand in what a chat template renders, and the tag, which must stand nowhere.

    A tag that is an ordinary word (+ of RLHFlow, a line break) is told by its place and may stand in a text.
    """
    special = set(tokenizer.all_special_tokens)
    tag = config.tag.strip()
    reserved = tag and (tag in special or config.tag_id in getattr(tokenizer, "added_tokens_decoder", {}))
    return tuple(sorted(special - {tag})) if config.template.chat else (), (tag,) if reserved else ()


def _opening(tokenizer: Any) -> tuple[int, ...]:
    """What the tokenizer puts in front of a text (a start token, usually)."""
    plain = list(tokenizer.encode("x", add_special_tokens=False))
    marked = list(tokenizer.encode("x"))
    count = next((at for at in range(len(marked)) if marked[at : at + len(plain)] == plain), 0)
    return tuple(marked[:count])


def _plain_text(tokenizer: Any) -> Any:
    """Encodes text in which nothing is a control token."""
    if not getattr(tokenizer, "is_fast", False):
        return lambda text: tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.encode_special_tokens = True
    return lambda text: backend.encode(text, add_special_tokens=False).ids
