"""A scorer encodes, asks its backend once for each distinct solution, and calibrates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf, nan
from pathlib import Path

import pytest
from prm_folders import tiny_prm

from openr_data.aggregate import sigmoid
from openr_data.errors import UsageError
from openr_data.models.files import BUILTIN
from openr_data.prm.encode import Encoded, Encoder
from openr_data.prm.load import load_encoder
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.identity import identity_of
from openr_data.prm.score.open import open_scorer
from openr_data.prm.score.scorer import ModelScorer, quiet
from openr_data.prm.scores import StepScores

QUESTION = "Start with 3. Step 1: add 4. What is the result?"


@dataclass
class Counting:
    """Says of every step its number."""

    asked: list[Encoded] = field(default_factory=list)
    answer: float | None = None

    def margins(self, batch: Sequence[Encoded], /, on_done: Callable[[int], None] = quiet) -> list[tuple[float, ...]]:
        self.asked += batch
        on_done(len(batch))
        return [tuple(float(step) if self.answer is None else self.answer for step in range(len(one.reads))) for one in batch]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_prm(tmp_path_factory.mktemp("prm"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return load_encoder(folder)


def test_a_request_is_computed_once_and_the_order_is_that_of_the_requests(encoder: Encoder) -> None:
    backend = Counting()
    done: list[int] = []
    scorer = ModelScorer(encoder, backend, "model")
    requests = [(QUESTION, ("a", "b")), (QUESTION, ("a",)), (QUESTION, ("a", "b")), (QUESTION, ()), (QUESTION, ("<step>",))]
    found = scorer.score(requests, done.append)
    assert [each.margins for each in found] == [(0.0, 1.0), (0.0,), (0.0, 1.0), (), ()]
    assert [each.reason for each in found] == ["", "", "", "it has no steps", "its step 1 holds the control token '<step>'"]
    assert len(backend.asked) == 2
    assert sum(done) == len(requests)
    long, short = (len(one.ids) for one in backend.asked)
    assert scorer.meter.tokens == long + short
    assert [each.tokens for each in found] == [long, short, long, 0, 0]


def test_margins_are_calibrated_and_probabilities_follow(encoder: Encoder) -> None:
    """scale 2 and shift -1: a raw margin of 1 becomes 1."""
    calibrated = Encoder(encoder.tokenizer, replace(encoder.config, scale=2.0, shift=-1.0))
    (found,) = ModelScorer(calibrated, Counting(), "model").score([(QUESTION, ("a", "b"))])
    assert found.margins == (-1.0, 1.0)
    assert found.probabilities == pytest.approx((0.2689414213699951, 0.7310585786300049), abs=1e-15)


def test_a_solution_longer_than_the_context_has_a_reason_and_no_score(encoder: Encoder) -> None:
    (found,) = ModelScorer(encoder, Counting(), "model").score([(QUESTION, ("x" * 600,))])
    assert found.margins == ()
    assert "the model's context is 512" in found.reason


@pytest.mark.parametrize("answer", [nan, inf])
def test_an_answer_that_is_no_number_is_no_score(encoder: Encoder, answer: float) -> None:
    read = len(encoder.encode(QUESTION, ("a",)).ids)
    assert ModelScorer(encoder, Counting(answer=answer), "model").score([(QUESTION, ("a",))]) == [
        StepScores((), "the model's answer is not a number", read)
    ]


def test_nothing_is_asked_of_a_backend_for_nothing(encoder: Encoder) -> None:
    assert ModelScorer(encoder, Counting(), "model").score([]) == []


@pytest.mark.parametrize("margin", [-1000.0, -1.0, 0.0, 1.0, 1000.0])
def test_sigmoid_is_symmetric(margin: float) -> None:
    assert sigmoid(margin) + sigmoid(-margin) == pytest.approx(1.0, abs=1e-15)


def test_the_identity_changes_with_weights_configuration_and_number_format(folder: Path, tmp_path: Path) -> None:
    config = load_encoder(folder).config
    other = tiny_prm(tmp_path / "other", seed=1)
    identities = [
        identity_of(folder, config, "float32"),
        identity_of(folder, config, "bfloat16"),
        identity_of(folder, replace(config, shift=0.1), "float32"),
        identity_of(other, config, "float32"),
    ]
    assert len(set(identities)) == len(identities)
    assert identity_of(folder, config, "float32") == identities[0]


def test_what_cannot_be_opened_is_told_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no scoring backend 'tpu'; choose one of: transformers, vllm, http"):
        open_scorer(ScorerSpec(str(folder), backend="tpu"))
    with pytest.raises(UsageError, match="its files do not say how it is asked"):
        open_scorer(ScorerSpec(str(BUILTIN)))
    with pytest.raises(UsageError, match="there is no model folder"):
        open_scorer(ScorerSpec(str(tmp_path / "none")))
