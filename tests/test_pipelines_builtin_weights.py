"""The weights that ship with the package: whole, loadable everywhere, and as good as their recipe says."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from openr_data.engines.builtin import WEIGHTS
from openr_data.engines.builtin.tokenizer import CONTEXT, build_tokenizer
from openr_data.pipelines.builtin_evaluate import BuiltinEvaluation, evaluate_builtin
from openr_data.pipelines.builtin_recipe import checksums, read_recipe
from openr_data.problems.arithmetic import DEFAULT_DIFFICULTY, DIFFICULTIES


def test_the_files_are_those_of_the_recipe_and_small() -> None:
    assert read_recipe(WEIGHTS)["sha256"] == checksums(WEIGHTS)
    assert (WEIGHTS / "model.safetensors").stat().st_size <= 4_000_000
    assert not [path.name for path in Path(WEIGHTS).iterdir() if path.suffix in {".bin", ".pt", ".pkl"}]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_plain_transformers_loads_them(dtype: torch.dtype) -> None:
    loaded: Any = AutoModelForCausalLM.from_pretrained(WEIGHTS, dtype=dtype, output_loading_info=True)
    model, loading = loaded
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
    assert not any(loading[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert (model.config.model_type, model.config.max_position_embeddings) == ("llama", CONTEXT)
    assert tokenizer.get_vocab() == build_tokenizer().get_vocab()
    prompt = torch.tensor([tokenizer.encode("Start with 37. Step 1: add 48. What is the result?\n")])
    written = model.generate(prompt, max_new_tokens=30, do_sample=False)[0, prompt.shape[1] :]
    assert tokenizer.decode(written) == "Step 1: 37 + 48 = 85\nThe answer is 85</s>"


def test_the_recipe_holds_what_the_policy_promises() -> None:
    measured = {int(row["difficulty"]): row for row in read_recipe(WEIGHTS)["evaluation"]["difficulties"]}
    assert set(measured) == set(DIFFICULTIES)
    default = measured[DEFAULT_DIFFICULTY]
    assert 0.40 <= default["accuracy"] <= 0.75
    assert default["pass_at"] >= 0.90
    assert default["recovered"] > 0
    assert {"arithmetic", "operand", "skipped"} <= set(default["kinds"])
    places = {int(line) for line in default["first_errors"]}
    assert places >= set(range(DEFAULT_DIFFICULTY)), "wrong steps are spread over every step"
    solutions = sum(default["lines"].values())
    assert sum(n for lines, n in default["lines"].items() if 5 <= int(lines) <= 12) / solutions > 0.99


def test_the_policy_is_as_good_as_measured() -> None:
    recipe = {int(row["difficulty"]): row for row in read_recipe(WEIGHTS)["evaluation"]["difficulties"]}
    (easy,) = evaluate_builtin(BuiltinEvaluation(problems=40, samples=4, difficulties=(3,), seed=77), WEIGHTS)
    assert easy.accuracy == pytest.approx(recipe[3]["accuracy"], abs=0.12)
