"""From a question and its steps to token ids and the positions where steps are judged. No text is joined or split for it.

Every part is encoded alone and the tag is put in as an id, so that a tokenizer cannot merge a tag with what stands beside it, and
training, scoring and serving see the same ids. Text of a question or a step is encoded as plain text: what looks like a control
token in it is an error, and never becomes one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from openr_data.errors import InputError, UsageError
from openr_data.prm.config import PRMConfig
from openr_data.types import Steps

_REMEMBERED = 4096
_HALF = re.compile("[\ud800-\udfff]")
_ANCHORS = ("\n", "x", ".")
_TODAY = datetime(2024, 7, 26)  # noqa: DTZ001  (a day on a calendar, the same everywhere)
"""The day of every chat template: one that writes today's date (Llama 3) would give other scores tomorrow."""


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
        self.config, self.tokenizer = config, tokenizer
        self._text = plain_text(tokenizer)
        self._opening = _start(tokenizer) if config.template.start else _opening(tokenizer)
        self._in_question, self._in_step = _controls(tokenizer, config)
        self.prompt = lru_cache(maxsize=_REMEMBERED)(self._prompt)
        self._between = lru_cache(maxsize=4)(self.text_ids)
        if config.template.chat and not tokenizer.chat_template:
            raise UsageError(
                f"the template '{config.template.name}' needs a tokenizer with a chat template; use --template plain"
            )

    def encode(self, question: str, steps: Steps) -> Encoded:
        """One sequence for all steps. An empty step is a step, and is read at its tag.

        Raises `RowError` without steps, for a control token in a text or half a character, and `TooLong`.
        """
        if not steps:
            raise RowError("it has no steps")
        self._refuse(question, steps)
        found = self.assemble(question, steps)
        if self.config.template.opened:
            self._refuse_tags(found)
        if len(found.ids) > self.config.context:
            raise TooLong(f"it has {len(found.ids)} tokens, and the model's context is {self.config.context}")
        return found

    def _refuse_tags(self, found: Encoded) -> None:
        """Where tags alone tell the tokens of a step, none may stand in it."""
        start = found.prompt
        for number, read in enumerate(found.reads, 1):
            if self.config.tag_id in found.ids[start : read - self.config.read_offset]:
                raise RowError(f"its step {number} holds the tag '{_shown(self.config.tag)}', which ends a step")
            start = read - self.config.read_offset + 1

    def assemble(self, question: str, steps: Steps) -> Encoded:
        """As `encode`, of texts that are known to hold no control token, and of any length."""
        return self._turns(question, steps) if self.config.template.turns else self._tagged(question, steps)

    def text_ids(self, text: str) -> tuple[int, ...]:
        """The tokens of a text; nothing is added, and nothing in it is a control token."""
        return tuple(self._text(text)) if text else ()

    def _tagged(self, question: str, steps: Steps) -> Encoded:
        ids = list(self.prompt(question))
        prompt, reads = len(ids), []
        for number, step in enumerate(steps):
            ids += self._step(step, before=self.config.template.separator if number else self.config.template.lead)
            reads.append(len(ids) + self.config.read_offset)
            ids.append(self.config.tag_id)
        return Encoded(tuple(ids), tuple(reads), prompt)

    def _step(self, step: str, before: str) -> tuple[int, ...]:
        text = self.config.template.step.replace("{step}", step)
        if self.config.template.continued:
            return tuple(rest_of_text(self._text, before + text))
        return (*self._between(before), *self.text_ids(text))

    def _prompt(self, question: str) -> tuple[int, ...]:
        return (*self._asked(question), *([self.config.tag_id] if self.config.template.opened else []))

    def _asked(self, question: str) -> tuple[int, ...]:
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
            text = self.tokenizer.apply_chat_template(
                messages,
                tokenize=False,
                add_generation_prompt=True,
                date_string=_TODAY.strftime("%d %b %Y"),
                strftime_now=_TODAY.strftime,
            )
        except Exception as error:  # chat templates are programs of the model's makers and raise what they like
            raise UsageError(f"the model's chat template refuses the template '{self.config.template.name}': {error}") from error
        return tuple(self.tokenizer.encode(str(text), add_special_tokens=False))

    def _refuse(self, question: str, steps: Sequence[str]) -> None:
        if any(_HALF.search(text) for text in (question, *steps)):
            raise RowError("its text is not Unicode: it holds half of a surrogate pair")
        if found := self._in_question.search(question):
            raise RowError(f"its question holds the control token '{found[0]}'")
        for number, step in enumerate(steps, 1):
            if found := self._in_step.search(step):
                raise RowError(f"its step {number} holds the control token '{found[0]}'")


