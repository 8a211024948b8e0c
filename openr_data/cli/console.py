"""The two consoles: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from rich.console import Console

out = Console(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)


def print_json(value: Mapping[str, object]) -> None:
    """One JSON object on standard output, for programs."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")
    sys.stdout.flush()


def fail(message: str) -> None:
    """One line that says what went wrong; `message` may hold text of a model or a server, so no markup is read."""
    err.print("error: " + plain(" ".join(message.split())), style="bold red", markup=False, soft_wrap=True)


def warn(message: str) -> None:
    err.print("note: " + plain(message), style="yellow", markup=False, soft_wrap=True)


def plain(text: str) -> str:
    r"""Text of a model, a file or a server: control characters, which a terminal would obey, become visible.

    >>> plain("\x1b[31mred")
    '\\x1b[31mred'
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
