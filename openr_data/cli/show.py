"""How a labelled solution looks on a terminal: coloured steps with their values and counts. Model text is shown verbatim."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from openr_data.cli.console import plain
from openr_data.types import NO_ERROR, LabeledSolution, Node, Problem, Solution

_GOOD, _DOUBTFUL = 0.75, 0.4
_VERDICT = {"right": "green", "wrong": "red", "unknown": "yellow"}


def show_problem(console: Console, problem: Problem) -> None:
    console.print(visible(f"problem {problem.id}", "bold"))
    _print_text(console, visible(problem.question))
    console.print(Text("reference answer  ", style="dim") + visible(problem.answer))


def show_labeled(console: Console, labeled: LabeledSolution) -> None:
    """One line per step: its number, value, counts, and text; green before the first error, red from it on,
    yellow where that is not certain.

    `good` is the probability that the step stands before the first error, where the method has one. Published labels have no
    counts.
    """
    console.print(Text.assemble(("solution ", "bold"), visible(labeled.solution.id), "  ", verdict(labeled.solution)))
    console.print(_steps(labeled))
    cost = labeled.cost
    paid = f", {cost.rollouts} rollouts, {cost.tokens:,} tokens" if any(labeled.labels) or cost.rollouts else ""
    console.print(visible(f"{conclusion(labeled)}  ({labeled.method}{paid})", "dim"))
    if "judge_votes" in labeled.notes:
        console.print(visible(judgement(labeled), "dim"))


def _steps(labeled: LabeledSolution) -> Table:
    steps = labeled.solution.steps
    estimates = labeled.estimates or (None,) * len(steps)
    counted = any(labeled.labels)
    graded = any(estimate and estimate.good is not None for estimate in estimates)
    table = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
    for name in ("", "value", *(("hits",) if counted else ()), *(("good",) if graded else ())):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("step")
    for index, (step, label, estimate) in enumerate(zip(steps, labeled.labels, estimates, strict=True)):
        mark = "x" if index == labeled.first_error else ""
        value = f"{estimate.value:.2f}" if estimate else f"{label.value:.2f}" if label else ""
        counts = ((f"{label.hits}/{label.rollouts}" if label else ""),) if counted else ()
        good = (_probability(estimate.good if estimate else None),) if graded else ()
        table.add_row(f"{mark} {index + 1}", value, *counts, *good, visible(step, _style(labeled, index)))
    return table


def show_solution(console: Console, solution: Solution) -> None:
    console.print(Text.assemble(("solution ", "bold"), visible(solution.id), "  ", verdict(solution)))
    for index, step in enumerate(solution.steps):
        _print_text(console, Text.assemble((f"{index + 1:>3}  ", "dim"), visible(step)))


def show_nodes(console: Console, nodes: tuple[Node, ...], limit: int) -> None:
    """The measured prefixes with the first rollouts of each."""
    for node in nodes:
        unknown = len(node.rollouts) - node.decided
        counts = f"{node.hits}/{node.decided}" + (f" ({unknown} unknown)" if unknown else "")
        last = visible(node.prefix[-1]) if node.prefix else Text("(the question alone)", style="dim")
        _print_text(console, Text.assemble((f"prefix of {len(node.prefix)} steps  ", "bold"), f"{counts}  ", last))
        for rollout in node.rollouts[:limit]:
            style = _VERDICT[rollout.verdict.outcome]
            text = " / ".join(rollout.completion.text.splitlines())
            _print_text(console, Text.assemble((f"     {rollout.verdict.outcome:<8}", style), visible(text, "dim")))


def _print_text(console: Console, text: Text) -> None:
    """Broken between words on a terminal; whole lines in a file or a pipe, where they are searched."""
    console.print(text, soft_wrap=not console.is_terminal)


def _style(labeled: LabeledSolution, index: int) -> str:
    if labeled.hard:  # as published, also after the first error
        return {True: "green", False: "red", None: "yellow"}[labeled.hard[index]]
    return step_style(None if labeled.reason == "uncertain" else labeled.first_error, index)


def step_style(first_error: int | None, index: int) -> str:
    """The colour of a step: decided right, decided wrong, or not decided."""
    if first_error is None:
        return "yellow"
    return "green" if first_error == NO_ERROR or index < first_error else "red"


def conclusion(labeled: LabeledSolution) -> str:
    sure = "" if labeled.confidence is None else f", probability {labeled.confidence:.2f}"
    if labeled.first_error is None:
        return f"not decided: {labeled.reason}{sure}"
    if labeled.first_error == NO_ERROR:
        return f"no wrong step: {labeled.reason}{sure}"
    return f"first wrong step: {labeled.first_error + 1} ({labeled.reason}{sure})"


def judgement(labeled: LabeledSolution) -> str:
    """What the judge and the rollouts said, steps counted from 1 as in the table."""

    def step(name: str) -> str:
        place = labeled.notes.get(name, "")
        return "nothing" if not place else "no wrong step" if int(place) == NO_ERROR else f"step {int(place) + 1}"

    return f"judge: {step('judge')} (votes, from 0: {labeled.notes['judge_votes']}); rollouts: {step('mc')}"


def _probability(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def verdict(solution: Solution) -> Text:
    outcome = solution.verdict.outcome
    return visible(f"{outcome} answer ({solution.verdict.reason})", _VERDICT[outcome])


def visible(text: str, style: str = "") -> Text:
    """Text of a model or a file: control characters (a terminal would obey them) become visible, no markup is read."""
    return Text(plain(text), style=style)


def colour(value: float | None) -> str:
    """Of a step by the probability that it is good; none where that is not known."""
    if value is None:
        return ""
    return "green" if value >= _GOOD else "yellow" if value >= _DOUBTFUL else "red"