def _controls(tokenizer: Any, config: PRMConfig) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What must not stand in a question, and in a step: control tokens in what a chat template renders, and the tag anywhere.

    A tag that is an ordinary word (+ of RLHFlow, a line break) is told by its place and may stand in a text.
    """
    added = getattr(tokenizer, "added_tokens_decoder", {})
    special = {*tokenizer.all_special_tokens, *(str(each) for each in added.values() if each.special)}
    tag = config.tag.strip()
    anywhere = {tag} if tag in special or config.tag_id in added else set()
    rendered = special | anywhere if config.template.chat else anywhere
    return _any_of(rendered - {""}), _any_of((rendered if config.template.turns else anywhere) - {""})


def _shown(tag: str) -> str:
    """A line break as it is typed."""
    return tag.replace("\n", "\\n")


def _any_of(texts: set[str]) -> re.Pattern[str]:
    """Finds the first of the texts; without any, nothing."""
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or r"(?!)")


def rest_of_text(encode: Any, text: str) -> Sequence[int]:
    """The tokens of a text that goes on where another ended: without the blank that some tokenizers put before a text.

    It is encoded behind an anchor that does not melt into it.
    """
    for anchor in _ANCHORS:
        alone, together = list(encode(anchor)), list(encode(anchor + text))
        if together[: len(alone)] == alone:
            return together[len(alone) :]
    return list(encode(text))


def _start(tokenizer: Any) -> tuple[int, ...]:
    return () if tokenizer.bos_token_id is None else (int(tokenizer.bos_token_id),)


def _opening(tokenizer: Any) -> tuple[int, ...]:
    """What the tokenizer puts in front of a text (a start token, usually)."""
    plain = list(tokenizer.encode("x", add_special_tokens=False))
    marked = list(tokenizer.encode("x"))
    count = next((at for at in range(len(marked)) if marked[at : at + len(plain)] == plain), 0)
    return tuple(marked[:count])


def plain_text(tokenizer: Any) -> Any:
    """Encodes text in which nothing is a control token."""
    if not getattr(tokenizer, "is_fast", False):
        return lambda text: tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.encode_special_tokens = True
    backend.no_truncation()
    backend.no_padding()
    return lambda text: backend.encode(text, add_special_tokens=False).ids


_PROBE = (
    "Is  x\u00b2 + 3.\n\n 1234567 (+) - \\( \\frac{1}{2} \\]\n\n caf\u00e9 \u4e2d\t yes? ",
    ("", " 12 + 30 = 42.\n\n", "It's \\[ a-b \\] \n \U0001f600"),
)


def fingerprint(encoder: Encoder) -> str:
    """Digest of the ids of a fixed question and steps. Another one means that the weights would see other tokens than before:
    the tokenizer's class, its start token, the chat template or transformers changed.
    """
    question, steps = _PROBE
    found = encoder.assemble(question, steps)
    return sha256(f"{found.ids} {found.reads}".encode()).hexdigest()[:16]


def check_fingerprint(encoder: Encoder, folder: Path) -> None:
    """Raises `InputError` where the configuration names a fingerprint and the tokenizer does not have it."""
    if encoder.config.fingerprint not in {"", fingerprint(encoder)}:
        raise InputError(
            f"the tokenizer in {folder} does not encode texts as it did in training: the checkpoint belongs to another "
            "tokenizer, chat template or version of transformers"
        )
