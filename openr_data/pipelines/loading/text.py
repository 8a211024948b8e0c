"""How a loaded data set shows itself: a few lines for a console, a small table for a notebook. Everything in it is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from openr_data.problems.reject import printable
from openr_data.types import NO_ERROR

if TYPE_CHECKING:
    from openr_data.pipelines.loading.corpus import Info
    from openr_data.store.read import ItemRecords
    from openr_data.types import LabeledSolution, Solution

_LONGEST = 300
_COLOURS = {True: "#1a7f37", False: "#cf222e", None: "#9a6700"}
"""Of text on white and on black grounds alike."""


def facts(info: Info) -> list[tuple[str, str]]:
    """Name and value; without what is not known."""
    what = {"run": f"run of {info.command}", "published": "published data set", "file": f"file in the layout {info.layout}"}
    what |= {"folder": f"folder in the layout {info.layout}", "export": f"export in the layout {info.layout}"}
    rows = [
        (what.get(info.kind, info.kind), info.location),
        ("method", info.method),
        ("engine", info.engine),
        ("revision", info.revision),
        ("splits", ", ".join(info.splits)),
        ("rows", ", ".join(f"{count:,} {name}" for name, count in info.rows.items())),
        ("left out", ", ".join(f"{count:,} {reason}" for reason, count in info.rejected.items())),
        ("complete", "" if info.complete else "no: only what is finished so far"),
    ]
    return [(name, printable(value)) for name, value in rows if value]


def as_text(info: Info) -> str:
    (what, where), *more = facts(info)
    width = max(len(name) for name, _ in more)
    return "\n".join([f"Corpus: {what} {where}", *(f"  {name:<{width}}  {value}" for name, value in more)])


def as_html(info: Info, example: ItemRecords | None) -> str:
    """The facts, and a problem with one solution, its steps coloured by label."""
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts(info)
    )
    plain = "class='tex2jax_ignore mathjax_ignore'"  # a dollar sign in a text of a model is no beginning of mathematics
    return f"<div {plain}><table>{cells}</table>{_example(example) if example else ''}</div>"


def _example(item: ItemRecords) -> str:
    shown: LabeledSolution | None = next((one for one in item.labeled if one.first_error not in {None, NO_ERROR}), None)
    shown = shown or next(iter(item.labeled), None)
    solution: Solution | None = shown.solution if shown else next(iter(item.solutions), None)
    question = f"<p><b>{escape(_short(item.problem.id))}</b> {escape(_short(item.problem.question))}</p>"
    if solution is None:
        return question
    labels = shown.hard_labels if shown else (None,) * len(solution.steps)
    values = [estimate and estimate.value for estimate in shown.estimates] if shown and shown.estimates else [None] * len(labels)
    rows = "".join(
        f"<tr><td>{number}</td><td>{'' if value is None else f'{value:.2f}'}</td>"
        f"<td style='text-align:left;color:{_COLOURS[label] if shown else 'inherit'}'>{escape(_short(step))}</td></tr>"
        for number, (step, label, value) in enumerate(zip(solution.steps, labels, values, strict=True), start=1)
    )
    return f"{question}<table><tr><th></th><th>value</th><th style='text-align:left'>step</th></tr>{rows}</table>"


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
