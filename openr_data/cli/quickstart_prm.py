"""The last part of the quickstart on a terminal: the process reward model and its table of best of n."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from openr_data.cli.progress import duration
from openr_data.store.codecs import plain_config

if TYPE_CHECKING:
    from rich.console import Console

    from openr_data.pipelines.prm.evaluation.best_of_n import BestOfNReport
    from openr_data.pipelines.quickstart_prm import PRMReport
    from openr_data.prm.intervals import Interval

_ROWS = ("pass@n", "majority", "min", "product", "min-vote", "mean-vote")


def show_prm(console: Console, found: PRMReport) -> None:
    steps, chosen = found.steps, found.best_of_n
    console.print()
    console.print(best_of_n(chosen))
    console.print(
        f"[dim]Percent of {chosen.questions} new problems that are right: one of n is (pass@n), the most frequent answer, the "
        "solution with the best weakest step or product of steps, and the answer with the most votes weighted so; lift: points "
        "above the majority, with a 95 % range. The process reward model (--head likelihood) was trained on "
        f"{found.rows:,} adaptive labels in {duration(found.seconds)}, without the oracle. Against the oracle, its step scores "
        f"have an AUROC of {_between(steps.auroc)}, and it names the first wrong step of {_percent(steps.exact)} of the wrong "
        "solutions.[/]"
    )
    console.print(f"Its report, with figures: {found.evaluation}/report.md", markup=False)
    console.print()


def prm_json(found: PRMReport) -> dict[str, Any]:
    """The numbers; the curves of single steps are in the report's own files."""
    steps = {name: plain_config(getattr(found.steps, name)) for name in ("auroc", "exact", "questions", "solutions")}
    rest = {name: getattr(found, name) for name in ("out", "evaluation", "rows", "seconds")}
    return {**rest, "steps": steps, "best_of_n": plain_config(found.best_of_n)}


def best_of_n(report: BestOfNReport) -> Table:
    """Fits a terminal of 80 columns."""
    table = Table(title="Best of n", title_justify="left", box=box.SIMPLE_HEAD, header_style="bold")
    table.padding, table.pad_edge = (0, 1, 0, 0), False
    table.add_column("chosen by", no_wrap=True)
    for size in report.sizes:
        table.add_column(f"n={size}", justify="right", no_wrap=True)
    table.add_column(f"lift, n={report.sizes[-1]}", justify="right", no_wrap=True)
    for name in _ROWS:
        points = report.curves[name]
        lift = "" if name in {"pass@n", "majority"} else _lift(points[-1].lift)
        table.add_row(name, *(f"{100 * point.accuracy.value:.1f}" for point in points), lift)
    return table


def _lift(found: Interval) -> str:
    if found.low is None or found.high is None:
        return f"{100 * found.value:+.1f}"
    return f"{100 * found.value:+.1f} [{100 * found.low:+.0f}, {100 * found.high:+.0f}]"


def _between(found: Interval | None) -> str:
    return "-" if found is None else f"{found.value:.3f}"


def _percent(found: Interval | None) -> str:
    return "-" if found is None else f"{100 * found.value:.0f} %"
