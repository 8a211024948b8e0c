"""The words of `--help`."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc


def help_of(command: Callable[..., None]) -> str:
    """The command's own words with a line for each paragraph: the terminal breaks lines where it is narrow."""
    return "\n\n".join(" ".join(paragraph.split("\n")) for paragraph in cleandoc(command.__doc__ or "").split("\n\n"))
