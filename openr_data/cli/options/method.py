"""The labelling method and its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

import typer

from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.cli.options.sampling import VerdictOptions
    from openr_data.labelers import LabelConfig
    from openr_data.labelers.math_shepherd import Estimates

_PANEL = "Method"
_STEPS = "semantic (the separator's), or tokens (OmegaPRM's equal token spans, 16 per average solution)."
_ESTIMATES = "hard: right solutions are free; soft: measure them too (math-shepherd)."
_LIMIT = "Rollouts per problem; 0: no limit (omegaprm)."


@dataclass(frozen=True, slots=True)
class MethodOptions:
    method: Annotated[str, typer.Option("--method", help="omegaprm, math-shepherd or mips.", rich_help_panel=_PANEL)] = "omegaprm"
    rollouts: Annotated[
        int, typer.Option("--rollouts", "-k", min=1, help="Rollouts per measured prefix.", rich_help_panel=_PANEL)
    ] = 8
    filter_rollouts: Annotated[
        int, typer.Option("--filter-rollouts", min=0, help="Of the question filter; 0: off (omegaprm).", rich_help_panel=_PANEL)
    ] = 32
    searches: Annotated[
        int, typer.Option("--searches", min=0, help="Searches of the tree's own rollouts (omegaprm).", rich_help_panel=_PANEL)
    ] = 20
    rollout_limit: Annotated[int, typer.Option("--rollout-limit", min=0, help=_LIMIT, rich_help_panel=_PANEL)] = 0
    estimates: Annotated[str, typer.Option("--estimates", help=_ESTIMATES, rich_help_panel=_PANEL)] = "hard"
    alpha: Annotated[float, typer.Option("--alpha", help="Of Q, OmegaPRM Eq. 2.", rich_help_panel=_PANEL)] = 0.5
    beta: Annotated[float, typer.Option("--beta", help="Of Q, OmegaPRM Eq. 2.", rich_help_panel=_PANEL)] = 0.9
    length: Annotated[float, typer.Option("--length", help="L of Q in tokens, OmegaPRM Eq. 2.", rich_help_panel=_PANEL)] = 500.0
    c_puct: Annotated[float, typer.Option("--c-puct", help="Of U, OmegaPRM Eq. 3.", rich_help_panel=_PANEL)] = 0.125
    steps: Annotated[str, typer.Option("--steps", help=_STEPS, rich_help_panel=_PANEL)] = "semantic"

    def label_config(self, verdicts: VerdictOptions) -> LabelConfig:
        from openr_data.labelers import LabelConfig

        if self.steps not in {"semantic", "tokens"}:
            raise UsageError(f"--steps is semantic or tokens, not '{self.steps}'")
        return LabelConfig(
            method=self.method,
            rollouts=self.rollouts,
            filter_rollouts=self.filter_rollouts,
            searches=self.searches,
            rollout_limit=self.rollout_limit,
            alpha=self.alpha,
            beta=self.beta,
            length=self.length,
            c_puct=self.c_puct,
            estimates=cast("Estimates", self.estimates),
            truncated=verdicts.of_truncated,
            ungradable=verdicts.of_ungradable,
            spans=16 if self.steps == "tokens" else 0,
        )
