"""Scores are those of the plain model, in any company: alone, in batches, packed, behind a shared question, in any order."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import prm_third_party_models as published
import pytest
import torch
from prm_families import save_family
from prm_folders import tiny_prm
from prm_scorers import builtin_prm

from openr_data.aggregate import sigmoid
from openr_data.errors import EngineError
from openr_data.prm.build import build
from openr_data.prm.config import LabelReading
from openr_data.prm.encode import Encoded
from openr_data.prm.heads import judging
from openr_data.prm.load import PRM, load_prm
from openr_data.prm.prepare import prepare
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.open import open_scorer
from openr_data.prm.score.transformers import TransformersBackend
from openr_data.prm.train_config import ModelChoice
from openr_data.problems.arithmetic import make_problem, parse_question, write_solution

WAYS: dict[str, dict[str, Any]] = {
    "one batch": {"budget": 100_000, "shared": False},
    "small batches": {"budget": 200, "shared": False},
    "shared": {"budget": 100_000},
    "shared in small batches": {"budget": 150},
    "packed": {"budget": 300, "packed": True, "shared": False},
}


@pytest.fixture(autouse=True, scope="module")
def _single_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def solutions(prm: PRM, questions: int = 3, candidates: int = 4) -> list[Encoded]:
    """Of different lengths, some of them wrong."""
    chance, found = random.Random(0), []
    for number in range(questions):
        problem = make_problem(0, number, difficulty=2 + number)
        steps = write_solution(parse_question(problem.question))
        for _ in range(candidates):
            kept = [*steps[: chance.randint(1, len(steps))]]
            kept[-1] += f" {chance.randint(0, 99)}"
            found.append(prm.encoder.encode(problem.question, tuple(kept)))
    return found


def alone(prm: PRM, batch: Sequence[Encoded]) -> list[tuple[float, ...]]:
    """The plain model, a forward pass for each, everything of transformers' output."""
    found = []
    for one in batch:
        with torch.inference_mode():
            logits = prm.model(input_ids=torch.tensor([one.ids])).logits[0, list(one.reads)].double()
        margins = logits[:, 1] - logits[:, 0] if logits.shape[-1] == 2 else logits[:, 0]
        found.append(tuple(margins.tolist()))
    return found


def assert_same(found: Sequence[Sequence[float]], expected: Sequence[Sequence[float]], tolerance: float = 1e-5) -> None:
    assert [len(row) for row in found] == [len(row) for row in expected]
    pairs = [pair for row, other in zip(found, expected, strict=True) for pair in zip(row, other, strict=True)]
    assert max(abs(a - b) for a, b in pairs) < tolerance
    assert max(abs(sigmoid(a) - sigmoid(b)) for a, b in pairs) < tolerance / 10


@pytest.fixture(scope="module")
def builtin(tmp_path_factory: pytest.TempPathFactory) -> PRM:
    return load_prm(builtin_prm(tmp_path_factory.mktemp("prm")), device="cpu", dtype="float32")


@pytest.mark.parametrize("way", WAYS)
def test_the_built_in_model_scores_the_same_in_any_company(builtin: PRM, way: str) -> None:
    """To 1e-6 in the probability: margins to 4e-6."""
    batch = solutions(builtin)
    expected = [TransformersBackend(builtin, budget=1, shared=False).margins([one])[0] for one in batch]
    assert_same(expected, alone(builtin, batch))
    order = list(range(len(batch)))
    random.Random(1).shuffle(order)
    found = TransformersBackend(builtin, **WAYS[way]).margins([batch[index] for index in order])
    pairs = [(a, b) for index, row in zip(order, found, strict=True) for a, b in zip(row, expected[index], strict=True)]
    assert max(abs(sigmoid(a) - sigmoid(b)) for a, b in pairs) < 1e-6
    assert max(abs(a - b) for a, b in pairs) < 4e-6
    assert len({round(a, 4) for a, _ in pairs}) > len(pairs) // 2, "a model that says one thing of everything shows nothing"


def test_the_same_call_gives_the_same_bits(builtin: PRM) -> None:
    batch = solutions(builtin)
    assert TransformersBackend(builtin).margins(batch) == TransformersBackend(builtin).margins(batch)


def test_nothing_is_told_twice_of_progress_and_work(builtin: PRM) -> None:
    done: list[int] = []
    batch = solutions(builtin)
    backend = TransformersBackend(builtin, budget=300)
    backend.margins(batch, done.append)
    assert sum(done) == len(batch)
    assert len(done) > 1
    whole = TransformersBackend(builtin, budget=300, shared=False)
    whole.margins(batch)
    assert 0 < backend.meter.flops < whole.meter.flops, "a question that is shared is computed once"


