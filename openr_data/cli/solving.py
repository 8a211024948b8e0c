"""How a search looks in a terminal: the best prefixes while it runs, and the choice, its rivals and the bill at its end."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from openr_data.cli.console import err
from openr_data.cli.console import out as console
from openr_data.cli.show import colour, visible

if TYPE_CHECKING:
    from openr_data.pipelines.evaluating.live import Solved
    from openr_data.search.base import Path

_SHOWN = 12
"""Lines of the live view."""


@contextmanager
def watching(question: str, *, scored: bool) -> Iterator[Callable[[Path], None]]:
    """A live view on standard error: the latest steps as they are scored. Nothing where that is no terminal."""
    if not err.is_terminal:
        yield lambda _: None
        return
    board = _Board(question, scored=scored)
    with Live(board.render(), console=err, refresh_per_second=10, transient=True) as live:

        def watch(path: Path) -> None:
            board.add(path)
            live.update(board.render())

        yield watch


class _Board:
    def __init__(self, question: str, *, scored: bool) -> None:
        self._question, self._scored = question, scored
        self._lines: list[Text] = []
        self._seen = self._done = 0

    def add(self, path: Path) -> None:
        if self._scored and not path.margins and not path.unscored:
            return  # it comes again with its score
        self._seen += 1
        self._done += path.end == "finished"
        self._lines = [*self._lines[-_SHOWN + 1 :], _line(path)]

    def render(self) -> Group:
        head = f"{self._seen} prefixes, {self._done} solutions"
        return Group(visible(self._question, "bold"), *self._lines, Text(head, style="dim"))


def _line(path: Path) -> Text:
    """The last step of a prefix under its depth and score."""
    value = probability(path.margins[-1]) if path.margins else None
    text = Text(f"{len(path.steps):>3} {'' if value is None else format(value, '.2f'):>5}  ", style="dim", no_wrap=True)
    text.append_text(visible(path.steps[-1] if path.steps else "", colour(value)))
    text.truncate(max(20, err.width), overflow="ellipsis")
    return text


def show_solved(solved: Solved) -> None:
    """The chosen solution, the answers with their votes, and what was spent."""
    console.print(visible(solved.question, "bold"), soft_wrap=not console.is_terminal)
    if solved.choice is not None:
        console.print(_steps(solved, solved.choice))
    console.print(_answers(solved))
    bill = solved.found.bill
    spent = f"{bill.generated:,} tokens generated in {bill.requests:,} samples, {bill.discarded:,} of them discarded"
    more = f"; {bill.prm:,} read by the process reward model" if bill.prm else ""
    console.print(Text(spent + more, style="dim"))
    if solved.found.stopped:
        console.print(Text("the token cap ended the search", style="yellow"))
    if solved.choice is None:
        more = "" if any(path.forced for path in solved.found.candidates) else ", or use --force-answer"
        console.print(Text(f"no candidate came to an answer: raise --max-tokens or the cap{more}", style="yellow"))


def _steps(solved: Solved, choice: int) -> Table:
    path = solved.found.candidates[choice]
    table = Table(box=None, pad_edge=False, show_header=bool(path.margins), header_style="dim")
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("p(+)" if path.margins else "", justify="right", no_wrap=True)
    table.add_column("step", overflow="fold")
    values: Sequence[float | None] = [probability(each) for each in path.margins] or [None] * len(path.steps)
    for number, (step, value) in enumerate(zip(path.steps, values, strict=True), 1):
        table.add_row(str(number), "" if value is None else f"{value:.2f}", visible(step, colour(value)))
    return table


def _answers(solved: Solved) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("answer", "candidates", solved.selector):
        table.add_column(name, justify="left" if name == "answer" else "right")
    ordered = sorted(solved.answers, key=lambda each: (each.weight or 0.0, each.votes), reverse=True)
    for each in ordered:
        style = "bold green" if each == solved.winner else ""
        weight = "" if each.weight is None else f"{each.weight:.3g}"
        table.add_row(visible(each.text, style), str(each.votes), weight)
    none = sum(text is None for text in solved.texts)
    if none:
        table.add_row(Text("no answer", style="dim"), str(none), "")
    return table


def show_json(solved: Solved) -> None:
    """One line."""
    told = {
        "question": solved.question,
        "answer": None if solved.choice is None else solved.texts[solved.choice],
        "steps": None if solved.choice is None else list(solved.found.candidates[solved.choice].steps),
        "selector": solved.selector,
        "answers": [asdict(each) for each in solved.answers],
        "candidates": [
            {"steps": list(path.steps), "margins": list(path.margins), "end": path.end, "answer": text, "tokens": path.tokens}
            for path, text in zip(solved.found.candidates, solved.texts, strict=True)
        ],
        "bill": asdict(solved.found.bill),
        "stopped": solved.found.stopped,
    }
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def probability(margin: float) -> float:
    from openr_data.aggregate import sigmoid

    return sigmoid(margin)
