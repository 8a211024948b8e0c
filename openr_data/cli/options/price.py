"""What generating costs in money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from openr_data.pipelines.estimate import Prices

_PANEL = "Price"
_PROMPTS = "Of prompts, sent anew with every sample (counted in words where the engine has no tokenizer at hand)."


@dataclass(frozen=True, slots=True)
class PriceOptions:
    price_per_million_tokens: Annotated[
        float | None,
        typer.Option("--price-per-million-tokens", min=0.0, help="Of generated tokens.", rich_help_panel=_PANEL),
    ] = None
    price_per_million_prompt_tokens: Annotated[
        float | None, typer.Option("--price-per-million-prompt-tokens", min=0.0, help=_PROMPTS, rich_help_panel=_PANEL)
    ] = None
    price_per_gpu_hour: Annotated[
        float | None,
        typer.Option("--price-per-gpu-hour", min=0.0, help="At the speed of the pilot.", rich_help_panel=_PANEL),
    ] = None
    gpus: Annotated[int, typer.Option("--gpus", min=1, help="GPUs that the engine runs on.", rich_help_panel=_PANEL)] = 1

    def prices(self) -> Prices:
        from openr_data.pipelines.estimate import Prices

        return Prices(
            per_million_tokens=self.price_per_million_tokens,
            per_million_prompt_tokens=self.price_per_million_prompt_tokens,
            per_gpu_hour=self.price_per_gpu_hour,
            gpus=self.gpus,
        ).checked()