@pytest.mark.parametrize("family", ["qwen2", "mistral", "gemma2", "gemma3"])
@pytest.mark.parametrize("way", ["small batches", "shared in small batches", "packed"])
def test_families_score_the_same_in_any_company(family: str, way: str, tmp_path: Path) -> None:
    """Some have a sliding window or capped logits: their questions are not shared, and nothing else changes."""
    prepared = prepare(ModelChoice(base=str(save_family(tmp_path, family))), LabelReading())
    model = judging(build(prepared, dtype=torch.float32).eval(), prepared.config)
    prm = PRM(model, prepared.encoder.tokenizer, prepared.config, prepared.encoder, tmp_path)
    texts = ["We have 3 + 4 = 7.", "So it is 7.", "The answer is 7."]
    batch = [prm.encoder.encode(f"What is 3 + {number}?", tuple(texts[:count])) for number in (4, 5) for count in (3, 1, 2)]
    expected = alone(prm, batch)
    assert_same(TransformersBackend(prm, **WAYS[way]).margins(batch), expected)


@pytest.mark.parametrize("layout", ["qwen", "skywork", "trl", "rlhflow"])
def test_every_head_and_the_dialogue_of_turns_score_the_same_in_any_company(layout: str, tmp_path: Path) -> None:
    folder = getattr(published, layout)(tmp_path)
    prm = load_prm(folder, device="cpu", dtype="float32", style=layout if layout in {"trl", "rlhflow"} else "")
    steps = published.STEPS
    batch = [prm.encoder.encode(published.QUESTION, steps[:count]) for count in (1, 2, 3)]
    expected = alone(prm, batch)
    for way in WAYS.values():
        assert_same(TransformersBackend(prm, **way).margins(batch), expected)


def test_a_bf16_model_scores_close_to_itself_in_float32(builtin: PRM) -> None:
    batch = solutions(builtin, questions=1)
    coarse = load_prm(builtin.folder, device="cpu", dtype="bfloat16")
    found = TransformersBackend(coarse).margins(batch)
    expected = alone(builtin, batch)
    assert max(abs(a - b) for x, y in zip(found, expected, strict=True) for a, b in zip(x, y, strict=True)) < 0.2
    assert len({margin for row in found for margin in row}) > len(batch), "the head is in fp32, so that scores do not tie"


class Small:
    """A model in a memory that holds `room` tokens of one forward pass."""

    def __init__(self, model: Any, room: int) -> None:
        self._model, self.room, self.sizes = model, room, list[int]()
        self.forward = model.forward

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, input_ids: torch.Tensor, **more: Any) -> Any:
        if input_ids.numel() > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        self.sizes.append(input_ids.numel())
        return self._model(input_ids=input_ids, **more)


def small(prm: PRM, room: int) -> PRM:
    return PRM(Small(prm.model, room), prm.tokenizer, prm.config, prm.encoder, prm.folder)


@pytest.mark.parametrize("shared", [True, False])
def test_a_batch_that_does_not_fit_is_halved_and_smaller_ones_follow(builtin: PRM, shared: bool) -> None:
    done: list[int] = []
    batch = solutions(builtin)
    prm = small(builtin, room=400)
    found = TransformersBackend(prm, budget=10_000, shared=shared).margins(batch, done.append)
    assert_same(found, alone(builtin, batch))
    assert sum(done) == len(batch)
    assert max(prm.model.sizes) <= 400


def test_one_solution_that_does_not_fit_is_an_error_with_advice(builtin: PRM) -> None:
    batch = solutions(builtin)
    with pytest.raises(EngineError, match=r"one solution of \d+ tokens does not fit the memory of cpu .* use --dtype bfloat16"):
        TransformersBackend(small(builtin, room=20), shared=False).margins(batch)


def test_questions_that_do_not_fit_are_not_shared(builtin: PRM) -> None:
    """The prompts of a `Sharing` together exceed the memory; each solution alone does not."""
    batch = solutions(builtin, questions=1)
    most = max(len(one.ids) for one in batch)
    prm = small(builtin, room=most)
    assert_same(TransformersBackend(prm, budget=most).margins(batch), alone(builtin, batch))


def test_an_opened_scorer_scores_as_the_plain_model(tmp_path: Path) -> None:
    folder = tiny_prm(tmp_path)
    prm = load_prm(folder, device="cpu", dtype="float32")
    problem = make_problem(0, 0)
    steps = write_solution(parse_question(problem.question))
    scorer = open_scorer(ScorerSpec(str(folder), device="cpu", batch_tokens=64))
    found = scorer.score([(problem.question, steps[:count]) for count in (2, 3)])
    expected = alone(prm, [prm.encoder.encode(problem.question, steps[:count]) for count in (2, 3)])
    assert_same([each.margins for each in found], expected)
    assert found[0].margins == pytest.approx(found[1].margins[:2], abs=1e-6), "a step's score depends on what stands before it"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_scores_as_the_cpu(builtin: PRM) -> None:
    """Probabilities within 1e-5: other kernels add in another order."""
    batch = solutions(builtin)
    there = load_prm(builtin.folder, device="cuda", dtype="float32")
    for way in WAYS.values():
        assert_same(TransformersBackend(there, **way).margins(batch), alone(builtin, batch), 1e-4)
