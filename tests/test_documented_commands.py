"""Every command line of the documents names a command and options that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from openr_data.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/rl.md", "docs/roadmap.md", "docs/builtin_policy.md", "CONTRIBUTING.md")
pytestmark = pytest.mark.checkout


def lines(page: str) -> Iterator[str]:
    """Command lines of fenced blocks, without comments; a line that ends in a backslash goes on."""
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:^|\s)openr-data ([a-z].*)", line.split("  #")[0].split(" | ")[0])
            if found:
                yield found.group(1)


def parts(line: str) -> tuple[Any, list[str]]:
    """The command and the words behind its name."""
    command: Any = typer.main.get_command(app)
    words = line.split()
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    return command, words


EVERY = [(page, line) for page in PAGES if (ROOT / page).is_file() for line in lines(page)]


@pytest.mark.parametrize(("page", "line"), EVERY)
def test_it_is_a_command_with_these_options(page: str, line: str) -> None:
    command, words = parts(line)
    assert not hasattr(command, "commands"), f"{line!r} names no command"
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    assert {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)} <= known


def test_there_are_some() -> None:
    assert {page for page, _ in EVERY} >= {"README.md", "docs/rl.md", "docs/roadmap.md"}
    assert len(EVERY) > 40
