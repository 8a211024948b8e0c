"""One worker process of a run in parts: started, listened to, stopped. Knows a command line, not what it computes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from openr_data.pipelines.progress import EVERY_SECOND, Snapshot, read_snapshot

_LONGEST_LINE = 1 << 20
_PATIENCE = 10.0
_ERROR, _NOTE = "error: ", "note: "


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit code (negative: the signal that killed it) and the last thing it had to say."""

    code: int
    words: str

    @property
    def killed(self) -> bool:
        """By a signal, as by the system when memory runs out; not by an error of its own."""
        return self.code < 0 or self.code in {128 + signal.SIGKILL, 128 + signal.SIGSEGV, 128 + signal.SIGABRT}


@dataclass(slots=True)
class WorkerProcess:
    """`log` gets everything it says but its progress, which goes to `on_progress`; notes also go to `on_note`."""

    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    on_progress: Callable[[Snapshot], None]
    on_note: Callable[[str], None]
    on_start: Callable[[int], None]
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)
    _error: str = field(default="", init=False)
    _last: str = field(default="", init=False)

    async def run(self) -> Ended:
        """From its start to its end. Cancelling interrupts it, and kills it when that takes long."""
        self._process = process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, EVERY_SECOND: "1", **self.environment},
            start_new_session=True,  # Ctrl-C comes to it once, passed on by whoever started it
            limit=_LONGEST_LINE,
        )
        try:
            self.on_start(process.pid)
            await self._listen(process)
            return Ended(await process.wait(), self._error or self._last)
        finally:
            if process.returncode is None:
                await self._end(process)

    def interrupt(self) -> None:
        """As Ctrl-C does: the first time it finishes what is in flight, the second time it stops at once."""
        self._signal(signal.SIGINT)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        self.interrupt()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _PATIENCE)
        if process.returncode is None:
            self._signal(signal.SIGKILL)
            await process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        stream = process.stderr
        if stream is None:
            return
        with self.log.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as log:
            while True:
                try:
                    line = (await stream.readline()).decode("utf-8", "backslashreplace")
                except ValueError:  # longer than the limit: no line of ours
                    continue
                if not line:
                    return
                self._hear(line.rstrip("\n"), log.write)

    def _hear(self, line: str, write: Callable[[str], int]) -> None:
        if (snapshot := read_snapshot(line)) is not None:
            self.on_progress(snapshot)
            return
        write(f"{line}\n")
        if line.startswith(_ERROR):
            self._error = line.removeprefix(_ERROR)
        elif line.startswith(_NOTE):
            self.on_note(line.removeprefix(_NOTE))
        self._last = line or self._last
