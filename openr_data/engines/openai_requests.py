"""What is sent for one sample: the prompt, and the body as each kind of server understands it. Sends nothing itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from openr_data.engines.local_text import TextSide
from openr_data.engines.prompts import Message, PromptTemplate
from openr_data.types import Sampling, Steps

_WORD = re.compile(r"\S+\s*|^\s+")
_NO_FILTERS: Mapping[str, Mapping[str, Any]] = {
    "vllm": {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    "sglang": {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    "llamacpp": {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
}


class Requests:
    """Prompts and bodies for one model. `text` is the model's tokenizer, where it is at hand."""

    def __init__(self, model: str, api: Literal["completions", "chat"], template: PromptTemplate, text: TextSide | None) -> None:
        self.model = model
        self.template = template
        self.path = "chat/completions" if api == "chat" else "completions"
        self._chat = api == "chat"
        self._tokens = text

    def prompt(self, question: str, prefix: Steps) -> str:
        """The text that is sent; for the chat API, whose template only the server knows, the messages one after the other."""
        if self._chat:
            return _transcript(self.template.messages(question)) + self.template.steps.open(prefix)
        if self._tokens:
            return self._tokens.prompt(question, prefix)
        return self.template.render(question, prefix)

    def pieces(self, text: str) -> Sequence[str]:
        """At token boundaries where the tokenizer is at hand; words with the white space after them elsewhere."""
        return self._tokens.pieces(text) if self._tokens else _WORD.findall(text)

    def stops(self, sampling: Sampling) -> tuple[str, ...]:
        return tuple(dict.fromkeys(stop for stop in (*self.template.stop, *sampling.stop) if stop))

    def body(
        self, question: str, prefix: Steps, prompt: str, sampling: Sampling, *, kind: str, seed: int, max_tokens: int
    ) -> bytes:
        told: dict[str, Any] = {
            "model": self.model,
            **(self._messages(question, prefix) if self._chat else self._text(prompt, kind)),
            "n": 1,
            "max_tokens": max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            **_NO_FILTERS.get(kind, {}),
            "seed": seed,
        }
        if sampling.top_k > 0:
            told["top_k"] = sampling.top_k
        if stops := self.stops(sampling):
            told["stop"] = stops
        return json.dumps(told).encode()

    def _messages(self, question: str, prefix: Steps) -> dict[str, Any]:
        messages = self.template.messages(question)
        if not prefix:
            return {"messages": messages}
        begun = {"role": "assistant", "content": self.template.steps.open(prefix)}
        return {"messages": [*messages, begun], "add_generation_prompt": False, "continue_final_message": True}

    def _text(self, prompt: str, kind: str) -> dict[str, Any]:
        if self._tokens is None:
            return {"prompt": prompt}
        if kind == "vllm":  # the prompt holds its special tokens already
            return {"prompt": prompt, "add_special_tokens": False}
        opening = self._tokens.tokenizer.bos_token
        return {"prompt": prompt.removeprefix(opening) if isinstance(opening, str) else prompt}


def _transcript(messages: Sequence[Message]) -> str:
    return "".join(f"<|{message['role']}|>\n{message['content']}\n" for message in messages) + "<|assistant|>\n"
