"""What a server's answer is worth: a completion, a passing `Fault`, or a final error in one sentence. Sends nothing itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openr_data.engines.http_retry import Fault, retry_after
from openr_data.errors import EngineError
from openr_data.types import FinishReason

_FINISH: Mapping[str, FinishReason] = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "stop_sequence": "stop", "end_turn": "stop",
    "length": "length", "max_tokens": "length", "model_length": "length",
    "content_filter": "error", "tool_calls": "error", "function_call": "error",
}  # fmt: skip
_ENDED: Mapping[str, bool] = {"eos": True, "eos_token": True, "end_turn": True, "stop_sequence": False}
_PASSING = frozenset({408, 409, 425})
_OVERFLOW = re.compile(
    r"context[ _](?:length|size|window)|maximum (?:prompt|input) length|allowed input length|longer than the maximum model length"
    r"|max_model_len"
    r"|prompt is too long|reduce the length of the (?:messages|prompt|input)",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"(?:maximum context length (?:is|of)|context (?:length|size) \(|model length of|allowed input length of|tokens >"
    r"|max_model_len=) *(\d+)",
    re.IGNORECASE,
)
_PROMPT = re.compile(
    r"\((\d+) in the (?:messages|prompt)|(?:contains|has) (?:at least )?(\d+) input tokens|resulted in (\d+) tokens"
    r"|(?:input|request|prompt) \((?:length )?(\d+)(?: tokens)?\)|(\d+) tokens from the input"
    r"|input length (\d+)|too long: (\d+) tokens",
    re.IGNORECASE,
)
_SURROGATE = re.compile("[\ud800-\udfff]")  # alone, it cannot be written to any file
_SECRETS = re.compile(r"\b(?:sk-|hf_)[A-Za-z0-9_\-]{4,}|(?<=Bearer )\S+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice. `tokens` is `None` where the server does not count them.

    `ended`: the model ended by itself, or (`False`) met a stop string; `None` where it did neither or the server does not say.
    """

    text: str
    finish_reason: FinishReason
    tokens: int | None
    ended: bool | None


class Key(str):
    """A secret that does not show itself in a debugger's or a log's list of values."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True, slots=True)
class Source:
    """Who answered, for error sentences; `keys` are cut out of every text of the server."""

    url: str
    key_env: str
    keys: tuple[Key, ...] = ()
    model: str = ""

    def redact(self, text: str) -> str:
        for key in self.keys:
            text = text.replace(key, "***")
        return _SECRETS.sub("***", text)


class PromptTooLong(Exception):
    """The server found no room. `prompt` and `context` are tokens, where it says them."""

    def __init__(self, message: str, prompt: int | None, context: int | None) -> None:
        super().__init__(message)
        self.prompt = prompt
        self.context = context


def read_answer(status: int, headers: Mapping[str, str], body: bytes, source: Source, *, max_wait: float) -> Answer:
    """The one choice that was asked for.

    Raises `Fault` for what may pass, `PromptTooLong`, and `EngineError` for what will not.
    """
    document = _json(body)
    if status == 200 and document is not None and not document.get("error"):
        return _choice(document)
    message = source.redact(server_message(document, body))
    _raise_overflow(status, document, message)
    wait = retry_after(headers, max_wait)
    if status == 429:
        if "insufficient_quota" in str(document):
            raise EngineError(f"{source.url} says that the quota is used up: {message}")
        raise Fault("rate_limited", f"429 {message}".strip(), wait)
    if status >= 500 or status in _PASSING:
        raise Fault("unavailable", f"{status} {message}".strip(), wait)
    if status == 200:
        raise Fault("invalid", f"an error inside a good answer: {message}" if document else f"not a JSON object: {message}")
    raise EngineError(_final(status, headers, message, source))


def server_message(document: Mapping[str, Any] | None, body: bytes) -> str:
    """What the server says, on one line of at most 300 characters."""
    told: Any = body.decode("utf-8", "replace") if document is None else document
    for key in ("error", "message", "detail"):
        if isinstance(told, dict) and told.get(key):
            told = told[key]
    text = told if isinstance(told, str) else json.dumps(told)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError
        return None
    return document if isinstance(document, dict) else None


def _choice(document: Mapping[str, Any]) -> Answer:
    choices = document.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise Fault("invalid", "no list of choices")
    if [choice.get("index", i) for i, choice in enumerate(choices)] != [0]:
        raise Fault("invalid", f"{len(choices)} choices instead of one with index 0")
    choice = choices[0]
    reason = _finish(choice.get("finish_reason"))
    ended = _ended(choice) if reason == "stop" else None
    return Answer(_text(choice), reason, _tokens(document.get("usage")), ended)


def _ended(choice: Mapping[str, Any]) -> bool | None:
    """As vLLM's `stop_reason` (null: the model's own end) or `matched_stop` of SGLang (a string or an end token)."""
    if "stop_reason" in choice:
        return not isinstance(choice["stop_reason"], str)
    met = choice.get("matched_stop")
    return _ENDED.get(choice["finish_reason"]) if met is None else not isinstance(met, str)


def _text(choice: Mapping[str, Any]) -> str:
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else choice.get("text")
    if not isinstance(text, str):
        hidden = isinstance(message, dict) and (message.get("reasoning") or message.get("reasoning_content"))
        raise Fault(
            "invalid", "its text is not in the content (start the server without a reasoning parser)" if hidden else "no text"
        )
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def _finish(reason: object) -> FinishReason:
    if not isinstance(reason, str) or reason not in _FINISH:
        raise Fault("invalid", f"finish_reason {str(reason)[:40]!r}")
    return _FINISH[reason]


def _tokens(usage: object) -> int | None:
    return _count(usage.get("completion_tokens")) if isinstance(usage, dict) else None


def _count(count: object) -> int | None:
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None


def _raise_overflow(status: int, document: Mapping[str, Any] | None, message: str) -> None:
    error = (document or {}).get("error")
    details: Mapping[str, Any] = error if isinstance(error, dict) else {}
    named = {"context_length_exceeded", "exceed_context_size_error"} & {str(details.get("code")), str(details.get("type"))}
    if named or (status in {200, 400, 413, 422} and _OVERFLOW.search(message)):
        prompt, context = _count(details.get("n_prompt_tokens")), _count(details.get("n_ctx"))
        raise PromptTooLong(message, prompt or _first(_PROMPT, message), context or _first(_CONTEXT, message))


def _first(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return next((int(group) for group in match.groups() if group), None) if match else None


def _final(status: int, headers: Mapping[str, str], message: str, source: Source) -> str:
    url, said = source.url, f": {message}" if message else ""
    if status in {401, 403}:
        key = f"the key in {source.key_env}" if source.keys else f"a request without a key (set {source.key_env})"
        return f"{url} refused {key} ({status}){said}"
    if status == 404:
        return f"{url} has no model '{source.model}', or the base URL is wrong (it usually ends in /v1) (404){said}"
    if 300 <= status < 400:
        return f"{url} redirects ({status}), which is not followed; give the address it points to as --base-url"
    return f"{url} refused the request ({status}){said}"
