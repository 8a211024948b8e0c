"""Training of the built-in policy, at a size of seconds: learning, resuming, refusing, and the data it sees."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from openr_data.engines.builtin.tokenizer import CONTEXT, build_tokenizer
from openr_data.errors import InputError, RunDirError
from openr_data.pipelines import builtin_attention
from openr_data.pipelines.builtin_batches import IGNORE, Batches, encode
from openr_data.pipelines.builtin_config import BuiltinTraining, SlipRates
from openr_data.pipelines.builtin_data import Example, Line, draw_example, own_example, perturb
from openr_data.pipelines.builtin_model import build_model, use_attention
from openr_data.pipelines.builtin_recipe import checksums, read_recipe
from openr_data.pipelines.builtin_train import Training, TrainingProgress, rate_factor, train_builtin
from openr_data.problems.arithmetic import draw_question, split_of, write_solution
from openr_data.problems.oracle import judge

TINY = BuiltinTraining(
    steps=16,
    finish_steps=8,
    batch=4,
    hidden=32,
    layers=1,
    heads=2,
    intermediate=32,
    own_from=0.4,
    own_refresh=4,
    checkpoint_every=8,
    warmup=2,
)
SLIPS = SlipRates(masked=0.3, arithmetic=0.1, operand=0.1, skipped=0.1, revise=0.5, revise_skipped=0.5)


class _KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_builtin(TINY, tmp_path_factory.mktemp("whole"))


def test_a_run_that_was_killed_goes_on_to_the_same_weights(trained: Path, tmp_path: Path) -> None:
    def kill(progress: TrainingProgress) -> None:
        if progress.step > 8:
            raise _KilledError

    with pytest.raises(_KilledError):
        train_builtin(TINY, tmp_path, kill)
    assert (tmp_path / "latest" / "model.safetensors").exists()
    assert not (tmp_path / "model.safetensors").exists()
    train_builtin(TINY, tmp_path)
    assert checksums(tmp_path) == checksums(trained)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    def kill(_: TrainingProgress) -> None:
        raise _KilledError

    train_builtin(replace(TINY, steps=8, finish_steps=0), tmp_path)
    torch.save(Training(TINY).state(), tmp_path / "checkpoint.pt")
    with pytest.raises(RunDirError, match="hidden, seed"):
        train_builtin(replace(TINY, seed=2, hidden=64), tmp_path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_result_loads_as_any_llama(trained: Path, dtype: torch.dtype) -> None:
    model = AutoModelForCausalLM.from_pretrained(trained, dtype=dtype)
    tokenizer = AutoTokenizer.from_pretrained(trained)
    assert model.config.model_type == "llama"
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert model(torch.tensor([tokenizer.encode("Step 1: 3")])).logits.shape[-1] >= len(tokenizer)


def test_the_recipe_names_configuration_size_and_checksums(trained: Path, tmp_path: Path) -> None:
    recipe = read_recipe(trained)
    assert recipe["sha256"] == checksums(trained)
    assert recipe["training"]["slips"] == json.loads(json.dumps({f: getattr(TINY.slips, f) for f in TINY.slips.__slots__}))
    assert recipe["parameters"] > 0 < recipe["tokens"]
    with pytest.raises(InputError, match="builtin train"):
        read_recipe(tmp_path)


def test_the_loss_falls(tmp_path: Path) -> None:
    seen: list[TrainingProgress] = []
    train_builtin(replace(TINY, steps=40, finish_steps=0, own_share=0.0), tmp_path, seen.append)
    assert seen[-1].loss < 0.7 * seen[0].loss
    assert seen[-1].step == 40
    assert seen[-1].eta_seconds == 0
    assert "step 40/40" in str(seen[-1])


def test_the_rates_warm_up_stay_and_fall() -> None:
    config = replace(TINY, steps=100, warmup=10, decay=0.4, finish_steps=50, finish_rate=0.4)
    rates = [round(rate_factor(config, step), 3) for step in (0, 9, 50, 80, 99, 100, 125, 150)]
    assert rates == [0.1, 1.0, 1.0, 0.5, 0.025, 0.04, 0.2, 0.0]


def test_the_training_attention_is_causal_attention() -> None:
    model = build_model(TINY, build_tokenizer()).eval()
    tokens = torch.randint(4, 300, (3, 17), generator=torch.Generator().manual_seed(0))
    assert model.config._attn_implementation == builtin_attention.NAME
    ours = model(tokens, use_cache=False).logits
    use_attention(model, training=False)
    torch.testing.assert_close(ours, model(tokens, use_cache=False).logits, atol=1e-5, rtol=1e-4)


@given(st.integers(0, 10**6), st.integers(1, 12))
@settings(max_examples=100, deadline=None)
def test_slips_are_errors_for_the_oracle_and_unlearnt_lines_are_never_right(seed: int, difficulty: int) -> None:
    program = draw_question(0, seed, difficulty, "train")
    example = draw_example(Random(seed), program, SLIPS)
    judged = judge(program.question, [line.text for line in example.lines])
    assert all(kind is not None for kind, line in zip(judged.kinds, example.lines, strict=True) if not line.learn)
    assert set(judged.kinds) <= {None, "arithmetic", "operand", "operation", "skipped"}
    revised = [index for index, revision in enumerate(judged.revisions) if revision]
    assert all(judged.kinds[index - 1] is not None and judged.kinds[index] is None for index in revised)


def test_without_slips_a_training_solution_is_the_correct_one() -> None:
    program = draw_question(0, 1, 7, "train")
    example = draw_example(Random(0), program, SlipRates(0, 0, 0, 0))
    assert tuple(line.text for line in example.lines) == write_solution(program)


@pytest.mark.parametrize("revise", [0.0, 1.0])
def test_an_own_solution_is_cut_at_its_first_error_and_revised_or_carried_on_from(revise: float) -> None:
    program = draw_question(0, 5, 6, "train")
    steps = list(write_solution(program))
    head, value = steps[2].split(" = ")
    steps[2] = f"{head} = {int(value) + 1}"
    example = own_example(Random(0), program, steps, judge(program.question, steps), revise)
    assert example is not None
    judged = judge(program.question, [line.text for line in example.lines])
    assert [line.text for line in example.lines[:3]] == steps[:3]
    assert [line.learn for line in example.lines] == [index != 2 for index in range(len(example.lines))]
    assert judged.kinds == (None, None, "arithmetic", *[None] * (len(example.lines) - 3))
    assert judged.revisions[3] == (revise == 1.0)
    assert revise == 0.0 or judged.right


def test_own_solutions_that_cannot_be_carried_on_are_dropped_and_right_ones_kept_whole() -> None:
    program = draw_question(0, 5, 3, "train")
    steps = write_solution(program)
    whole = own_example(Random(0), program, steps, judge(program.question, steps), 0.5)
    assert whole == Example(program.question, tuple(Line(step) for step in steps))
    for bad in ((*steps[:-1], "The answer is 1234"), ("hello", *steps), ("Step 9: 1 + 1 = 2", *steps)):
        assert own_example(Random(0), program, bad, judge(program.question, bad), 0.5) is None


def test_targets_cover_the_learnt_lines_and_the_end_only() -> None:
    tokenizer = build_tokenizer()
    example = Example("Start with 3.", (Line("Step 1: 3 + 4 = 8", learn=False), Line("The answer is 8")))
    ((tokens, targets),) = encode(tokenizer, [example])
    assert tokenizer.decode(tokens) == "Start with 3.\nStep 1: 3 + 4 = 8\nThe answer is 8</s>"
    assert tokenizer.decode([target for target in targets if target != IGNORE]) == "The answer is 8</s>"
    assert [token for token, target in zip(tokens, targets, strict=True) if target not in {IGNORE, token}] == []


def test_batches_hold_training_questions_within_the_context_and_follow_the_curriculum() -> None:
    tokenizer = build_tokenizer()
    batches = Batches(TINY, tokenizer)
    assert [batches.operations(step) for step in (0, TINY.steps)] == [2, 12]
    for tokens, targets in batches.pool(TINY.steps):
        assert tokens.shape == targets.shape
        assert tokens.shape[1] <= CONTEXT
        questions = [str(tokenizer.decode(row)).split("\n")[0] for row in tokens]
        assert {split_of(question) for question in questions} == {"train"}


@given(st.integers(-9999, 9999), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_a_perturbed_number_is_another_one(value: int, seed: int) -> None:
    assert perturb(Random(seed), value) != value
