"""Scores over HTTP from a stand-in for vLLM's /pooling: equal to those here, also after faults, and never made of one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from prm_scorers import builtin_prm

from openr_data.errors import EngineError, UsageError
from openr_data.prm.encode import Encoded
from openr_data.prm.load import PRM, load_encoder, load_prm
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.http import HttpBackend, open_http
from openr_data.prm.score.http_client import KEY, Patience, Server
from openr_data.prm.score.open import open_scorer
from openr_data.prm.score.pooling import step_margins

QUESTION = "Start with 37. Step 1: add 48. What is the result?"
REQUESTS = [
    (QUESTION, ("37 + 48 = 85", "The answer is 85.")),
    (QUESTION, ("37 + 48 = 95",)),
    ("Start with 5. Step 1: add 1. What is the result?", ("5 + 1 = 6", "6 + 0 = 6", "The answer is 6.")),
]
HASTY = Patience(attempts=4, base=0.0, cap=0.0, timeout=20.0, connect=2.0)
Answer = Callable[["StandIn", dict[str, Any]], tuple[int, Any, dict[str, str]]]


@dataclass
class StandIn:
    """vLLM's `/v1/models` and `/pooling`, computed by the model itself. `faults` are answered first, one a request."""

    prm: PRM
    pooling: str = "STEP"
    columns: int = 2
    faults: list[Answer] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    most: int = 0
    under_way: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    gate: threading.Barrier | None = None

    def models(self) -> dict[str, Any]:
        return {"data": [{"id": "the-prm", "max_model_len": 256}]}

    def version(self) -> dict[str, Any]:
        return {"version": "0.32.0"}

    def pool(self, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        with self.lock:
            self.seen.append(body)
            fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            return fault(self, body)
        return 200, {"data": [{"index": number, "data": self.rows(ids)} for number, ids in enumerate(body["input"])][::-1]}, {}

    @torch.inference_mode()
    def rows(self, ids: list[int]) -> list[list[float]]:
        logits = self.prm.model(input_ids=torch.tensor([ids])).logits[0].float()
        if self.pooling == "STEP":
            logits = logits[torch.tensor(ids) == self.prm.config.tag_id]
        if self.columns == 1:
            logits = logits[:, 1:] - logits[:, :1]
        found: list[list[float]] = logits.tolist()
        return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builtin_prm(tmp_path_factory.mktemp("prm"))


@pytest.fixture(scope="module")
def prm(folder: Path) -> PRM:
    return load_prm(folder, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def here(folder: Path) -> list[tuple[float, ...]]:
    scores = open_scorer(ScorerSpec(str(folder), device="cpu", dtype="float32")).score(REQUESTS)
    return [each.margins for each in scores]


@pytest.fixture
def stand_in(prm: PRM) -> StandIn:
    return StandIn(prm)


@pytest.fixture
def url(stand_in: StandIn) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            known = {"/v1/models": stand_in.models, "/version": stand_in.version}.get(self.path)
            self._answer(*((200, known(), {}) if known else (404, {}, {})))

        def do_POST(self) -> None:
            stand_in.keys.append(self.headers["Authorization"])
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with stand_in.lock:
                stand_in.under_way += 1
                stand_in.most = max(stand_in.most, stand_in.under_way)
            if stand_in.gate is not None:
                stand_in.gate.wait(20)
            answer = stand_in.pool(body) if self.path == "/pooling" else (404, {}, {})
            with stand_in.lock:
                stand_in.under_way -= 1
            self._answer(*answer)

        def _answer(self, status: int, body: Any, headers: dict[str, str]) -> None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the name in http.server)
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def busy(status: int, **headers: str) -> Answer:
    return lambda _server, _body: (status, {"error": {"message": "come back later"}}, headers)


def close_to(expected: list[tuple[float, ...]]) -> Any:
    return [pytest.approx(each, abs=2e-5) for each in expected]


@pytest.mark.parametrize(("pooling", "columns"), [("STEP", 2), ("ALL", 2), ("STEP", 1)])
def test_scores_are_those_of_the_model_here(
    folder: Path, url: str, stand_in: StandIn, here: list[tuple[float, ...]], pooling: str, columns: int
) -> None:
    stand_in.pooling, stand_in.columns = pooling, columns
    scorer = open_scorer(ScorerSpec(str(folder), backend="http", base_url=f"{url}/v1"))
    done: list[int] = []
    found = scorer.score(REQUESTS, done.append)
    assert [each.margins for each in found] == close_to(here)
    assert sum(done) == len(REQUESTS)
    (body,) = stand_in.seen  # the three are short: one request
    assert (body["model"], body["task"], body["use_activation"]) == ("the-prm", "token_classify", False)
    encoder = load_encoder(folder)
    assert body["input"] == [list(encoder.encode(*request).ids) for request in REQUESTS]
    assert scorer.identity != open_scorer(ScorerSpec(str(folder), device="cpu", dtype="float32")).identity


def test_what_is_too_long_for_the_server_has_no_score_and_the_reason(folder: Path, url: str) -> None:
    long, short = open_http(ScorerSpec(str(folder), base_url=url), HASTY).score([(QUESTION, ("1" * 300,)), REQUESTS[1]])
    assert long.margins == ()
    assert "and the model's context is 256" in long.reason
    assert len(short.margins) == 1


@pytest.mark.parametrize(
    "faults",
    [
        [busy(429, **{"Retry-After": "0"})],
        [busy(503), busy(500), busy(502)],
        [lambda _server, _body: (200, b"<html>", {})],
        [lambda _server, _body: (200, b"[]", {})],
        [busy(429, **{"Retry-After": "soon"}), busy(503)],
    ],
    ids=["busy", "failing", "no JSON", "no object", "odd wait"],
)
def test_passing_faults_are_waited_out(
    folder: Path, url: str, stand_in: StandIn, here: list[tuple[float, ...]], faults: list[Answer]
) -> None:
    stand_in.faults = list(faults)
    found = open_http(ScorerSpec(str(folder), base_url=url), HASTY).score(REQUESTS)
    assert [each.margins for each in found] == close_to(here)
    assert len(stand_in.seen) == 1 + len(faults)


def test_a_fault_that_lasts_is_told_and_makes_no_score(folder: Path, url: str, stand_in: StandIn) -> None:
    stand_in.faults = [busy(503)] * 4
    with pytest.raises(EngineError, match=r"does not answer \(HTTP 503\), asked 4 times; is it running") as told:
        open_http(ScorerSpec(str(folder), base_url=url), HASTY).score(REQUESTS)
    assert told.value.retryable
    assert len(stand_in.seen) == 4


def test_a_refusal_is_told_at_once_on_one_line(folder: Path, url: str, stand_in: StandIn) -> None:
    stand_in.faults = [lambda _server, _body: (400, {"error": {"message": "no such\ntask"}}, {})]
    with pytest.raises(EngineError, match="refuses: HTTP 400, no such task") as told:
        open_http(ScorerSpec(str(folder), base_url=url), HASTY).score(REQUESTS)
    assert not told.value.retryable
    assert len(stand_in.seen) == 1


def _changed(change: Callable[[list[dict[str, Any]]], Any]) -> Answer:
    """The right answer, spoilt."""

    def spoilt(server: StandIn, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        data = [{"index": number, "data": server.rows(ids)} for number, ids in enumerate(body["input"])]
        return 200, {"data": change(data)}, {}

    return spoilt


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data[:-1], r"answered 2 of 3 solutions"),
        (lambda data: [{**each, "data": each["data"][:1]} for each in data], r"answered 1 rows for a solution of 2 steps"),
        (lambda data: [{**each, "data": [[1.0, 2.0, 3.0] for _ in each["data"]]} for each in data], r"3 numbers per step"),
        (lambda data: [{**each, "data": [[0.25, 0.75] for _ in each["data"]]} for each in data], r"answers probabilities"),
        (lambda data: [{"data": each["data"]} for each in data], r"another form than vLLM's /pooling"),
        (lambda data: [{**each, "data": "AAAA"} for each in data], r"another form than vLLM's /pooling"),
    ],
    ids=["fewer solutions", "fewer rows", "wide", "softmax", "no index", "base64"],
)
def test_an_answer_of_another_shape_is_an_error(
    folder: Path, url: str, stand_in: StandIn, change: Callable[[list[dict[str, Any]]], Any], told: str
) -> None:
    stand_in.faults = [_changed(change)]
    with pytest.raises(EngineError, match=told):
        open_http(ScorerSpec(str(folder), base_url=url), HASTY).score(REQUESTS)


