"""The parent's side of the workers: starts them when first needed, gives each one task at a time, kills and replaces them.

Knows nothing of grading: a task is two strings and a CPU budget, a reply is a reason code.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from openr_data.errors import OpenRDataError

START_SECONDS = 120.0
WALL_FACTOR = 30.0
"""The wall-clock net under the CPU budget, as a multiple of it: for a child that sleeps or a machine that stands still."""

_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
_KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONHOME", "VIRTUAL_ENV", "SYSTEMROOT")


class WorkerError(OpenRDataError):
    """The child process cannot be started at all: an installation fault, not a fault of an answer."""


def _environment() -> dict[str, str]:
    """Nothing secret reaches the child."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    paths = [_PACKAGE_ROOT, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return kept | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


class Worker:
    """One child process. Not for use from two threads at once, except `kill`."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "openr_data.graders.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            process_group=0,  # Ctrl-C at the terminal is for the parent
        )
        self._input, self._output = cast("IO[bytes]", self.process.stdin), cast("IO[bytes]", self.process.stdout)
        self._buffer = b""
        ready = self._line(START_SECONDS)
        if not ready or "ready" not in ready:
            self.kill()
            detail = f": {ready['error']}" if ready and "error" in ready else ""
            raise WorkerError(f"the math-verify worker did not start{detail}; install openr-data again, or use --grader exact")

    def _line(self, seconds: float) -> dict[str, object] | None:
        """The next reply; `None` when the child is gone or silent for too long."""
        descriptor = self._output.fileno()
        end = time.monotonic() + seconds
        poll = select.poll()
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                return None
            chunk = os.read(descriptor, 65536)
            if not chunk:
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        reply = json.loads(line)
        return reply if isinstance(reply, dict) else None

    def ask(self, answer: str, gold: str, cpu_seconds: float) -> tuple[str, bool]:
        """The reason code, and whether the child can take another task."""
        task = json.dumps({"answer": answer, "gold": gold, "cpu": cpu_seconds}).encode() + b"\n"
        try:
            self._input.write(task)
            self._input.flush()
            reply = self._line(cpu_seconds * WALL_FACTOR + 5)
        except OSError:
            reply = None
        if reply is not None:
            return str(reply["reason"]), not reply["last"]
        return self._post_mortem(), False

    def _post_mortem(self) -> str:
        """Why there was no reply. A child that is still alive ran into the wall clock."""
        try:
            status = self.process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            return "timeout"
        return "timeout" if status in (-signal.SIGPROF, -signal.SIGXCPU) else "crashed"

    def kill(self) -> None:
        """End the child and collect it; safe to call twice and from any thread."""
        self.process.kill()
        self.process.wait()
        for pipe in (self._input, self._output):
            with suppress(OSError):  # unsent bytes for a child that is gone
                pipe.close()


class Pool:
    """Up to as many workers as threads that call `compare` at once; none before the first call."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._lock = threading.Lock()
        self._closed = False
        self.started = 0

    def compare(self, answer: str, gold: str, cpu_seconds: float) -> str:
        """A reason code for the pair. Blocks; call it from a thread. Raises `WorkerError` when no worker can be started."""
        worker = self._take()
        reason, alive = "crashed", False
        try:
            reason, alive = worker.ask(answer, gold, cpu_seconds)
        finally:
            self._give_back(worker, alive)
        return reason

    def _take(self) -> Worker:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        if worker is None:
            worker = Worker()
            self.started += 1
        with self._lock:
            self._busy.add(worker)
            closed = self._closed
        if closed:
            self._give_back(worker, False)
            raise WorkerError("the grader was closed while it was grading")
        return worker

    def _give_back(self, worker: Worker, alive: bool) -> None:
        with self._lock:
            self._busy.discard(worker)
            keep = alive and not self._closed
            if keep:
                self._idle.append(worker)
        if not keep:
            worker.kill()

    def close(self) -> None:
        """End every worker, busy or idle. Tasks in flight come back as `crashed`."""
        with self._lock:
            self._closed = True
            idle, busy = list(self._idle), list(self._busy)
            self._idle.clear()
        for worker in idle:
            worker.kill()
        for worker in busy:
            worker.process.kill()
