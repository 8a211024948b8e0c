"""What the server of `faultserver.py` can answer: one right way and every wrong one, by name."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faultserver import FaultServer, Seen


@dataclass
class Reply:
    server: FaultServer
    seen: Seen | None
    writer: asyncio.StreamWriter

    async def send(self, status: int, body: str | bytes, **headers: str) -> None:
        data = body if isinstance(body, bytes) else body.encode()
        told = {"content-type": "application/json", "content-length": str(len(data))}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self.writer.write(f"HTTP/1.1 {status} Something\r\n{lines}\r\n".encode() + data)
        await self.writer.drain()

    async def error(self, status: int, message: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        await self.send(status, json.dumps({"error": {"message": message, **more}}), **(headers or {}))

    def document(self, *, finish: Any = "stop", **changes: Any) -> dict[str, Any]:
        """A good answer. `changes` replace keys of the document; `text` and `choices` its content."""
        assert self.seen is not None
        payload = self.seen.payload
        text = changes.pop("text", None) or self.server.write(payload)
        words = text.split(" ")
        if len(words) > payload["max_tokens"]:
            text, words, finish = " ".join(words[: payload["max_tokens"]]), words[: payload["max_tokens"]], "length"
        usage = {"prompt_tokens": 1, "completion_tokens": len(words), "total_tokens": 1 + len(words)}
        return {"choices": [self.choice(text, finish=finish)], "usage": usage, **changes}

    def choice(self, text: Any, *, index: int = 0, finish: Any = "stop") -> dict[str, Any]:
        assert self.seen is not None
        said = (
            {"message": {"role": "assistant", "content": text}} if self.seen.path.endswith("chat/completions") else {"text": text}
        )
        return {"index": index, "finish_reason": finish, **said}

    async def ok(self, **changes: Any) -> None:
        await self.send(200, json.dumps(self.document(**changes)))


Behaviour = Callable[[Reply, str], Awaitable[bool | None]]


def _error(status: int, message: str, **more: Any) -> Behaviour:
    async def answer(reply: Reply, argument: str) -> None:
        await reply.error(status, message, headers={"retry_after": argument} if argument else {}, **more)

    return answer


def _document(make: Callable[[Reply], Any]) -> Behaviour:
    async def answer(reply: Reply, argument: str) -> None:
        await reply.send(200, json.dumps(make(reply)))

    return answer


def _body(make: Callable[[Reply], bytes], content_type: str = "application/json", status: int = 200) -> Behaviour:
    async def answer(reply: Reply, argument: str) -> None:
        await reply.send(status, make(reply), content_type=content_type)

    return answer


async def _ok(reply: Reply, argument: str) -> None:
    await reply.ok()


async def _says(reply: Reply, argument: str) -> None:
    """A right answer whose choice has more keys, or others: `argument` is a JSON object of them."""
    document = reply.document()
    document["choices"][0] |= json.loads(argument)
    await reply.send(200, json.dumps(document))


async def _slow(reply: Reply, argument: str) -> None:
    await asyncio.sleep(float(argument or 1))
    await reply.ok()


async def _hang(reply: Reply, argument: str) -> None:
    await asyncio.sleep(3600)


async def _close(reply: Reply, argument: str) -> bool:
    return False


async def _reset(reply: Reply, argument: str) -> bool:
    """An RST instead of an orderly end: the socket's lingering is switched off."""
    sock: socket.socket = reply.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    reply.writer.transport.abort()
    return False