def test_a_logit_that_is_no_number_is_no_score(folder: Path, url: str, stand_in: StandIn) -> None:
    stand_in.faults = [_changed(lambda data: [{**each, "data": [[0.0, float("nan")] for _ in each["data"]]} for each in data])]
    found = open_http(ScorerSpec(str(folder), base_url=url), HASTY).score(REQUESTS)
    assert {(each.margins, each.reason) for each in found} == {((), "the model's answer is not a number")}


def test_requests_hold_some_tokens_each_and_a_bounded_number_is_under_way(
    prm: PRM, url: str, stand_in: StandIn, here: list[tuple[float, ...]]
) -> None:
    rows = [prm.encoder.encode(*request) for request in REQUESTS]
    longest = max(len(row.ids) for row in rows)
    stand_in.gate = threading.Barrier(2)  # each request waits until another one is there
    backend = HttpBackend(Server(url, HASTY), "the-prm", at_tags=True, budget=longest, under_way=2)
    found = backend.margins([*rows, rows[0]])
    assert found == close_to([*here, here[0]])
    assert stand_in.most == 2
    assert [len(body["input"]) for body in stand_in.seen] == [1, 1, 1, 1]


def test_no_server(folder: Path) -> None:
    with pytest.raises(EngineError, match=r"http://127\.0\.0\.1:9 does not answer \(ConnectError\).*openr-data prm serve"):
        open_http(ScorerSpec(str(folder), base_url="http://127.0.0.1:9/v1/"), HASTY)


