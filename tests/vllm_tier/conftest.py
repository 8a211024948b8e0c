"""One in-process engine and one server for all tests of the real-vLLM tier; without vLLM installed nothing here is collected."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.builtin import WEIGHTS
from openr_data.engines.vllm import VllmEngine, installed, open_vllm

collect_ignore_glob = [] if installed() else ["test_*.py"]

START_SECONDS = 400.0
CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
"""Turns messages into what the built-in model was trained on: the question, which ends its line, and the steps so far."""


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """The event loop that the engine belongs to."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def engine(runner: asyncio.Runner) -> Iterator[VllmEngine]:
    """Single precision: its samples do not depend on what else is in the batch, nor on which library multiplies."""
    opened = open_vllm(EngineSpec("vllm", str(WEIGHTS), dtype="float32"), EngineLimits(slots=64))
    engine = runner.run(opened.__aenter__())
    assert isinstance(engine, VllmEngine)
    yield engine
    runner.run(opened.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a real vLLM server with the built-in model."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "chat.jinja").write_text(CHAT_TEMPLATE, "utf-8")
    with _serving(lambda port: _server_command(port, folder / "chat.jinja"), folder / "server.log") as url:
        yield url


Serving = Callable[[Callable[[int], Sequence[str]], Path], AbstractContextManager[str]]


@pytest.fixture(scope="session")
def serving() -> Serving:
    """Runs the server of a command, which is told the port, and gives its base URL; what it says goes to a file."""
    return _serving


@contextmanager
def _serving(command: Callable[[int], Sequence[str]], log: Path) -> Iterator[str]:
    port = _free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(command(port), stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            _wait_until_healthy(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """A server that is still starting does not always hear that it shall end; its engine's processes are of its session."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _server_command(port: int, chat_template: Path) -> list[str]:
    """Chunked prefill is off because a seeded request that is prefilled in chunks kills vLLM on a CPU."""
    return [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(WEIGHTS)),
        *("--host", "127.0.0.1", "--port", str(port), "--enforce-eager", "--no-enable-chunked-prefill", "--dtype", "float32"),
        *("--chat-template", str(chat_template), "--max-num-seqs", "64"),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            if httpx.get(url, timeout=2.0).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    pytest.fail("the vLLM server did not start:\n" + log.read_text("utf-8", "replace")[-4000:])
