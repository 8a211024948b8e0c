"""The built-in tokenizer: every text comes back, phrases and digits are single pieces, and nothing is added to a prompt."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from openr_data.engines.builtin.tokenizer import (
    BOS,
    BOS_ID,
    EOS,
    EOS_ID,
    LABELS,
    PAD,
    PAD_ID,
    STEP_TAG,
    build_tokenizer,
    save_tokenizer,
)
from openr_data.engines.prompts import TEMPLATES
from openr_data.problems.arithmetic import make_problem, parse_question, write_solution

TOKENIZER = build_tokenizer()
PHRASES = st.sampled_from(
    ["Step 3: ", " Step 12: ", "wait, ", " + ", " +", " -", "<0x41>", "Ġ", "Ċ", "▁", EOS, STEP_TAG, "\n", "7"]
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    """The tokenizer as anybody loads it: from a folder with a Llama configuration."""
    folder: Path = tmp_path_factory.mktemp("model")
    (folder / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    save_tokenizer(folder)
    return AutoTokenizer.from_pretrained(folder)


@given(st.lists(st.text() | PHRASES, max_size=12).map("".join))
@settings(max_examples=150, deadline=None)
def test_every_text_comes_back(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(text=st.lists(st.text(max_size=10) | PHRASES, max_size=8).map("".join))
@settings(max_examples=40, deadline=None)
def test_a_saved_and_loaded_tokenizer_gives_the_same_tokens(loaded: PreTrainedTokenizerFast, text: str) -> None:
    assert loaded.encode(text) == TOKENIZER.encode(text)
    assert loaded.decode(loaded.encode(text)) == text


def test_special_tokens_are_defined_and_none_is_added(loaded: PreTrainedTokenizerFast) -> None:
    assert (loaded.pad_token, loaded.bos_token, loaded.eos_token) == (PAD, BOS, EOS)
    assert (loaded.pad_token_id, loaded.bos_token_id, loaded.eos_token_id) == (PAD_ID, BOS_ID, EOS_ID) == (0, 1, 2)
    assert loaded.encode(STEP_TAG) == [3]
    assert loaded.encode("a", add_special_tokens=True) == loaded.encode("a", add_special_tokens=False)
    assert loaded.decode(loaded.encode("7" + EOS), skip_special_tokens=True) == "7"


def test_digits_phrases_and_labels_are_single_pieces() -> None:
    pieces = [TOKENIZER.decode([token]) for token in TOKENIZER.encode("Step 4: wait, 85 - 10 = 75")]
    assert pieces == ["Step 4: ", "wait, ", "8", "5", " - ", "1", "0", " = ", "7", "5"]
    assert all(len(TOKENIZER.encode(piece)) == 1 for piece in (*LABELS, STEP_TAG, "The answer is ", "\n"))
    assert TOKENIZER.encode("1 +\n2 -")[1] == TOKENIZER.encode(LABELS[0])[0]


@pytest.mark.parametrize("difficulty", [1, 8, 12])
def test_a_prompt_continued_verbatim_is_encoded_as_in_training(difficulty: int) -> None:
    template, problem = TEMPLATES["builtin"], make_problem(5, 7, difficulty)
    steps = write_solution(parse_question(problem.question))
    whole = TOKENIZER.encode(problem.question + "\n" + "\n".join(steps))
    for end in range(len(steps)):
        prompt = TOKENIZER.encode(template.render(problem.question, steps[:end]))
        assert whole[: len(prompt)] == prompt
