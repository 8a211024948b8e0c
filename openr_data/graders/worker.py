r"""The child process that compares answers: limits on itself first, then one JSON task per line until its input ends.

The budget of a task is CPU time, kept by the kernel: a profiling timer without a handler ends the process when it runs out,
whatever it is doing, and however slow the machine is otherwise. A parent that dies closes the pipe, which ends the child.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

TASK_LIMIT = 2000
MEMORY_LIMIT = 1_500_000_000
RESIDENT_LIMIT = 400_000_000
"""A child that did this many tasks, or grew this large (bytes), leaves after its answer; the parent starts another."""

STATM = Path("/proc/self/statm")
Compare = Callable[[str, str], str]


def limit_resources() -> None:
    """No core files, no writing to files, few descriptors, no children, bounded memory."""
    import resource

    for name, value in (("CORE", 0), ("FSIZE", 0), ("NOFILE", 64), ("NPROC", 0), ("AS", MEMORY_LIMIT)):
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with suppress(OSError, ValueError):  # a limit that this system does not have; the others stand
            resource.setrlimit(kind, (allowed, allowed))


def resident_bytes() -> int:
    """What this process holds. Linux hands a parent's peak on to its children, so a peak says nothing below a large parent."""
    import resource

    with suppress(OSError):
        return int(STATM.read_bytes().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def answer_task(task: dict[str, object], compare: Compare) -> str:
    """The reason code of one task, under its CPU budget."""
    signal.setitimer(signal.ITIMER_PROF, float(str(task["cpu"])))
    try:
        return compare(str(task["answer"]), str(task["gold"]))
    except MemoryError:
        return "memory"
    except RecursionError:
        return "limit"
    except Exception:
        return "crashed"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def serve(source: BinaryIO, sink: BinaryIO, compare: Compare, *, task_limit: int = TASK_LIMIT) -> None:
    """Answer tasks until the input ends or the child has become old. `last` in a reply says that it leaves."""
    for count, line in enumerate(source, start=1):
        reason = answer_task(json.loads(line), compare)
        last = reason in ("memory", "crashed") or count >= task_limit or resident_bytes() > RESIDENT_LIMIT
        sink.write(json.dumps({"reason": reason, "last": last}).encode() + b"\n")
        sink.flush()
        if last:
            return


def main() -> None:
    """Keep the two pipes to ourselves, load the libraries, tighten the limits, say that we are ready, serve."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    try:
        from openr_data.graders.math import compare, forbid_evaluation
    except ImportError as error:
        sink.write(json.dumps({"error": str(error)}).encode() + b"\n")
        sink.flush()
        return
    forbid_evaluation()
    limit_resources()
    sink.write(b'{"ready": true}\n')
    sink.flush()
    try:
        serve(source, sink, compare)
    except (BrokenPipeError, KeyboardInterrupt):
        return


if __name__ == "__main__":
    main()
