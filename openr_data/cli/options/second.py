"""Second engines, such as a judge: the same options under several names. None is opened unless it is chosen."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.engines import EngineLimits
    from openr_data.pipelines.config import SecondEngine
    from openr_data.types import Sampling

_NAMES = ("builtin", "transformers", "vllm", "openai", "scripted")
_CHOOSING = ("", "_model", "_url")

_ENGINE = "{}, or openai with an address and transformers with a model alone."
_URL = "Server address (repeatable): the openai engine."
_KEY = "Environment variable that holds the key."
_SCRIPT = "Settings of the scripted engine: key=value,..."


def _option(name: str, what: str, help: str, **more: Any) -> Any:  # noqa: A002
    flag = f"--{name}-{what}" if what else f"--{name}"
    panel = {"judge": "Judge (consensus)", "prover": "Prover (pav)", "summariser": "Summariser"}[name]
    return typer.Option(flag, help=help.format(", ".join(_NAMES)), rich_help_panel=panel, **more)


class _Second:
    """Reads the fields of its child, which all begin with `name`."""

    __slots__ = ()
    name: ClassVar[str]
    template: ClassVar[str] = "auto"
    api: ClassVar[str] = "completions"
    temperature: ClassVar[float | None] = None
    max_tokens: ClassVar[int] = 0

    @property
    def chosen(self) -> bool:
        return any(self._given(end) for end in _CHOOSING)

    def second(self, sampling: Sampling) -> SecondEngine | None:
        """The engine and its sampling, begun from `_base`; `None`: it is not chosen."""
        from openr_data.engines import EngineSpec
        from openr_data.pipelines.config import SecondEngine

        if not self.chosen:
            self._refuse_orphans()
            return None
        spec = EngineSpec(
            engine=self._engine(),
            model=self._given("_model"),
            revision=self._given("_revision"),
            template=self._template(),
            api=self._api(),
            script=self._given("_script"),
        )
        temperature = next(
            each for each in (self._given("_temperature"), self.temperature, sampling.temperature) if each is not None
        )
        limit = self._given("_max_tokens") or self.max_tokens or sampling.max_tokens
        return SecondEngine(spec, replace(self._base(sampling), temperature=temperature, max_tokens=limit))

    def _base(self, sampling: Sampling) -> Sampling:
        """What the sampling is where nothing is said of it: the run's."""
        return sampling

    def limits(self) -> EngineLimits:
        from openr_data.engines import EngineLimits

        return EngineLimits(
            slots=self._given("_slots"), base_urls=tuple(self._given("_url") or ()), api_key_env=self._given("_key_env")
        )

    def _given(self, end: str) -> Any:
        return getattr(self, self.name + end)

    def _refuse_orphans(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]  # every child is a dataclass
            if getattr(self, field.name) != field.default:
                option = field.name.replace("_", "-")
                raise UsageError(f"--{option} needs --{self.name}, --{self.name}-model or --{self.name}-url")

    def _engine(self) -> str:
        chosen = self._given("") or ("openai" if self._given("_url") else "transformers")
        if chosen not in _NAMES:
            raise UsageError(f"there is no engine '{chosen}'; --{self.name} is one of: {', '.join(_NAMES)}")
        return str(chosen)

    def _template(self) -> str:
        """Small and scripted engines know one prompt only."""
        given = self._given("_template")
        return str(given or ("auto" if self._engine() in {"builtin", "scripted"} else self.template))

    def _api(self) -> Any:
        given = self._given("_api") or self.api
        if given not in {"completions", "chat"}:
            raise UsageError(f"--{self.name}-api is completions or chat, not '{given}'")
        return given


