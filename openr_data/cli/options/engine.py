"""The engine: which model, how its prompts look, and how it is run."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from openr_data.cli.options.shared import BaseUrl, Device, Slots
from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.engines import EngineLimits, EngineSpec

_PANEL = "Engine"
_NAMES = ("builtin", "transformers", "vllm", "openai", "scripted")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """`spec` is what records depend on, `limits` the rest."""

    engine: Annotated[
        str, typer.Option("--engine", "-e", help="builtin, transformers, vllm, openai or scripted.", rich_help_panel=_PANEL)
    ] = ""
    model: Annotated[str, typer.Option("--model", "-m", help="Local path or Hub name.", rich_help_panel=_PANEL)] = ""
    revision: Annotated[str, typer.Option("--revision", help="Model revision on the Hub.", rich_help_panel=_PANEL)] = ""
    template: Annotated[
        str,
        typer.Option(
            "--template", help="Prompt template: auto, builtin, plain, bare, boxed, boxed-user.", rich_help_panel=_PANEL
        ),
    ] = "auto"
    dtype: Annotated[
        str, typer.Option("--dtype", help="auto, float32, bfloat16, float16 or float64.", rich_help_panel=_PANEL)
    ] = "auto"
    api: Annotated[str, typer.Option("--api", help="completions or chat (openai engine).", rich_help_panel=_PANEL)] = (
        "completions"
    )
    script: Annotated[
        str, typer.Option("--script", help="Settings of the scripted engine: key=value,...", rich_help_panel=_PANEL)
    ] = ""
    base_url: BaseUrl = None
    api_key_env: Annotated[
        str, typer.Option("--api-key-env", help="Environment variable that holds the key.", rich_help_panel=_PANEL)
    ] = "OPENAI_API_KEY"
    slots: Slots = 0
    device: Device = "auto"
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for one request.", rich_help_panel=_PANEL)] = 600.0
    tensor_parallel: Annotated[
        int, typer.Option("--tensor-parallel", min=1, help="GPUs that share one model (vllm).", rich_help_panel=_PANEL)
    ] = 1
    max_model_len: Annotated[
        int, typer.Option("--max-model-len", min=0, help="Context length (0: the model's own).", rich_help_panel=_PANEL)
    ] = 0
    gpu_memory: Annotated[
        float, typer.Option("--gpu-memory", min=0.05, max=1.0, help="Share of the GPU's memory to use.", rich_help_panel=_PANEL)
    ] = 0.9

    @property
    def chosen(self) -> bool:
        return bool(self.engine or self.model)

    def spec(self, separator: str | None = None) -> EngineSpec:
        from openr_data.engines import EngineSpec

        return EngineSpec(
            engine=self._name(),
            model=self.model,
            revision=self.revision,
            template=self.template,
            separator=separator,
            dtype=self.dtype,
            api=self._api(),
            script=self.script,
        )

    def spec_or(self, recorded: EngineSpec | None, separator: str | None) -> EngineSpec:
        """The engine of the input run where none is chosen; options that would change it are refused, as they say no engine."""
        asked = self.spec(separator)
        if self.chosen or recorded is None:
            return asked
        default = replace(asked, revision="", template="auto", separator=None, dtype="auto", api="completions", script="")
        changed = [f"--{each.name}" for each in fields(asked) if getattr(asked, each.name) != getattr(default, each.name)]
        if changed:
            raise UsageError(
                f"{changed[0]} needs --engine or --model: without them the engine of the input run is used as it was"
            )
        return recorded

    def limits(self) -> EngineLimits:
        from openr_data.engines import EngineLimits

        return EngineLimits(
            slots=self.slots,
            device=self.device,
            base_urls=tuple(self.base_url or ()),
            api_key_env=self.api_key_env,
            timeout=self.timeout,
            tensor_parallel=self.tensor_parallel,
            max_model_len=self.max_model_len,
            gpu_memory=self.gpu_memory,
        )

    def _name(self) -> str:
        """A model without an engine is loaded by transformers."""
        chosen = self.engine or ("transformers" if self.model else "builtin")
        if chosen not in _NAMES:
            raise UsageError(f"there is no engine '{chosen}'; choose one of: {', '.join(_NAMES)}")
        return chosen

    def _api(self) -> Literal["completions", "chat"]:
        if self.api not in {"completions", "chat"}:
            raise UsageError(f"--api is completions or chat, not '{self.api}'")
        return cast("Literal['completions', 'chat']", self.api)
