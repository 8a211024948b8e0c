"""A scorer out of an encoder and a backend: encodes, asks, calibrates. Knows neither where the model runs nor how it batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite

from openr_data.prm.config import PRMConfig
from openr_data.prm.encode import Encoded, Encoder, RowError
from openr_data.prm.score.base import Backend, ScoreRequest
from openr_data.prm.score.meter import Meter
from openr_data.prm.scores import StepScores

_NOT_FINITE = "the model's answer is not a number"


def quiet(_: int) -> None:
    """Tell nobody how many are done."""


@dataclass(frozen=True, slots=True)
class ModelScorer:
    """A `Scorer`. A request that comes several times is computed once; `meter` counts the tokens of those that were computed.
    Raises `EngineError` where the backend does.
    """

    encoder: Encoder
    backend: Backend
    identity: str
    meter: Meter = field(default_factory=Meter, compare=False)

    @property
    def config(self) -> PRMConfig:
        return self.encoder.config

    def score(self, requests: Sequence[ScoreRequest], /, on_done: Callable[[int], None] = quiet) -> list[StepScores]:
        found = [self._encoded(*request) for request in requests]
        distinct = list(dict.fromkeys(each for each in found if isinstance(each, Encoded)))
        if len(found) > len(distinct):
            on_done(len(found) - len(distinct))
        margins = self.backend.margins(distinct, on_done) if distinct else []
        self.meter.tokens += sum(len(each.ids) for each in distinct)
        scores = {each: self._calibrated(each, raw) for each, raw in zip(distinct, margins, strict=True)}
        return [scores[each] if isinstance(each, Encoded) else StepScores((), each) for each in found]

    def _encoded(self, question: str, steps: Sequence[str]) -> Encoded | str:
        """Or why it cannot be."""
        try:
            return self.encoder.encode(question, tuple(steps))
        except RowError as reason:
            return str(reason)

    def _calibrated(self, encoded: Encoded, raw: Sequence[float]) -> StepScores:
        tokens = len(encoded.ids)
        if not all(map(isfinite, raw)):
            return StepScores((), _NOT_FINITE, tokens)
        return StepScores(tuple(self.config.scale * margin + self.config.shift for margin in raw), tokens=tokens)