def test_a_server_of_another_kind(folder: Path, url: str, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandIn, "models", lambda _self: {"object": "list"})
    with pytest.raises(EngineError, match="does not say which model it serves"):
        open_http(ScorerSpec(str(folder), base_url=url), HASTY)


def test_a_server_that_is_too_old_or_does_not_tell(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandIn, "version", lambda _self: {"version": "0.11.2"})
    with pytest.raises(UsageError, match=r"vLLM 0\.11\.2 is too old to score steps"):
        open_http(ScorerSpec(str(folder), base_url=url), HASTY)
    monkeypatch.setattr(StandIn, "version", lambda _self: {})
    assert open_http(ScorerSpec(str(folder), base_url=url), HASTY).config.context == 256


@pytest.mark.parametrize("base", ["", "127.0.0.1:8000", "ftp://host", "http://"])
def test_base_urls_that_are_none(folder: Path, base: str) -> None:
    with pytest.raises(UsageError, match="needs --base-url"):
        open_http(ScorerSpec(str(folder), base_url=base), HASTY)


def test_the_key_comes_from_the_environment_and_stands_in_no_message(
    folder: Path, url: str, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "secret-key")
    stand_in.faults = [lambda _server, _body: (401, {"error": {"message": "Unauthorized"}}, {})]
    with pytest.raises(EngineError) as told:
        open_http(ScorerSpec(str(folder), base_url=url), HASTY).score(REQUESTS)
    assert stand_in.keys == ["Bearer secret-key"]
    assert "secret" not in str(told.value)
    for secret in (f"http://me:secret-key@{url.removeprefix('http://')}", f"{url}?key=secret-key"):
        with pytest.raises(UsageError, match="must not hold a key") as refused:
            open_http(ScorerSpec(str(folder), base_url=secret), HASTY)
        assert "secret" not in str(refused.value)
    monkeypatch.setenv(KEY, "no\nkey")
    with pytest.raises(UsageError, match="holds characters that no HTTP header can carry"):
        Server(url, HASTY)


def test_waits_double_up_to_the_cap_unless_the_server_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    answers = iter([503, 503, 429, 503, 200])
    monkeypatch.setattr("openr_data.prm.score.http_client.random.uniform", lambda _low, high: high)

    def answer(_request: httpx.Request) -> httpx.Response:
        status = next(answers)
        return httpx.Response(status, json={}, headers={"Retry-After": "7"} if status == 429 else {})

    server = Server("http://host", Patience(attempts=5, base=1.0, cap=3.0), sleep=waits.append)
    server._client = httpx.Client(transport=httpx.MockTransport(answer))
    assert server.ask("/v1/models") == {}
    assert waits == [1.0, 2.0, 3.0, 3.0]  # the third is the server's 7 seconds, cut


def test_rows_of_all_tokens_are_read_before_a_tag_that_may_stand_in_a_text() -> None:
    row = Encoded((5, 9, 9, 7, 9), (0, 3), 1)
    logits = [[0.0, float(number)] for number in range(5)]
    assert step_margins(logits, row, at_tags=False) == (0.0, 3.0)
    with pytest.raises(EngineError, match="answered 2 rows"):
        step_margins(logits[:2], row, at_tags=False)
    assert step_margins(logits[:2], row, at_tags=True) == (0.0, 1.0)
