"""How completions are drawn, and what becomes of those that cannot be graded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

import typer

from openr_data.cli.options.shared import Seed

if TYPE_CHECKING:
    from openr_data.labelers.verdicts import Truncated, Ungradable
    from openr_data.types import Sampling

_PANEL = "Sampling"

Stop = Annotated[list[str] | None, typer.Option("--stop", help="Ends a completion (repeatable).", rich_help_panel=_PANEL)]


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    temperature: Annotated[float, typer.Option("--temperature", "-t", min=0.0, help="0 is greedy.", rich_help_panel=_PANEL)] = 1.0
    top_p: Annotated[float, typer.Option("--top-p", min=0.0, max=1.0, help="1 switches it off.", rich_help_panel=_PANEL)] = 1.0
    top_k: Annotated[int, typer.Option("--top-k", min=0, help="0 switches it off.", rich_help_panel=_PANEL)] = 0
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Tokens per completion.", rich_help_panel=_PANEL)] = 2048
    stop: Stop = None
    seed: Seed = 0

    def sampling(self) -> Sampling:
        from openr_data.types import Sampling

        return Sampling(self.temperature, self.max_tokens, self.seed, self.top_p, self.top_k, tuple(self.stop or ()))


@dataclass(frozen=True, slots=True)
class InheritedSamplingOptions:
    """The same, for a stage whose input run says how it was sampled."""

    temperature: Annotated[
        float | None,
        typer.Option("--temperature", "-t", min=0.0, help="Default: the input run's, or 1.", rich_help_panel=_PANEL),
    ] = None
    top_p: Annotated[
        float | None,
        typer.Option("--top-p", min=0.0, max=1.0, help="Default: the input run's, or 1 (off).", rich_help_panel=_PANEL),
    ] = None
    top_k: Annotated[
        int | None, typer.Option("--top-k", min=0, help="Default: the input run's, or 0 (off).", rich_help_panel=_PANEL)
    ] = None
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=0, help="0: the input run's, or 2048.", rich_help_panel=_PANEL)
    ] = 0
    stop: Stop = None
    seed: Annotated[int | None, typer.Option("--seed", help="Default: the input run's, or 0.", rich_help_panel=_PANEL)] = None

    def sampling(self, recorded: Sampling | None) -> Sampling:
        from openr_data.types import Sampling

        base = recorded or Sampling(1.0, 2048, 0)
        return Sampling(
            temperature=base.temperature if self.temperature is None else self.temperature,
            max_tokens=self.max_tokens or base.max_tokens,
            seed=base.seed if self.seed is None else self.seed,
            top_p=base.top_p if self.top_p is None else self.top_p,
            top_k=base.top_k if self.top_k is None else self.top_k,
            stop=tuple(self.stop) if self.stop else base.stop,
        )


@dataclass(frozen=True, slots=True)
class VerdictOptions:
    """Their values are checked with the configuration that they go into."""

    truncated: Annotated[
        str,
        typer.Option("--truncated", help="Rollouts cut by the token limit: unknown, wrong or graded.", rich_help_panel=_PANEL),
    ] = "unknown"
    ungradable: Annotated[
        str,
        typer.Option("--ungradable", help="Texts without an answer that can be read: unknown or wrong.", rich_help_panel=_PANEL),
    ] = "unknown"

    @property
    def of_truncated(self) -> Truncated:
        return cast("Truncated", self.truncated)

    @property
    def of_ungradable(self) -> Ungradable:
        return cast("Ungradable", self.ungradable)
