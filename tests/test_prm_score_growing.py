"""Prefixes that grow: only what is new is read, and the scores are those of the whole."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import prm_third_party_models as published
import pytest
import torch
from prm_families import save_family
from prm_scorers import builtin_prm

from openr_data.prm.build import build
from openr_data.prm.builtin import load_builtin
from openr_data.prm.config import LabelReading
from openr_data.prm.encode import Encoded
from openr_data.prm.heads import judging
from openr_data.prm.load import PRM, load_prm
from openr_data.prm.prepare import prepare
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.growing import GrowingBackend
from openr_data.prm.score.open import open_growing, open_scorer
from openr_data.prm.score.states import State, States
from openr_data.prm.score.transformers import TransformersBackend
from openr_data.prm.train_config import ModelChoice

TOLERANCE = 1e-4
QUESTIONS = [f"Start with {number}. Step 1: add {number + 1}. What is the result?" for number in (3, 40, 500)]


def paths(prm: PRM) -> list[list[Encoded]]:
    """Of each solution its prefixes, the shortest first; solutions of a question share steps."""
    chance = random.Random(1)
    found = []
    for question in QUESTIONS:
        for _ in range(4):
            steps = [f"Step {place}: {chance.randint(1, 2)} + 1 = {chance.choice((2, 3, 17))}" for place in range(1, 5)]
            found.append([prm.encoder.encode(question, tuple(steps[:count])) for count in range(1, 5)])
    return found


def whole(prm: PRM, batch: Sequence[Encoded]) -> list[tuple[float, ...]]:
    return [TransformersBackend(prm, shared=False).margins([one])[0] for one in batch]


def assert_close(found: Sequence[Sequence[float]], expected: Sequence[Sequence[float]]) -> None:
    assert [len(row) for row in found] == [len(row) for row in expected]
    assert all(
        abs(a - b) < TOLERANCE for row, other in zip(found, expected, strict=True) for a, b in zip(row, other, strict=True)
    )


def grow(prm: PRM, backend: GrowingBackend, seed: int) -> None:
    """Solutions grow by a step each, in batches of chance; now and then one is asked about again, or two steps at once."""
    chance, left = random.Random(seed), [list(each) for each in paths(prm)]
    while any(left):
        batch = []
        for each in left:
            if each and chance.random() < 0.7:
                batch += [each.pop(0) for _ in range(min(len(each), 2 if chance.random() < 0.2 else 1))][-1:]
        if batch:
            again = [chance.choice(batch)] if chance.random() < 0.3 else []
            assert_close(backend.margins([*batch, *again]), whole(prm, [*batch, *again]))


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> PRM:
    return load_prm(builtin_prm(tmp_path_factory.mktemp("prm")), device="cpu", dtype="float32")


@pytest.mark.parametrize("head", ["token_classification", "value", "likelihood"])
def test_every_head_grows_as_it_scores_the_whole(head: Any) -> None:
    prepared = prepare(ModelChoice(base="builtin", head=head), LabelReading())
    model = judging(build(prepared, dtype=torch.float32).eval(), prepared.config)
    prm = PRM(model, prepared.encoder.tokenizer, prepared.config, prepared.encoder, prepared.folder)
    backend = TransformersBackend(prm).growing()
    assert isinstance(backend, GrowingBackend)
    grow(prm, backend, 0)


@pytest.mark.parametrize("seed", range(3))
def test_a_causal_head_grows_in_any_order_and_company(causal: PRM, seed: int) -> None:
    grow(causal, GrowingBackend(causal, budget=(60, 300, 4000)[seed]), seed)


def test_the_built_in_model_in_float64_is_exact(tmp_path: Path) -> None:
    prm = load_builtin()
    backend = GrowingBackend(prm)
    for count in range(4):
        batch = [each[count] for each in paths(prm)]
        assert_close(backend.margins(batch), whole(prm, batch))


@pytest.mark.parametrize("layout", ["qwen", "skywork", "trl"])
def test_models_of_others_grow_too(layout: str, tmp_path: Path) -> None:
    """Read at other places: before the tag, by a value head, with a start token."""
    prm = load_prm(getattr(published, layout)(tmp_path), device="cpu", dtype="float32", style="trl" if layout == "trl" else "")
    backend = TransformersBackend(prm).growing()
    assert isinstance(backend, GrowingBackend)
    for count in (1, 2, 3):
        batch = [prm.encoder.encode(published.QUESTION, published.STEPS[:count])] * 2
        assert_close(backend.margins(batch), whole(prm, batch))


@pytest.mark.parametrize("family", ["mistral", "gemma2", "gemma3"])
def test_what_cannot_be_kept_is_read_whole(family: str, tmp_path: Path) -> None:
    """A sliding window does not see all keys."""
    prepared = prepare(ModelChoice(base=str(save_family(tmp_path, family))), LabelReading())
    model = judging(build(prepared, dtype=torch.float32).eval(), prepared.config)
    backend = TransformersBackend(PRM(model, prepared.encoder.tokenizer, prepared.config, prepared.encoder, tmp_path))
    grown = backend.growing()
    assert (grown is backend) or family == "mistral"


def test_only_new_tokens_are_read(causal: PRM) -> None:
    """Four prefixes of a solution cost little more than the last one alone; read whole, they cost their sum."""
    grown, plain, once = (
        GrowingBackend(causal),
        TransformersBackend(causal, shared=False),
        TransformersBackend(causal, shared=False),
    )
    solution = paths(causal)[0]
    for prefix in solution:
        grown.margins([prefix])
        plain.margins([prefix])
    once.margins([solution[-1]])
    assert once.meter.flops < grown.meter.flops < 1.3 * once.meter.flops < plain.meter.flops


def test_a_question_that_several_begin_with_is_read_once(causal: PRM) -> None:
    first = [each[0] for each in paths(causal)[:4]]
    grown, plain = GrowingBackend(causal), TransformersBackend(causal, shared=False)
    assert_close(grown.margins(first), plain.margins(first))
    assert grown.meter.flops < 0.7 * plain.meter.flops


def test_little_room_changes_no_score(causal: PRM) -> None:
    one = GrowingBackend(causal)
    one.margins([paths(causal)[0][0]])
    backend = GrowingBackend(causal, room=3 * one.states.used)
    grow(causal, backend, 4)
    assert 0 < backend.states.used <= backend.states.room


def test_where_the_memory_ends_everything_is_read_whole(causal: PRM, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = GrowingBackend(causal)
    batch = [each[1] for each in paths(causal)]

    def full(_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(backend, "_extend", full)
    assert_close(backend.margins(batch), whole(causal, batch))
    assert backend.states.used == 0


def test_states_leave_in_the_order_in_which_they_were_used() -> None:
    states = States(room=100)
    one = State(2, torch.zeros(2, 1, 2, 2), ())  # 32 bytes
    for name in (1, 2, 3):
        states.put((name,), one)
    assert states.get((1,)) is one
    states.put((4,), one)
    assert [states.get((name,)) is not None for name in (1, 2, 3, 4)] == [True, False, True, True]
    states.put((5,), State(2, torch.zeros(1000), ()))
    assert states.get((5,)) is None
    states.clear()
    assert (states.used, states.get((1,))) == (0, None)


def test_an_opened_scorer_grows_and_prm_score_does_not(tmp_path: Path) -> None:
    spec = ScorerSpec(str(builtin_prm(tmp_path)), dtype="float32", device="cpu")
    assert isinstance(open_growing(spec).backend, GrowingBackend)
    assert not isinstance(open_scorer(spec).backend, GrowingBackend)
    assert open_growing(spec).identity == open_scorer(spec).identity
