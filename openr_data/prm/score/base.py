"""What a scorer and its backend are. `open` puts them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from openr_data.prm.config import PRMConfig
from openr_data.prm.encode import Encoded
from openr_data.prm.scores import StepScores
from openr_data.types import Steps

ScoreRequest = tuple[str, Steps]
"""A question and the steps of one solution."""


@dataclass(frozen=True, slots=True)
class ScorerSpec:
    """Which model scores, and where. `backend` is `transformers`, `vllm` (pooling in this process) or `http` (a vLLM server at
    `base_url`, for which `model` is the folder or Hub name of the same model: its tokenizer and configuration are read here).
    """

    model: str
    backend: str = "transformers"
    revision: str = ""
    base_url: str = ""
    device: str = "auto"
    dtype: str = "auto"
    batch_tokens: int = 0
    """Tokens of one forward pass, padding included; 0: the backend's own choice."""
    style: str = ""
    """How a third-party model is asked, where its files do not say (`prm.third_party`)."""


class Backend(Protocol):
    """Raw numbers for encoded solutions. Raises `EngineError` when it cannot answer."""

    def margins(self, batch: Sequence[Encoded], /, on_done: Callable[[int], None] = ...) -> list[tuple[float, ...]]:
        """The uncalibrated logit difference at every read position, in fp32, in the order of the batch.

        `on_done` is called with the number of solutions finished since the last call.
        """
        ...


class Scorer(Protocol):
    """Scores solutions. The same solution has the same scores (1e-6 in fp32) in any company."""

    @property
    def config(self) -> PRMConfig: ...

    @property
    def identity(self) -> str:
        """Changes whenever a score may: digest of the weights, the configuration and the template."""
        ...

    def score(self, requests: Sequence[ScoreRequest], /, on_done: Callable[[int], None] = ...) -> list[StepScores]:
        """In the order of the requests. One that cannot be encoded has no margins, and the reason why."""
        ...
