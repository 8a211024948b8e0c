"""A loopback server that speaks the OpenAI API and can be told to misbehave: right answers, and 45 kinds of wrong ones.

    with fault_server(["429:0.05", "reset", "ok"]) as server:
        ... EngineLimits(base_urls=(server.url,)) ...

`plan` names what each POST gets, in order of arrival; the last name repeats. Or it is a function of the request. Right answers
are chains (`openr_data.engines.chain`) drawn with the request's seed, so they are deterministic and can be judged.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from faults import FAULTS, OVERFLOWS, Reply

from openr_data.engines.chain import chain_of, continue_chain, state_of
from openr_data.engines.script import Script

__all__ = ["FAULTS", "OVERFLOWS", "FaultServer", "Plan", "Seen", "Write", "fault_server", "free_port", "write_chain"]


@dataclass
class Seen:
    """One POST, as it arrived. `aborted`: the client hung up before its answer was written."""

    path: str
    headers: Mapping[str, str]
    payload: dict[str, Any]
    number: int
    at: float
    aborted: bool = False


Plan = Sequence[str] | Callable[[Seen], str]
Write = Callable[[dict[str, Any]], str]


def write_chain(payload: dict[str, Any]) -> str:
    """The rest of the chain that the prompt asks for, drawn with the seed."""
    prompt = payload.get("prompt") or "\n".join(str(m["content"]) for m in payload["messages"])
    chain = chain_of(prompt)
    return "\n\n".join(continue_chain(chain, Script(error=(0.2,)), state_of(chain, prompt), Random(payload["seed"]).random))


@dataclass
class FaultServer:
    plan: Plan
    write: Write = write_chain
    models: Sequence[Mapping[str, Any]] = ({"id": "test-model", "owned_by": "vllm"},)
    models_status: int = 200
    mute: bool = False
    seen: list[Seen] = field(default_factory=list)
    greetings: list[Mapping[str, str]] = field(default_factory=list)
    connections: int = 0
    in_flight: int = 0
    peak: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def has_seen(self, requests: int) -> bool:
        return len(self.seen) >= requests

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if method == "GET":
            self.greetings.append(headers)
            if self.mute:
                await asyncio.sleep(3600)
            await Reply(self, None, writer).send(self.models_status, json.dumps({"object": "list", "data": list(self.models)}))
            return True
        seen = Seen(path, headers, json.loads(body), len(self.seen), time.monotonic())
        self.seen.append(seen)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await self._answer(seen, reader, writer)
        finally:
            self.in_flight -= 1

    async def _answer(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        name = self.plan(seen) if callable(self.plan) else self.plan[min(seen.number, len(self.plan) - 1)]
        kind, _, argument = name.partition(":")
        answer = asyncio.ensure_future(FAULTS[kind](Reply(self, seen, writer), argument))
        hung_up = asyncio.ensure_future(reader.read(1))  # clients do not pipeline: bytes or an end here mean that it is gone
        await asyncio.wait({answer, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            seen.aborted = True
            answer.cancel()
            return False
        hung_up.cancel()
        await asyncio.gather(hung_up, return_exceptions=True)
        return answer.result() is not False


@contextmanager
def fault_server(plan: Plan = ("ok",), **options: Any) -> Iterator[FaultServer]:
    """A server in a thread of its own, on a free port, until the context ends."""
    server = FaultServer(plan, **options)
    loop = asyncio.new_event_loop()
    started = threading.Event()
    stop = asyncio.Event()

    async def run() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=1 << 24)
        server.port = listening.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        listening.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def main() -> None:
        with suppress(ConnectionError):
            loop.run_until_complete(run())
        loop.close()

    thread = threading.Thread(target=main, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
