"""What every engine shares: its description, its limits, the protocol of a loaded engine and the seed of one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, Protocol

from openr_data.engines.prompts import PromptTemplate
from openr_data.types import Completion, Sampling, Steps


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What the records of a run depend on: saved with the run, and compared when it is resumed.

    `model` is a local path or a Hub name; `template` a key of `TEMPLATES`, or `auto`; `separator` replaces the template's own
    (the empty one continues a prefix in the middle of a line: token spans); `script` configures the scripted engine.
    """

    engine: str
    model: str = ""
    revision: str = ""
    template: str = "auto"
    separator: str | None = None
    dtype: str = "auto"
    api: Literal["completions", "chat"] = "completions"
    script: str = ""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """How fast, and where: not part of what a run is. `slots` bounds the sequences in flight (0: the engine's choice).

    The one exception is `max_model_len`: a shorter context cuts completions, so the engine's identity names one that is given.
    """

    slots: int = 0
    device: str = "auto"
    base_urls: tuple[str, ...] = ()
    api_key_env: str = "OPENAI_API_KEY"
    timeout: float = 600.0
    max_attempts: int = 8
    tensor_parallel: int = 1
    max_model_len: int = 0
    gpu_memory: float = 0.9


class LoadedEngine(Protocol):
    """An engine that is ready to sample; made by `open_engine`, an async context manager that frees everything at its end."""

    @property
    def identity(self) -> str:
        """Engine, model and revision (a digest of the weights for a local model): part of every journal key."""
        ...

    @property
    def template(self) -> PromptTemplate:
        """The template in use, resolved from `auto`."""
        ...

    @property
    def slots(self) -> int:
        """How many sequences it can usefully have in flight; the runner keeps a small multiple of it going."""
        ...

    def prompt(self, question: str, prefix: Steps, /) -> str:
        """The exact text that is continued, special tokens included."""
        ...

    def pieces(self, text: str, /) -> Sequence[str]:
        """The text cut at token boundaries; the pieces join to the text again."""
        ...

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        """See `openr_data.types.Engine`."""
        ...


class Around:
    """An engine around a loaded one: it is what that one is, and only samples in its own way."""

    def __init__(self, engine: LoadedEngine) -> None:
        self._engine = engine

    @property
    def identity(self) -> str:
        return self._engine.identity

    @property
    def template(self) -> PromptTemplate:
        return self._engine.template

    @property
    def slots(self) -> int:
        return self._engine.slots

    def prompt(self, question: str, prefix: Steps, /) -> str:
        return self._engine.prompt(question, prefix)

    def pieces(self, text: str, /) -> Sequence[str]:
        return self._engine.pieces(text)


def context_mark(limits: EngineLimits) -> str:
    """The end of the identity of an engine whose context was chosen.

    >>> context_mark(EngineLimits(max_model_len=4096)), context_mark(EngineLimits())
    (':4096', '')
    """
    return f":{limits.max_model_len}" if limits.max_model_len else ""


def sample_seed(sampling: Sampling, prompt: str, index: int) -> int:
    """The seed of one sample: 63 bits of a hash of the run's seed, the prompt and the sample index.

    Samples are therefore independent of the order in which they are asked for, and of what else runs.
    """
    digest = blake2b(f"{sampling.seed}\0{index}\0{prompt}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
