"""Which solutions to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from openr_data.pipelines.selection import Choice

_PANEL = "Which solutions (all conditions hold)"
_SHOWN = "How many"
_VALUE = "With a step whose value is at {} this."


@dataclass(frozen=True, slots=True)
class ChoiceOptions:
    problem: Annotated[str, typer.Option("--problem", help="Those of this problem id.", rich_help_panel=_PANEL)] = ""
    solution: Annotated[str, typer.Option("--solution", help="The one with this id.", rich_help_panel=_PANEL)] = ""
    first_error: Annotated[
        str,
        typer.Option(
            "--first-error", help="none, undecided, any, or the number of the first wrong step, from 1.", rich_help_panel=_PANEL
        ),
    ] = ""
    min_value: Annotated[
        float | None, typer.Option("--min-value", help=_VALUE.format("least"), rich_help_panel=_PANEL, show_default=False)
    ] = None
    max_value: Annotated[
        float | None,
        typer.Option("--max-value", help=_VALUE.format("most") + " With --min-value: the same step.", rich_help_panel=_PANEL),
    ] = None
    step: Annotated[
        int | None,
        typer.Option("--step", min=1, help="Bound the value of this step, from 1, not of any.", rich_help_panel=_PANEL),
    ] = None
    method: Annotated[str, typer.Option("--method", help="Labelled by this method.", rich_help_panel=_PANEL)] = ""
    verdict: Annotated[
        str, typer.Option("--verdict", help="right, wrong or unknown: grade of the answer.", rich_help_panel=_PANEL)
    ] = ""
    origin: Annotated[
        str, typer.Option("--origin", help="given (it came in) or rollout (the labeler sampled it).", rich_help_panel=_PANEL)
    ] = ""
    source: Annotated[str, typer.Option("--source", help="Of problems from this source.", rich_help_panel=_PANEL)] = ""
    contains: Annotated[
        str, typer.Option("--contains", help="With this text in the question or a step (case matters).", rich_help_panel=_PANEL)
    ] = ""
    show: Annotated[
        int | None,
        typer.Option("--show", min=0, help="Show the first N (default: 1; under a condition 3).", rich_help_panel=_SHOWN),
    ] = None
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="Show N drawn at random.", rich_help_panel=_SHOWN)] = None
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of --sample: the same seed draws the same (default: 0).", rich_help_panel=_SHOWN)
    ] = None

    def choice(self) -> Choice:
        from openr_data.pipelines.selection import Choice

        return Choice(
            problem=self.problem,
            solution=self.solution,
            first_error=self.first_error,
            min_value=self.min_value,
            max_value=self.max_value,
            step=self.step or 0,
            method=self.method,
            verdict=self.verdict,
            origin=self.origin,
            source=self.source,
            contains=self.contains,
            show=self.show,
            sample=self.sample,
            seed=self.seed,
        ).checked()
