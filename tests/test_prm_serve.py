"""The options of vLLM for each head, as a command and as a request. The vllm tier tests them with a real vLLM."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import prm_third_party_models as made
import pytest
from prm_scorers import builtin_prm

from openr_data.errors import UsageError
from openr_data.prm.load import load_encoder
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.open import open_scorer
from openr_data.prm.score.pooling import engine_options, refuse_old
from openr_data.prm.score.vllm import architecture_of
from openr_data.prm.serve import EXAMPLE, service_of

CAUSAL = {"method": "from_2_way_softmax"}


def options(folder: Path, style: str = "", *, on_cpu: bool = False) -> dict[str, Any]:
    return engine_options(load_encoder(folder, style), architecture_of(folder), "bfloat16", on_cpu=on_cpu)


def test_a_causal_model_with_a_control_tag_is_a_classifier_of_two_tokens_pooled_at_tags(tmp_path: Path) -> None:
    config = load_encoder(builtin_prm(tmp_path)).config
    assert options(tmp_path) == {
        "runner": "pooling",
        "convert": "classify",
        "dtype": "bfloat16",
        "trust_remote_code": False,
        "max_model_len": 512,
        "hf_overrides": {"classifier_from_token": ["Ġ-", "Ġ+"], **CAUSAL},  # vocabulary keys, the bad one first
        "pooler_config": {
            "task": "token_classify",
            "tok_pooling_type": "STEP",
            "step_tag_id": config.tag_id,
            "use_activation": False,
        },
    }


@pytest.mark.parametrize(
    ("make", "style", "tokens"),
    [
        (made.math_shepherd, "math-shepherd", ["▁-", "▁+"]),
        (made.rlhflow, "rlhflow", ["-", "+"]),
        (made.openr, "openr", ["Ġ-", "Ġ+"]),
        (made.openr, "openr-published", ["Ġ-", "Ġ+"]),
    ],
)
def test_tags_that_may_stand_in_a_text_are_not_left_to_vllm(
    make: Callable[[Path], Path], style: str, tokens: list[str], tmp_path: Path
) -> None:
    found = options(make(tmp_path), style)
    assert found["pooler_config"] == {"task": "token_classify", "tok_pooling_type": "ALL", "use_activation": False}
    assert found["hf_overrides"] == {"classifier_from_token": tokens, **CAUSAL}


def test_heads_that_vllm_has_are_not_converted(tmp_path: Path) -> None:
    qwen, trl = options(made.qwen(tmp_path / "qwen")), options(made.trl(tmp_path / "trl"), "trl")
    assert "convert" not in {*qwen, *trl}
    assert "hf_overrides" not in {*qwen, *trl}
    assert (qwen["pooler_config"]["tok_pooling_type"], trl["pooler_config"]["tok_pooling_type"]) == ("STEP", "ALL")


def test_heads_that_vllm_has_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="vLLM has no value head"):
        options(made.skywork(tmp_path / "skywork"))
    with pytest.raises(UsageError, match="no 'LlamaForProcessRewardModel'; export the model to token classification"):
        engine_options(load_encoder(made.qwen(tmp_path / "qwen")), "LlamaForProcessRewardModel", "float32", on_cpu=True)


def test_on_a_cpu_the_cache_is_bounded_unless_the_user_says_how_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = builtin_prm(tmp_path)
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    assert options(folder, on_cpu=True).items() >= {"enforce_eager": True, "kv_cache_memory_bytes": 1 << 30}.items()
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "4")
    assert "kv_cache_memory_bytes" not in options(folder, on_cpu=True)


def test_a_context_of_more_than_the_memory_may_hold_is_left_to_vllm(tmp_path: Path) -> None:
    assert options(made.trl(tmp_path, max_position_embeddings=131072), "trl")["max_model_len"] == -1


def test_the_command_and_the_request(tmp_path: Path) -> None:
    folder = builtin_prm(tmp_path / "my prm")
    service = service_of(str(folder), host="0.0.0.0", port=8123, dtype="float32", extra=("--max-num-seqs", "4"))  # noqa: S104
    words = list(service.command)
    assert words[:3] == [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    assert words[-2:] == ["--max-num-seqs", "4"]
    flags = {word: value for word, value in pairwise(words) if word.startswith("--")}
    assert (flags["--model"], flags["--served-model-name"], flags["--port"]) == (str(folder), str(folder), "8123")
    assert (flags["--runner"], flags["--convert"], flags["--dtype"]) == ("pooling", "classify", "float32")
    assert json.loads(flags["--pooler-config"])["use_activation"] is False
    assert json.loads(flags["--hf-overrides"])["method"] == "from_2_way_softmax"
    assert "--trust-remote-code" not in words
    assert shlex.split(service.shell) == words
    curl = shlex.split(service.curl)
    assert curl[:2] == ["curl", "http://127.0.0.1:8123/pooling"]
    body = json.loads(curl[-1])
    assert body["input"] == [list(load_encoder(folder).encode(*EXAMPLE).ids)]
    assert (body["model"], body["task"], body["use_activation"]) == (str(folder), "token_classify", False)


def test_vllm_that_is_missing_or_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openr_data.prm.score.vllm.find_spec", lambda _name: None)
    with pytest.raises(UsageError, match="needs vLLM, which is not installed"):
        open_scorer(ScorerSpec(str(tmp_path), backend="vllm"))
    with pytest.raises(UsageError, match=r"vLLM 0\.29\.1 is too old to score steps; install 0\.30 or later"):
        refuse_old("0.29.1")
    for fitting in ("0.30.0", "0.32.0+cpu", "1.0", "dev"):
        refuse_old(fitting)
