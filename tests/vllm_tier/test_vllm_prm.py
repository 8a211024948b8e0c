"""A real vLLM scores steps as transformers does, in this process and over HTTP, for every head that it can serve."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prm_scorers import builtin_prm, config_of

from openr_data.aggregate import sigmoid
from openr_data.errors import EngineError
from openr_data.prm.export import export
from openr_data.prm.load import load_prm, read_config
from openr_data.prm.score.base import Scorer, ScorerSpec
from openr_data.prm.score.open import open_scorer
from openr_data.prm.score.scorer import ModelScorer
from openr_data.prm.score.vllm import VllmBackend
from openr_data.prm.serve import service_of

pytestmark = pytest.mark.vllm

QUESTIONS = (
    "Start with 37. Step 1: add 48. Step 2: multiply by 6. What is the result?",
    "Start with 12. Step 1: multiply by 7. What is the result?",
)
SOLUTIONS = (
    ("37 + 48 = 85", "85 * 6 = 510", "The answer is 510."),
    ("37 + 48 = 75",),
    ("12 * 7 = 84", "", "The answer is + 84 - 0."),
    ("12 * 7 = 94", "94 + 0 = 94"),
)
REQUESTS = [(question, steps) for question in QUESTIONS for steps in SOLUTIONS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builtin_prm(tmp_path_factory.mktemp("prm"))


@pytest.fixture(scope="module")
def url(folder: Path, serving: Any) -> Iterator[str]:
    """A server started by the command of `prm serve`."""
    with serving(lambda port: service_of(str(folder), port=port, dtype="float32").command, folder / "server.log") as url:
        yield url


def here(folder: Path) -> list[tuple[float, ...]]:
    return _margins(open_scorer(ScorerSpec(str(folder), device="cpu", dtype="float32")))


def _margins(scorer: Scorer) -> list[tuple[float, ...]]:
    done: list[int] = []
    scores = scorer.score(REQUESTS, done.append)
    assert sum(done) == len(REQUESTS)
    assert [each.reason for each in scores] == [""] * len(REQUESTS)
    return [each.margins for each in scores]


def _close_to(expected: list[tuple[float, ...]]) -> list[object]:
    return [pytest.approx(each, abs=1e-5) for each in expected]


def _scores(margins: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Of two columns near 20, fp32 gives a difference that is off by 1e-5 on some processors; a probability is not."""
    return [tuple(map(sigmoid, each)) for each in margins]


def test_over_http(folder: Path, url: str) -> None:
    scorer = open_scorer(ScorerSpec(str(folder), backend="http", base_url=url))
    assert _margins(scorer) == _close_to(here(folder))
    (long,) = scorer.score([(QUESTIONS[0], ("1" * 600,))])
    assert "and the model's context is 512" in long.reason


def test_in_this_process(folder: Path) -> None:
    scorer = open_scorer(ScorerSpec(str(folder), backend="vllm", dtype="float32"))
    assert _margins(scorer) == _close_to(here(folder))
    assert isinstance(scorer, ModelScorer)
    assert isinstance(scorer.backend, VllmBackend)
    row = scorer.encoder.encode(*REQUESTS[0])
    scorer.backend._at_tags = False
    with pytest.raises(EngineError, match="vLLM answered 3 rows for a solution of 3 steps"):
        scorer.backend.margins([row])


def test_a_tag_that_may_stand_in_a_text_and_is_read_before(folder: Path, tmp_path: Path) -> None:
    """The same weights, judged before a line break: all rows come back, and the place of each step decides."""
    config_of(folder, tag="\n", tag_id=read_tag(folder), read_offset=-1).save(builtin_prm(tmp_path))
    expected = here(tmp_path)
    assert _margins(open_scorer(ScorerSpec(str(tmp_path), backend="vllm", dtype="float32"))) == _close_to(expected)
    assert expected != here(folder)


def read_tag(folder: Path) -> int:
    (token,) = load_prm(folder, device="cpu", dtype="float32").tokenizer.encode("\n", add_special_tokens=False)
    return int(token)


@pytest.mark.parametrize("layout", ["token-classification", "qwen-prm"])
def test_exported_layouts(layout: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / layout
    export(load_prm(folder, device="cpu", dtype="float32"), layout, out)
    assert read_config(out).head == {"token-classification": "token_classification", "qwen-prm": "process_reward"}[layout]
    found = _margins(open_scorer(ScorerSpec(str(out), backend="vllm", dtype="float32")))
    for other in (here(out), here(folder)):
        assert _scores(found) == _close_to(_scores(other))
