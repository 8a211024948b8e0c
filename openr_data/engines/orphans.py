"""Ends processes that outlive their parent: vLLM's own stay, with the GPU's memory, when the program is killed with SIGKILL.

A small watcher process holds one end of a pipe. When the program ends without a word, the pipe closes, and the watcher
ends the processes it was told of. Knows processes, not engines. Does nothing where the system has no `pidfd` (Linux has).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from time import sleep

_GRACE = 5.0
_DONE = "done"


class Watcher:
    """Watches from its creation until `close`. `watch` names a process that must not outlive this one."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and file)
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is not meant for it
            text=True,
        )

    def watch(self, pid: int) -> None:
        if pid not in self._known:
            self._known.add(pid)
            self._tell(str(pid))

    def close(self) -> None:
        """The processes have been ended properly; none is touched any more."""
        self._tell(_DONE)
        self._process.communicate()

    def _tell(self, word: str) -> None:
        pipe = self._process.stdin
        try:
            if pipe is not None:
                pipe.write(f"{word}\n")
                pipe.flush()
        except BrokenPipeError:  # the watcher was killed; the program goes on without it
            return


def main() -> None:
    """The watcher's own program: read process ids, then wait for the end of the parent."""
    handles: list[int] = []
    for line in sys.stdin:
        if line.strip() == _DONE:
            return
        try:
            handles.append(os.pidfd_open(int(line)))  # a handle, unlike a number, never comes to mean another process
        except (AttributeError, OSError):
            continue
    for number, wait in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, 0.0)):
        for handle in handles:
            try:
                signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                continue
        sleep(wait if handles else 0.0)


if __name__ == "__main__":
    main()