async def _short_body(reply: Reply, argument: str) -> bool:
    body = json.dumps(reply.document()).encode()
    await reply.send(200, body[: len(body) // 2], content_length=str(len(body)))
    return False


async def _drip(reply: Reply, argument: str) -> None:
    body = json.dumps(reply.document()).encode()
    reply.writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode())
    for at in range(len(body)):
        reply.writer.write(body[at : at + 1])
        await reply.writer.drain()
        await asyncio.sleep(float(argument or 0.05))


async def _chunked(reply: Reply, argument: str) -> bool:
    body = json.dumps(reply.document()).encode()
    reply.writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    reply.writer.write(b"%x\r\n%s\r\n" % (len(body), body) + (b"0\r\n\r\n" if argument != "cut" else b""))
    await reply.writer.drain()
    return argument != "cut"


async def _huge(reply: Reply, argument: str) -> None:
    await reply.ok(text="x" * int(argument or 17 << 20))


async def _late_date(reply: Reply, argument: str) -> None:
    await reply.error(429, "slow down", headers={"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"})


async def _milliseconds(reply: Reply, argument: str) -> None:
    await reply.error(429, "slow down", headers={"retry_after_ms": argument or "20"})


async def _redirect(reply: Reply, argument: str) -> None:
    await reply.send(307, b"", location="http://127.0.0.1:9/v1/completions")


async def _echo_key(reply: Reply, argument: str) -> None:
    assert reply.seen is not None
    key = reply.seen.headers.get("authorization", "").removeprefix("Bearer ")
    await reply.error(int(argument or 401), f"Incorrect API key provided: {key}. Authorization: Bearer {key}")


async def _room(reply: Reply, argument: str) -> None:
    """A server that counts the tokens asked for against the context, as older vLLM servers do."""
    assert reply.seen is not None
    wanted, context, prompt = reply.seen.payload["max_tokens"], 100, 100 - int(argument or 7)
    if prompt + wanted <= context:
        return await reply.ok()
    told = f"requested {prompt + wanted} tokens ({prompt} in the messages, {wanted} in the completion)"
    return await reply.error(400, f"This model's maximum context length is {context} tokens. However, you {told}.")


async def _room_newer(reply: Reply, argument: str) -> None:
    """A server that fills the room that is left by itself, but refuses to be asked for more than its whole context."""
    assert reply.seen is not None
    wanted, context = reply.seen.payload["max_tokens"], int(argument or 100)
    if wanted <= context:
        return await reply.ok()
    return await reply.error(400, f"max_tokens={wanted} cannot be greater than max_model_len={context}. (parameter=max_tokens)")


OVERFLOWS: Mapping[str, Behaviour] = {
    "overflow_vllm": _error(
        400,
        "This model's maximum context length is 4096 tokens. However, your prompt contains at least 4097 input tokens, which "
        "exceeds this limit even without any output tokens. Please reduce the length of the input prompt.",
    ),
    "overflow_vllm_old": _error(
        400,
        "This model's maximum context length is 4096 tokens. However, you requested 5100 tokens (5000 in the messages, 100 in "
        "the completion). Please reduce the length of the messages or completion.",
    ),
    "overflow_openai": _error(
        400,
        "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens.",
        code="context_length_exceeded",
    ),
    "overflow_llamacpp": _error(
        400,
        "the request exceeds the available context size, try increasing it",
        type="exceed_context_size_error",
        n_prompt_tokens=5000,
        n_ctx=4096,
    ),
    "overflow_sglang": _error(400, "The input (5000 tokens) is longer than the model's context length (4096 tokens)."),
    "overflow_sglang_total": _error(
        400,
        "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of 5100 tokens: "
        "5000 tokens from the input messages and 100 tokens for the completion.",
    ),
}

FAULTS: Mapping[str, Behaviour] = {
    "ok": _ok,
    "says": _says,
    "slow": _slow,
    "hang": _hang,
    "close": _close,
    "reset": _reset,
    "short_body": _short_body,
    "drip": _drip,
    "chunked": _chunked,
    "429": _error(429, "slow down"),
    "429_date": _late_date,
    "429_ms": _milliseconds,
    "quota": _error(429, "You exceeded your current quota", code="insufficient_quota"),
    "408": _error(408, "too slow"),
    "500": _error(500, "it broke"),
    "502": _body(lambda _: b"<html>bad gateway</html>", "text/html", 502),
    "503": _error(503, "busy"),
    "529": _error(529, "overloaded"),
    "400": _error(400, "temperature must be less than 9000"),
    "401": _echo_key,
    "404": _error(404, "The model `other` does not exist.", code=404),
    "redirect": _redirect,
    "room": _room,
    "room_newer": _room_newer,
    **OVERFLOWS,
    "truncated_json": _body(lambda r: json.dumps(r.document()).encode()[:-9]),
    "html_as_json": _body(lambda _: b"<html>hello</html>"),
    "html": _body(lambda _: b"<html>hello</html>", "text/html"),
    "bad_utf8": _body(lambda r: json.dumps(r.document()).encode().replace(b"Step", b"\xff\xfe\xfa", 1)),
    "deep_json": _body(lambda _: b"[" * 200_000),
    "huge": _huge,
    "not_object": _document(lambda r: [r.document()]),
    "error_in_200": _document(lambda _: {"error": {"message": "engine died", "code": 500}}),
    "no_choices": _document(lambda r: {**r.document(), "choices": []}),
    "null_choices": _document(lambda r: {**r.document(), "choices": None}),
    "two_choices": _document(lambda r: {**r.document(), "choices": [r.choice("a"), r.choice("b", index=1)]}),
    "same_index": _document(lambda r: {**r.document(), "choices": [r.choice("a"), r.choice("b")]}),
    "wrong_index": _document(lambda r: {**r.document(), "choices": [r.choice("a", index=3)]}),
    "null_text": _document(lambda r: {**r.document(), "choices": [r.choice(None)]}),
    "reasoning": _document(
        lambda r: {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": None, "reasoning": "42"}}]}
    ),
    "number_text": _document(lambda r: {**r.document(), "choices": [r.choice(42)]}),
    "empty": _document(lambda r: {**r.document(), "choices": [r.choice("")]}),
    "null_finish": _document(lambda r: r.document(finish=None)),
    "odd_finish": _document(lambda r: r.document(finish="abort")),
    "content_filter": _document(lambda r: r.document(finish="content_filter")),
    "length": _document(lambda r: r.document(finish="length")),
    "surrogate": _document(lambda r: r.document(text="a\ud800b")),
    "nul": _document(lambda r: r.document(text="a\0b")),
    "no_usage": _document(lambda r: {"choices": r.document()["choices"]}),
    "bad_usage": _document(lambda r: r.document(usage={"completion_tokens": "many"})),
    "stop_left_in": _document(lambda r: r.document(text="kept\n\nQuestion: and this is not")),
}
"""What a POST can get. An argument after a colon: seconds of `Retry-After` for a status, seconds for `slow` and `drip`, ..."""