@dataclass(frozen=True, slots=True)
class JudgeOptions(_Second):
    """Speaks in a chat: its prompt is the whole of what it is asked."""

    name: ClassVar[str] = "judge"
    template: ClassVar[str] = "bare"
    api: ClassVar[str] = "chat"
    temperature: ClassVar[float | None] = 0.7
    max_tokens: ClassVar[int] = 4096

    def _base(self, sampling: Sampling) -> Sampling:
        """A judge writes another kind of text: neither the stops nor the cuts of the solutions are its own."""
        return replace(sampling, top_p=1.0, top_k=0, stop=())

    judge: Annotated[str, _option("judge", "", "Engine: " + _ENGINE)] = ""
    judge_model: Annotated[str, _option("judge", "model", "Local path, Hub name, or name at the server.")] = ""
    judge_revision: Annotated[str, _option("judge", "revision", "Model revision on the Hub.")] = ""
    judge_url: Annotated[list[str] | None, _option("judge", "url", _URL)] = None
    judge_key_env: Annotated[str, _option("judge", "key-env", _KEY)] = "OPENAI_API_KEY"
    judge_api: Annotated[str, _option("judge", "api", "chat or completions (openai).", show_default="chat")] = ""
    judge_template: Annotated[str, _option("judge", "template", "Prompt template.", show_default="bare")] = ""
    judge_script: Annotated[str, _option("judge", "script", _SCRIPT)] = ""
    judge_slots: Annotated[int, _option("judge", "slots", "Votes generated at once (0: the engine's choice).", min=0)] = 0
    judge_max_tokens: Annotated[int, _option("judge", "max-tokens", "Tokens per vote.", min=0, show_default="4096")] = 0
    judge_temperature: Annotated[float | None, _option("judge", "temperature", "Of the votes.", min=0.0, show_default="0.7")] = (
        None
    )


@dataclass(frozen=True, slots=True)
class SummariserOptions(_Second):
    """Reads a solution and writes its final answer."""

    name: ClassVar[str] = "summariser"
    template: ClassVar[str] = "bare"
    temperature: ClassVar[float | None] = 0.0
    max_tokens: ClassVar[int] = 512

    def _base(self, sampling: Sampling) -> Sampling:
        """It writes another kind of text: neither the stops nor the cuts of the solutions are its own."""
        return replace(sampling, top_p=1.0, top_k=0, stop=())

    summariser: Annotated[str, _option("summariser", "", "Engine that summarises every solution: " + _ENGINE)] = ""
    summariser_model: Annotated[str, _option("summariser", "model", "Local path, Hub name, or name at the server.")] = ""
    summariser_revision: Annotated[str, _option("summariser", "revision", "Model revision on the Hub.")] = ""
    summariser_url: Annotated[list[str] | None, _option("summariser", "url", _URL)] = None
    summariser_key_env: Annotated[str, _option("summariser", "key-env", _KEY)] = "OPENAI_API_KEY"
    summariser_api: Annotated[str, _option("summariser", "api", "completions or chat.", show_default="completions")] = ""
    summariser_template: Annotated[str, _option("summariser", "template", "Prompt template.", show_default="bare")] = ""
    summariser_script: Annotated[str, _option("summariser", "script", _SCRIPT)] = ""
    summariser_slots: Annotated[int, _option("summariser", "slots", "Sequences at once (0: its choice).", min=0)] = 0
    summariser_max_tokens: Annotated[int, _option("summariser", "max-tokens", "Per summary.", min=0, show_default="512")] = 0
    summariser_temperature: Annotated[
        float | None, _option("summariser", "temperature", "Of the summaries.", min=0.0, show_default="0")
    ] = None


@dataclass(frozen=True, slots=True)
class ProverOptions(_Second):
    """Continues the same steps as the engine; sampled like it unless told otherwise."""

    name: ClassVar[str] = "prover"

    prover: Annotated[str, _option("prover", "", "Engine: " + _ENGINE)] = ""
    prover_model: Annotated[str, _option("prover", "model", "Local path, Hub name, or name at the server.")] = ""
    prover_revision: Annotated[str, _option("prover", "revision", "Model revision on the Hub.")] = ""
    prover_url: Annotated[list[str] | None, _option("prover", "url", _URL)] = None
    prover_key_env: Annotated[str, _option("prover", "key-env", _KEY)] = "OPENAI_API_KEY"
    prover_api: Annotated[str, _option("prover", "api", "completions or chat (openai).", show_default="completions")] = ""
    prover_template: Annotated[str, _option("prover", "template", "Prompt template.", show_default="auto")] = ""
    prover_script: Annotated[str, _option("prover", "script", _SCRIPT)] = ""
    prover_slots: Annotated[int, _option("prover", "slots", "Sequences at once (0: the engine's choice).", min=0)] = 0
    prover_max_tokens: Annotated[int, _option("prover", "max-tokens", "Per rollout (0: the run's).", min=0)] = 0
    prover_temperature: Annotated[
        float | None, _option("prover", "temperature", "Of its rollouts.", min=0.0, show_default="the run's")
    ] = None
