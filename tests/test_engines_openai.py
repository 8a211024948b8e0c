"""The openai engine against a loopback server that misbehaves in every way we know of."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import pytest
from faultserver import OVERFLOWS, FaultServer, Plan, fault_server, free_port, write_chain

from openr_data.engines import EngineLimits, EngineSpec, openai_draw, sample_seed
from openr_data.engines.chain import Chain
from openr_data.engines.http_retry import RetryRules
from openr_data.engines.openai import open_openai
from openr_data.engines.preview import preview_prompt
from openr_data.errors import ContextOverflow, EngineError, UsageError
from openr_data.types import Completion, Sampling, Steps

QUESTION = Chain(5, 3, 4).question
SAMPLING = Sampling(temperature=0.7, max_tokens=200, seed=1)
SPEC = EngineSpec("openai", template="plain")
LIMITS = EngineLimits(timeout=5.0)
RULES = RetryRules(
    base=0.005,
    cap=0.02,
    probe_wait=0.01,
    probe_cap=0.03,
    down_after=0.2,
    total=0.6,
    connect_timeout=2.0,
    growth_pause=0.05,
    retry_after_cap=0.2,
)


def draw(
    server: FaultServer,
    prefix: Steps = (),
    *,
    n: int = 1,
    spec: EngineSpec = SPEC,
    limits: EngineLimits = LIMITS,
    rules: RetryRules = RULES,
    sampling: Sampling = SAMPLING,
) -> Sequence[Completion]:
    async def run() -> Sequence[Completion]:
        urls = limits.base_urls or (server.url,)
        async with open_openai(spec, replace(limits, base_urls=urls), rules) as engine:
            return await engine.sample(QUESTION, prefix, n=n, sampling=sampling)

    return asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # the server lives in another thread
        await asyncio.sleep(0.005)


@cache
def expected(index: int) -> str:
    with fault_server() as server:
        return draw(server, n=index + 1)[index].text


# Right answers


def test_each_sample_is_its_own_request_with_its_own_recorded_seed() -> None:
    with fault_server() as server:
        done = draw(server, n=4)
    prompt = f"Question: {QUESTION}\n\nAnswer: Let's think step by step, and end with 'The answer is' and the result.\n\n"
    assert [c.index for c in done] == [0, 1, 2, 3]
    assert [c.seed for c in done] == [sample_seed(SAMPLING, prompt, i) for i in range(4)]
    assert sorted(s.payload["seed"] for s in server.seen) == sorted(c.seed for c in done)
    assert {(s.path, s.payload["n"], s.payload["prompt"]) for s in server.seen} == {("/v1/completions", 1, prompt)}
    for completion in done:
        assert completion.text == write_chain({"prompt": prompt, "seed": completion.seed})
        assert completion.token_count == len(completion.text.split(" "))
        assert completion.finish_reason == "stop"


def test_the_request_says_every_filter_to_a_server_that_would_fill_them_in() -> None:
    sampling = Sampling(temperature=0.7, max_tokens=9, seed=1, top_p=0.9, top_k=5, stop=("END",))
    with fault_server() as server:
        draw(server, sampling=sampling)
        draw(server)
    chosen, neutral = (s.payload for s in server.seen)
    assert chosen["model"] == "test-model"
    assert {k: chosen[k] for k in ("temperature", "top_p", "top_k", "max_tokens")} == {
        "temperature": 0.7, "top_p": 0.9, "top_k": 5, "max_tokens": 9,
    }  # fmt: skip
    assert chosen["stop"] == ["\n\nQuestion:", "END"]
    assert {k: neutral[k] for k in ("top_p", "top_k", "min_p", "repetition_penalty")} == {
        "top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0,
    }  # fmt: skip
    with fault_server(models=[{"id": "hosted", "owned_by": "someone"}]) as server:
        draw(server)
    assert not {"top_k", "min_p", "repetition_penalty", "add_special_tokens"} & server.seen[0].payload.keys()


def test_chat_continues_a_prefix_as_the_assistants_own_turn() -> None:
    spec = replace(SPEC, api="chat", template="boxed-user")
    with fault_server() as server:
        (first,) = draw(server, spec=spec)
        draw(server, ("Step 1: 5 + 3 = 8",), spec=spec)
    assert first.text.startswith("Step 1: 5 + 3 = ")
    start, continued = (s.payload for s in server.seen)
    assert server.seen[0].path == "/v1/chat/completions"
    assert [m["role"] for m in start["messages"]] == ["user"]
    assert "continue_final_message" not in start
    assert continued["messages"][-1] == {"role": "assistant", "content": "Step 1: 5 + 3 = 8\n\n"}
    assert (continued["continue_final_message"], continued["add_generation_prompt"]) == (True, False)


def test_identity_names_model_revision_api_and_template_but_not_the_address() -> None:
    async def identity(server: FaultServer, spec: EngineSpec) -> tuple[str, int, str, Sequence[str]]:
        async with open_openai(spec, replace(LIMITS, base_urls=(server.url,)), RULES) as engine:
            return engine.identity, engine.slots, engine.prompt("Q", ("s",)), engine.pieces("a bc  d")

    with fault_server() as server:
        named = asyncio.run(identity(server, replace(SPEC, model="m", revision="r")))
        found = asyncio.run(identity(server, replace(SPEC, api="chat", template="boxed", separator="|")))
    assert named[:2] == ("openai:completions:m@r:plain", 256)
    assert named[3] == ["a ", "bc  ", "d"]
    assert found[0] == "openai:chat:test-model@:boxed"
    assert found[2].endswith("<|user|>\nQ\n<|assistant|>\ns|")
    assert named[2] == preview_prompt(SPEC, "Q") + "s\n\n"
    assert found[2] == preview_prompt(replace(SPEC, api="chat", template="boxed"), "Q") + "s|"


def test_a_stop_string_may_begin_in_the_prefix_and_makes_a_cut_text_whole() -> None:
    """As it does in the local engine; a server sees only what it writes, and some leave stop strings in."""
    after = replace(SAMPLING, stop=("8\n\nStep 2",))
    inside = replace(SAMPLING, max_tokens=6, stop=("3 =",))
    with fault_server() as server:
        (none,) = draw(server, ("Step 1: 5 + 3 = 8",), sampling=after)
        (cut,) = draw(server, sampling=inside)
    assert (none.text, none.finish_reason) == ("", "stop")
    assert (cut.text, cut.finish_reason) == ("Step 1: 5 + ", "stop")


@pytest.mark.parametrize(
    ("says", "ended"),
    [
        ('{"stop_reason": null}', True),
        ('{"stop_reason": "\\n\\n"}', False),
        ('{"stop_reason": 151643}', True),
        ('{"matched_stop": "\\n\\n"}', False),
        ('{"matched_stop": 2}', True),
        ('{"matched_stop": null, "finish_reason": "eos_token"}', True),
        ('{"finish_reason": "stop_sequence"}', False),
        ('{"finish_reason": "length", "stop_reason": null}', None),
        ("{}", None),
    ],
)
def test_a_server_says_whether_the_model_ended_or_a_stop_string_was_met(says: str, ended: bool | None) -> None:
    with fault_server([f"says:{says}"]) as server:
        (step,) = draw(server, spec=replace(SPEC, template="builtin"), sampling=replace(SAMPLING, stop=("never",)))
        assert step.ended is ended
        (cut,) = draw(server, spec=replace(SPEC, template="builtin"), sampling=replace(SAMPLING, stop=("\n\n",)))
        assert (cut.ended, cut.text, cut.finish_reason) == (False, step.text.split("\n\n")[0], "stop")


def test_without_a_stop_string_a_stop_is_the_models_own() -> None:
    with fault_server() as server:
        assert draw(server, spec=replace(SPEC, template="builtin"))[0].ended is True
        assert draw(server, spec=replace(SPEC, template="builtin"), sampling=replace(SAMPLING, max_tokens=5))[0].ended is None
        assert draw(server)[0].ended is None  # the template plain has one


def test_an_empty_answer_after_a_prefix_is_an_answer() -> None:
    with fault_server(["empty"]) as server:
        assert draw(server, ("Step 1: 5 + 3 = 8",))[0].finish_reason == "stop"
        assert draw(server)[0].finish_reason == "error"
    assert len(server.seen) == 1 + RULES.invalid_attempts


@pytest.mark.parametrize(
    ("plan", "finish", "text"),
    [
        ("length", "length", None),
        ("chunked", "stop", None),
        ("no_usage", "stop", None),
        ("bad_usage", "stop", None),
        ("surrogate", "stop", "a\N{REPLACEMENT CHARACTER}b"),
        ("nul", "stop", "a\0b"),
        ("stop_left_in", "stop", "kept"),
        ("content_filter", "error", ""),
    ],
)
def test_answers_that_count_at_the_first_time(plan: str, finish: str, text: str | None) -> None:
    with fault_server([plan]) as server:
        (completion,) = draw(server)
    assert (completion.finish_reason, len(server.seen)) == (finish, 1)
    assert completion.text == (expected(0) if text is None else text)
    assert (completion.token_count > 0) == (finish != "error")


# Faults that pass


@pytest.mark.parametrize(
    "fault",
    [
        "429", "429:0.02", "429:99999", "429_date", "429_ms", "408", "500", "502", "503", "503:0.02", "529", "close", "reset",
        "short_body", "chunked:cut", "truncated_json", "html_as_json", "html", "bad_utf8", "deep_json", "not_object",
        "error_in_200", "no_choices", "null_choices", "two_choices", "same_index", "wrong_index", "null_text", "reasoning",
        "number_text", "empty", "null_finish", "odd_finish",
    ],
)  # fmt: skip
def test_a_fault_that_passes_leaves_the_sample_as_it_would_have_been(fault: str) -> None:
    with fault_server([fault, fault, "ok"]) as server:
        (completion,) = draw(server)
    assert completion.text == expected(0)
    assert len(server.seen) == 3
    assert len({s.payload["seed"] for s in server.seen}) == 1


@pytest.mark.parametrize("fault", ["hang", "drip:0.02", "slow:9"])
def test_the_deadline_is_on_the_wall_clock(fault: str) -> None:
    with fault_server([fault, "ok"]) as server:
        (completion,) = draw(server, limits=replace(LIMITS, timeout=0.3))
    assert completion.text == expected(0)
    assert server.seen[0].aborted


def test_a_body_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_draw, "MAX_BODY", 100_000)
    with fault_server(["huge:1000000", "huge:1000000", "ok"]) as server:
        assert draw(server)[0].text == expected(0)
    with fault_server(["huge:50000"]) as server:
        assert len(draw(server)[0].text) == 50_000


def test_retry_after_rests_the_whole_endpoint_and_is_never_early() -> None:
    with fault_server(["429:0.15", "ok"]) as server:
        done = draw(server, n=6)
    assert all(c.finish_reason == "stop" for c in done)
    refused = server.seen[0]
    late = [s for s in server.seen if s.at - refused.at > 0.05]
    assert late
    assert min(s.at for s in late) - refused.at >= 0.149


@pytest.mark.parametrize("fault", ["truncated_json", "no_choices", "null_text", "html"])
def test_only_the_missing_sample_is_asked_for_again_and_then_given_up_alone(fault: str) -> None:
    poisoned: set[int] = set()

    def plan(seen: Any) -> str:
        if not poisoned:
            poisoned.add(seen.payload["seed"])
        return fault if seen.payload["seed"] in poisoned else "ok"

    with fault_server(plan) as server:
        done = draw(server, n=4)
    assert sorted(c.finish_reason for c in done) == ["error", "stop", "stop", "stop"]
    assert {(c.seed, c.text, c.token_count) for c in done if c.finish_reason == "error"} == {(min(poisoned), "", 0)}
    assert len(server.seen) == 3 + RULES.invalid_attempts


def test_an_outage_uses_up_no_attempts_and_probes_are_real_requests_one_at_a_time() -> None:
    with fault_server(["503"] * 14 + ["ok"]) as server:
        done = draw(server, n=2, limits=replace(LIMITS, max_attempts=6), rules=replace(RULES, down_after=30.0, total=30.0))
    assert [c.text for c in done] == [expected(0), expected(1)]
    assert len(server.seen) == 16


# Faults that do not pass


@pytest.mark.parametrize("fault", ["500", "close", "reset", "short_body"])
def test_an_endpoint_that_stays_down_is_one_retryable_error_that_names_it(fault: str) -> None:
    with fault_server([fault]) as server, pytest.raises(EngineError, match="no answer from http://127") as caught:
        draw(server, n=3)
    assert caught.value.retryable
    assert server.url in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_endless_rate_limit_ends_with_the_time_budget() -> None:
    with fault_server(["429:0.01"]) as server, pytest.raises(EngineError, match="429 slow down") as caught:
        draw(server)
    assert caught.value.retryable


def test_attempts_are_bounded_while_others_succeed() -> None:
    def plan(seen: Any) -> str:
        return "500" if "poison" in seen.payload["prompt"] else "ok"

    async def run(server: FaultServer) -> None:
        async with open_openai(SPEC, replace(LIMITS, base_urls=(server.url,), max_attempts=3), RULES) as engine:
            stop = asyncio.Event()

            async def others() -> None:
                while not stop.is_set():
                    await engine.sample(QUESTION, (), n=1, sampling=SAMPLING)

            good = asyncio.create_task(others())
            try:
                with pytest.raises(EngineError, match=r"after \d requests: 500 it broke") as caught:
                    await engine.sample("poison", (), n=1, sampling=SAMPLING)
                assert caught.value.retryable
            finally:
                stop.set()
                await good

    with fault_server(plan) as server:
        asyncio.run(run(server))
    assert sum("poison" in s.payload["prompt"] for s in server.seen) == 3


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("400", "refused the request .400.: temperature must be less than 9000"),
        ("401", "refused a request without a key .set OPENAI_API_KEY. .401."),
        ("401:403", "refused a request without a key .set OPENAI_API_KEY. .403."),
        ("404", "has no model 'test-model', or the base URL is wrong .it usually ends in /v1."),
        ("redirect", "redirects .307., which is not followed"),
        ("quota", "quota is used up"),
    ],
)
def test_what_cannot_pass_ends_at_once(plan: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with fault_server([plan]) as server, pytest.raises(EngineError, match=message) as caught:
        draw(server)
    assert (caught.value.retryable, len(server.seen)) == (False, 1)
    assert server.url in str(caught.value)


@pytest.mark.parametrize("plan", OVERFLOWS)
def test_a_prompt_longer_than_the_context_is_known_in_every_dialect(plan: str) -> None:
    with (
        fault_server([plan]) as server,
        pytest.raises(ContextOverflow, match="does not fit the context of 'test-model'") as caught,
    ):
        draw(server)
    assert "of 4096 tokens" in str(caught.value)
    assert not caught.value.retryable


def test_a_prompt_that_fits_gets_the_room_that_is_left() -> None:
    with fault_server(["room:7"]) as server:
        (completion,) = draw(server)
    assert [s.payload["max_tokens"] for s in server.seen] == [200, 7]
    assert (completion.token_count, completion.finish_reason) == (7, "length")


def test_a_server_that_refuses_to_be_asked_for_more_than_its_context_is_asked_for_that() -> None:
    with fault_server(["room_newer:9"]) as server:
        (completion,) = draw(server)
    assert [s.payload["max_tokens"] for s in server.seen] == [200, 9]
    assert (completion.token_count, completion.finish_reason) == (9, "length")


def test_a_final_error_ends_the_other_requests_of_the_call() -> None:
    with fault_server(lambda seen: "401" if seen.number == 5 else "hang") as server:
        with pytest.raises(EngineError, match="401"):
            draw(server, n=6)
        deadline = time.monotonic() + 10  # the server's threads notice in their own time
        while not (ended := all(s.aborted for s in server.seen if s.number != 5)) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert ended


def test_a_cancelled_call_closes_its_requests() -> None:
    async def run(server: FaultServer) -> None:
        async with open_openai(SPEC, replace(LIMITS, base_urls=(server.url,)), RULES) as engine:
            for n in (1, 3):
                before = len(server.seen)
                call = asyncio.create_task(engine.sample(QUESTION, (), n=n, sampling=SAMPLING))
                await until(partial(server.has_seen, before + n))
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                await until(lambda: not server.in_flight)

    with fault_server(["hang"]) as server:
        asyncio.run(asyncio.wait_for(run(server), 10))
    assert [s.aborted for s in server.seen] == [True] * 4


# Several endpoints, connections, limits


def test_load_is_shared_and_the_samples_of_a_prefix_stay_together() -> None:
    async def run(urls: tuple[str, ...]) -> None:
        async with open_openai(SPEC, replace(LIMITS, base_urls=urls), RULES) as engine:
            questions = [Chain(10 + i, 3, 4).question for i in range(8)]
            await asyncio.gather(*(engine.sample(q, (), n=1, sampling=SAMPLING, start=i) for q in questions for i in range(4)))

    with fault_server(["slow:0.1"]) as one, fault_server(["slow:0.1"]) as two:
        asyncio.run(run((one.url, two.url)))
    prompts = [{s.payload["prompt"] for s in server.seen} for server in (one, two)]
    assert [len(server.seen) for server in (one, two)] == [16, 16]
    assert not prompts[0] & prompts[1]


def test_when_one_endpoint_dies_the_other_does_its_work() -> None:
    with fault_server(["reset"]) as dead, fault_server() as alive:
        limits = replace(LIMITS, base_urls=(dead.url, alive.url, f"http://127.0.0.1:{free_port()}/v1"))
        done = draw(alive, n=20, limits=limits)
    assert all(c.finish_reason == "stop" for c in done)
    assert len(alive.seen) == 20


def test_connections_are_reused_and_slots_bound_what_is_in_flight() -> None:
    async def run(server: FaultServer) -> int:
        async with open_openai(SPEC, replace(LIMITS, base_urls=(server.url,), slots=3), RULES) as engine:
            await engine.sample(QUESTION, (), n=30, sampling=SAMPLING)
            return engine.slots

    with fault_server(["slow:0.005"]) as server:
        assert asyncio.run(run(server)) == 3
    assert server.peak == 3
    assert server.connections <= 4
    assert len(server.seen) == 30


def test_a_server_that_refuses_load_gets_less_and_everything_is_answered() -> None:
    def plan(seen: Any) -> str:
        return "429" if server.in_flight > 6 else "slow:0.005"

    with fault_server(plan) as server:
        done = draw(server, n=150, rules=replace(RULES, total=20.0))
    assert all(c.finish_reason == "stop" for c in done)
    late = server.seen[len(server.seen) // 2 :]
    assert len(late) - len({s.payload["seed"] for s in late}) < len(late) // 3  # refusals are rare once the limit has settled


# Opening


def test_no_server_at_all_is_told_at_once() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    with pytest.raises(EngineError, match=r"no answer from http://127.0.0.1:.*check that the server runs") as caught:
        draw(FaultServer([]), limits=replace(LIMITS, base_urls=(url,)))
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models_status": 401}, "refused a request without a key"),
        ({"models": [{"id": "a"}, {"id": "b"}]}, "serves a, b: say which with --model"),
        ({"models": []}, "does not list its models: say which with --model"),
        ({"models_status": 404}, "does not list its models: say which with --model"),
        ({"models": [{"name": "no id"}]}, "does not answer like an OpenAI-compatible server"),
    ],
)
def test_what_the_opening_finds_wrong(options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with fault_server(**options) as server, pytest.raises((EngineError, UsageError), match=message):
        draw(server)


def test_a_server_that_lists_nothing_serves_a_named_model() -> None:
    with fault_server(models_status=404) as server:
        assert draw(server, spec=replace(SPEC, model="mine"))[0].finish_reason == "stop"
    assert server.seen[0].payload["model"] == "mine"


def test_a_chat_template_needs_the_tokenizer_for_the_completions_api() -> None:
    with fault_server() as server, pytest.raises(UsageError, match="rendered by the tokenizer of 'm', which is not at hand"):
        draw(server, spec=replace(SPEC, model="m", template="boxed"))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (EngineLimits(), "needs the address of a server"),
        (EngineLimits(base_urls=("ftp://host/v1",)), "a base URL reads http://host:port/v1"),
        (EngineLimits(base_urls=("http://host:port/v1",)), "a base URL reads http://host:port/v1"),
        (EngineLimits(base_urls=("https://me:secret@host/v1",)), "must not hold a key or password"),
        (EngineLimits(base_urls=("http://h/v1",), api_key_env="NO_SUCH_KEY"), "NO_SUCH_KEY, named by --api-key-env, is not set"),
        (
            EngineLimits(base_urls=("http://h/v1",), api_key_env="ODD_KEY"),
            "ODD_KEY holds characters that no HTTP header can carry",
        ),
        (
            EngineLimits(base_urls=("http://a/v1", "http://b/v1", "http://c/v1"), api_key_env="KEY_A,KEY_B"),
            "2 keys for 3 base URLs",
        ),
    ],
)
def test_addresses_and_keys_that_cannot_be_used(limits: EngineLimits, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ODD_KEY": "a\nb", "KEY_A": "a", "KEY_B": "b"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)

    async def run() -> None:
        async with open_openai(SPEC, limits, RULES):
            raise AssertionError("opened")

    with pytest.raises(UsageError, match=message) as caught:
        asyncio.run(run())
    assert "secret" not in str(caught.value)


# Keys


def test_keys_are_sent_and_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_A", "alpha-key")
    monkeypatch.setenv("KEY_B", "beta-key")
    with fault_server(["slow:0.05"]) as server:

        async def run() -> None:
            async with open_openai(SPEC, replace(LIMITS, base_urls=(server.url,), api_key_env="KEY_A, KEY_B"), RULES) as engine:
                await asyncio.gather(*(engine.sample(str(i), (), n=1, sampling=SAMPLING) for i in range(6)))

        asyncio.run(run())
    assert sorted(s.headers["authorization"] for s in server.seen) == ["Bearer alpha-key"] * 3 + ["Bearer beta-key"] * 3


@pytest.mark.parametrize("plan", ["401", "401:400", "401:500", "401:429"])
def test_a_planted_key_is_nowhere_to_be_found(
    plan: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    planted = "planted+key/0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", planted)
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []

    async def run(server: FaultServer) -> None:
        async with open_openai(SPEC, replace(LIMITS, base_urls=(server.url,)), RULES) as engine:
            shown.extend([repr(engine), engine.identity, repr(vars(engine)), repr(vars(vars(engine)["_service"].pool))])
            await engine.sample(QUESTION, (), n=2, sampling=SAMPLING)

    with fault_server([plan]) as server, pytest.raises(EngineError) as caught:
        asyncio.run(run(server))
    assert server.seen[0].headers["authorization"] == f"Bearer {planted}"
    shown += [str(caught.value), repr(caught.value), caplog.text, "".join(traceback.format_exception(caught.value))]
    assert "***" in str(caught.value)
    assert not any(planted in text for text in shown)


def test_proxies_of_the_environment_are_not_asked_about_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with fault_server() as server:
        assert draw(server)[0].finish_reason == "stop"


# Chaos


def test_every_sample_comes_through_a_storm_unchanged() -> None:
    storm = ["ok", "429:0.005", "500", "reset", "ok", "truncated_json", "close", "ok", "no_choices", "ok", "short_body", "ok"]

    def plan(seen: Any) -> str:
        tries = sum(s.payload["seed"] == seen.payload["seed"] for s in server.seen)
        return "ok" if tries > 3 else storm[(seen.payload["seed"] >> 7 + tries) % len(storm)]

    plan_: Plan = plan
    with fault_server(plan_) as server:
        stormy = draw(server, n=200, rules=replace(RULES, total=20.0, invalid_attempts=5))
        requests = len(server.seen)
    with fault_server() as server:
        calm = draw(server, n=200)
    assert list(stormy) == list(calm)
    assert requests < 200 * 4
