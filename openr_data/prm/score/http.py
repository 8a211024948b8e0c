"""Step scores from a vLLM server: token ids out, logits back, several requests under way, and no fault ever a score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from openr_data.errors import EngineError
from openr_data.models.files import model_folder
from openr_data.prm.encode import Encoded, Encoder
from openr_data.prm.load import load_encoder
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.http_client import Patience, Server
from openr_data.prm.score.identity import identity_of
from openr_data.prm.score.pooling import TASK, pools_at_tags, refuse_old, step_margins
from openr_data.prm.score.scorer import ModelScorer, quiet

_UNDER_WAY = 8
_TOKENS = 16384
"""Tokens of one request: some solutions together, so that a request costs little beside them."""


def open_http(spec: ScorerSpec, patience: Patience | None = None) -> ModelScorer:
    """Reads tokenizer and configuration here, and asks the server which model it serves and how long its context is.

    The weights may lie with the server alone, so that the identity names the server and its model too. Raises `UsageError` for a
    base URL that is none or a vLLM that is too old, and `EngineError` for a server that does not answer.
    """
    server = Server(spec.base_url, patience or Patience())
    folder = model_folder(spec.model, spec.revision, weights=False)
    encoder = load_encoder(folder, spec.style)
    refuse_old(_version(server))
    name, longest = _served(server)
    held = Encoder(encoder.tokenizer, replace(encoder.config, context=min(encoder.config.context, longest)))
    backend = HttpBackend(server, name, at_tags=pools_at_tags(encoder), budget=spec.batch_tokens)
    return ModelScorer(held, backend, identity_of(folder, encoder.config, f"http:{server.url}:{name}"))


def _version(server: Server) -> str:
    """Of vLLM; nothing where the server does not tell it."""
    try:
        return str(server.ask("/version").get("version", ""))
    except EngineError as fault:
        if fault.retryable:
            raise
        return ""


def _served(server: Server) -> tuple[str, int]:
    """The name of the model, and its context in tokens where the server tells it."""
    try:
        first = server.ask("/v1/models")["data"][0]
        return str(first["id"]), int(first.get("max_model_len") or 1 << 62)
    except (KeyError, IndexError, TypeError, ValueError) as fault:
        raise EngineError(f"the server at {server.url} does not say which model it serves; it is no vLLM server") from fault


class HttpBackend:
    """`budget` is the tokens of one request; 0: its own choice. `under_way` requests wait for an answer at once."""

    def __init__(self, server: Server, model: str, *, at_tags: bool, budget: int = 0, under_way: int = _UNDER_WAY) -> None:
        self._server, self._model, self._at_tags = server, model, at_tags
        self._budget, self._under_way = budget or _TOKENS, under_way

    def margins(self, batch: Sequence[Encoded], /, on_done: Callable[[int], None] = quiet) -> list[tuple[float, ...]]:
        found: list[tuple[float, ...]] = []
        pool = ThreadPoolExecutor(self._under_way, thread_name_prefix="prm-http")
        try:
            for part in pool.map(self._asked, _parts(batch, self._budget)):
                found += part
                on_done(len(part))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return found

    def _asked(self, part: Sequence[Encoded]) -> list[tuple[float, ...]]:
        body = {"model": self._model, "input": [list(row.ids) for row in part], "task": TASK, "use_activation": False}
        answer = self._server.ask("/pooling", body)
        try:
            data = sorted(answer["data"], key=lambda each: int(each["index"]))
            tables = [_table(each["data"]) for each in data]
        except (KeyError, TypeError, ValueError) as fault:
            raise EngineError(f"the server at {self._server.url} answers in another form than vLLM's /pooling") from fault
        if len(tables) != len(part):
            raise EngineError(f"the server at {self._server.url} answered {len(tables)} of {len(part)} solutions")
        _refuse_probabilities([row for table in tables for row in table], self._server.url)
        return [step_margins(table, row, at_tags=self._at_tags) for table, row in zip(tables, part, strict=True)]


def _parts(batch: Sequence[Encoded], budget: int) -> list[list[Encoded]]:
    """In order, each of at most `budget` tokens, or of one solution."""
    parts: list[list[Encoded]] = []
    room = 0
    for row in batch:
        if len(row.ids) > room:
            parts.append([])
            room = budget
        parts[-1].append(row)
        room -= len(row.ids)
    return parts


def _table(found: Any) -> list[list[float]]:
    return [[float(value) for value in row] for row in found]


def _refuse_probabilities(rows: Sequence[Sequence[float]], url: str) -> None:
    """A server that ignores `use_activation` answers a softmax, whose differences are no logits."""
    if rows and all(len(row) == 2 and min(row) >= 0 and abs(sum(row) - 1) < 1e-5 for row in rows):
        raise EngineError(
            f"the server at {url} answers probabilities where logits were asked for; it runs a vLLM that is too old"
        )
