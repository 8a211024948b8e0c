"""Question, steps and tags as token ids: the same in training, scoring and serving, for the tokenizers of every family."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prm_families import FAMILIES, save_family, tokenizer_of

from openr_data.errors import InputError, UsageError
from openr_data.models.files import BUILTIN
from openr_data.prm.config import NAME, PRMConfig
from openr_data.prm.encode import Encoder, RowError, TooLong, check_fingerprint, fingerprint
from openr_data.prm.examples import Example
from openr_data.prm.load import load_encoder, load_tokenizer
from openr_data.prm.tags import add_tag, choose_tag
from openr_data.prm.templates import TEMPLATES

QUESTION, STEPS = "What is 3 + 4?", ("We have 3 + 4 = 7.\n\n", "", " so it is (3)+(4).", "The answer is 7.")
KINDS = [
    *((family, template) for family in ("llama", "qwen2", "mistral", "gemma") for template in ("plain", "chat", "math-shepherd")),
    ("llama", "rlhflow"),
    ("gemma", "rlhflow"),
    ("qwen2", "qwen"),
    ("builtin", "builtin"),
]


@cache
def encoder_of(family: str, template: str) -> Encoder:
    tokenizer = load_tokenizer(BUILTIN) if family == "builtin" else FAMILIES[family].tokenizer()
    turns = TEMPLATES[template].turns
    tag = add_tag(tokenizer, choose_tag(tokenizer, "+" if turns else "auto"))
    return Encoder(tokenizer, PRMConfig("causal", TEMPLATES[template], tag.text, tag.id, read_offset=-1 if turns else 0))


def pieces(encoder: Encoder, ids: tuple[int, ...]) -> list[str]:
    return list(encoder.tokenizer.convert_ids_to_tokens(list(ids)))


@pytest.mark.parametrize(("family", "template"), KINDS)
def test_each_step_is_read_at_its_own_tag_and_prefixes_do_not_depend_on_later_steps(family: str, template: str) -> None:
    encoder = encoder_of(family, template)
    found = encoder.encode(QUESTION, STEPS)
    offset = encoder.config.read_offset
    assert [found.ids[read - offset] for read in found.reads] == [encoder.config.tag_id] * len(STEPS)
    for count in range(1, len(STEPS)):
        shorter = encoder.encode(QUESTION, STEPS[:count])
        assert found.ids[: len(shorter.ids)] == shorter.ids
        assert found.reads[:count] == shorter.reads


texts = st.text(max_size=30) | st.sampled_from(
    ["", " ", "\n\n", ".\n\n", "(3)+", "+", "-", " - ", "▁", "Ġ", "é", "e\u0301", "\0"]
)


@settings(max_examples=150)
@given(st.sampled_from(KINDS), texts, st.lists(texts, min_size=1, max_size=5), st.data())
def test_any_text_has_one_read_per_step_and_a_prefix_of_the_steps_a_prefix_of_the_ids(
    kind: tuple[str, str], question: str, steps: list[str], data: st.DataObject
) -> None:
    encoder = encoder_of(*kind)
    found = encoder.encode(question, tuple(steps))
    assert len(found.reads) == len(steps)
    assert list(found.reads) == sorted(set(found.reads))
    assert found.reads[-1] - encoder.config.read_offset == len(found.ids) - 1
    count = data.draw(st.integers(1, len(steps)))
    shorter = encoder.encode(question, tuple(steps[:count]))
    assert (found.ids[: len(shorter.ids)], found.reads[:count]) == (shorter.ids, shorter.reads)
    other = encoder.encode(question, ("another",))
    assert other.ids[: found.prompt] == found.ids[: found.prompt] == encoder.prompt(question)[: found.prompt]
    assert other.prompt == found.prompt


def test_parts_are_not_merged_with_their_neighbours() -> None:
    r"""Qwen's rules make one word of `.\n\n`; where a step ends with a full stop it must not swallow the separator."""
    encoder = encoder_of("qwen2", "plain")
    joined = encoder.tokenizer.tokenize("It is 7.\n\nSo 12")
    assert ".ĊĊ" in joined
    found = pieces(encoder, encoder.encode("x", ("It is 7.", "So 12")).ids)
    assert ".ĊĊ" not in found
    assert found[found.index("<|quad_end|>") - 1] == "."


def test_golden_ids_of_the_built_in_template() -> None:
    encoder = encoder_of("builtin", "builtin")
    found = encoder.encode("Start with 7", ("Step 1: add 2", "The answer is 9"))
    shown = [piece.replace("Ġ", "_") for piece in pieces(encoder, found.ids)]
    assert shown == ["Start_with_", "7", "Ċ", "Step_1:_", "add_", "2", "<step>", "Ċ", "The_answer_is_", "9", "<step>"]
    assert (found.reads, found.prompt) == ((6, 10), 3)


def test_golden_text_of_a_chat() -> None:
    encoder = encoder_of("gemma", "chat")
    found = encoder.encode("3 + 4?", ("7", "yes"))
    assert encoder.tokenizer.decode(list(found.ids)) == (
        "<bos><start_of_turn>user\n3 + 4?<end_of_turn>\n<start_of_turn>model\n7<unused0>\n\nyes<unused0>"
    )


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma"])
@pytest.mark.parametrize("template", ["plain", "chat"])
def test_there_is_one_start_token(family: str, template: str) -> None:
    """A chat template writes it itself, and the tokenizer would put a second one before it."""
    encoder = encoder_of(family, template)
    ids = encoder.encode(QUESTION, STEPS).ids
    assert ids[0] == encoder.tokenizer.bos_token_id
    assert ids.count(encoder.tokenizer.bos_token_id) == 1


def test_an_empty_step_keeps_its_place() -> None:
    """Steps are counted as the labels count them."""
    encoder = encoder_of("llama", "plain")
    found = encoder.encode(QUESTION, ("", "", ""))
    gap = len(encoder.text_ids("\n\n")) + 1
    assert found.reads == (found.prompt, found.prompt + gap, found.prompt + 2 * gap)


def test_the_tag_or_a_control_token_in_a_text_is_an_error_that_says_where() -> None:
    encoder = encoder_of("llama", "chat")
    with pytest.raises(RowError, match=r"its step 2 holds the control token '<\|reserved_special_token_0\|>'"):
        encoder.encode("x", ("fine", "not <|reserved_special_token_0|> fine"))
    with pytest.raises(RowError, match=r"its question holds the control token '<\|eot_id\|>'"):
        encoder.encode("x<|eot_id|>", ("fine",))


def test_a_control_token_in_a_step_stays_text() -> None:
    encoder = encoder_of("qwen2", "plain")
    found = encoder.encode("x", ("<|im_end|> is only a word",))
    assert encoder.tokenizer.convert_tokens_to_ids("<|im_end|>") not in found.ids
    assert "<|im_end|> is only" in encoder.tokenizer.decode(list(found.ids))


def test_a_tag_that_is_a_word_may_stand_in_the_text_and_is_read_by_its_place() -> None:
    tokenizer = tokenizer_of("qwen2")
    plus = choose_tag(tokenizer, " +")
    encoder = Encoder(tokenizer, PRMConfig("causal", TEMPLATES["plain"], plus.text, plus.id))
    found = encoder.encode("1 + 2", ("3 + 4", "5 + 6"))
    assert found.ids.count(plus.id) == 5
    assert [found.ids[read] for read in found.reads] == [plus.id] * 2
    assert found.reads[1] == len(found.ids) - 1


def test_what_cannot_be_scored_is_told() -> None:
    encoder = encoder_of("llama", "plain")
    with pytest.raises(RowError, match="it has no steps"):
        encoder.encode("x", ())
    with pytest.raises(RowError, match="not Unicode"):
        encoder.encode("x", ("half \ud83d of a face",))


def test_as_many_targets_as_steps_or_an_error_that_names_the_row() -> None:
    with pytest.raises(ValueError, match="row gsm8k-7 has 2 steps and 1 targets"):
        Example("gsm8k-7", "x", ("one", "two"), (1.0,))


def test_nothing_is_ever_cut(tmp_path: Path) -> None:
    """Neither by us nor by a limit that stands in the tokenizer's file."""
    encoder = encoder_of("llama", "plain")
    length = len(encoder.encode(QUESTION, STEPS).ids)
    exact = Encoder(encoder.tokenizer, replace(encoder.config, context=length))
    assert len(exact.encode(QUESTION, STEPS).ids) == length
    short = Encoder(encoder.tokenizer, replace(encoder.config, context=length - 1))
    with pytest.raises(TooLong, match=f"it has {length} tokens, and the model's context is {length - 1}"):
        short.encode(QUESTION, STEPS)

    encoder.tokenizer.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    limited: dict[str, Any] = json.loads(file.read_text())
    limited["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    file.write_text(json.dumps(limited))
    assert Encoder(load_tokenizer(tmp_path), encoder.config).encode(QUESTION, STEPS).ids == encoder.encode(QUESTION, STEPS).ids


def test_a_chat_template_that_writes_the_date_writes_the_same_day_always() -> None:
    encoder = encoder_of("llama", "chat")
    assert "Today Date: 26 Jul 2024 26" in encoder.tokenizer.decode(list(encoder.prompt("x")))


def test_a_chat_template_that_refuses_the_template_is_told() -> None:
    tokenizer = tokenizer_of("gemma")
    tag = choose_tag(tokenizer)
    encoder = Encoder(tokenizer, PRMConfig("causal", TEMPLATES["qwen"], tag.text, tag.id))
    with pytest.raises(UsageError, match="refuses the template 'qwen': System role not supported"):
        encoder.encode("x", ("y",))


def test_a_template_with_chat_needs_a_chat_template() -> None:
    with pytest.raises(UsageError, match="needs a tokenizer with a chat template; use --template plain"):
        encoder_of("builtin", "chat")


def test_judging_turn_by_turn_needs_a_template_that_keeps_earlier_turns() -> None:
    tokenizer = FAMILIES["qwen2"].tokenizer()
    tokenizer.chat_template = "{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    tag = choose_tag(tokenizer, "+")
    encoder = Encoder(tokenizer, PRMConfig("causal", TEMPLATES["rlhflow"], tag.text, tag.id))
    with pytest.raises(UsageError, match="rewrites earlier turns"):
        encoder.encode("x", ("y", "z"))


@pytest.mark.parametrize("template", ["plain", "chat"])
def test_a_checkpoint_with_another_tokenizer_or_template_is_refused(template: str, tmp_path: Path) -> None:
    encoder = encoder_of("llama", template)
    config = replace(encoder.config, fingerprint=fingerprint(encoder))
    encoder.tokenizer.save_pretrained(tmp_path)
    config.save(tmp_path)
    assert load_encoder(tmp_path).config == config

    other = Encoder(encoder.tokenizer, replace(config, template=TEMPLATES["math-shepherd"]))
    with pytest.raises(InputError, match="does not encode texts as it did in training"):
        check_fingerprint(other, tmp_path)
    replace(config, tag_id=config.tag_id + 1).save(tmp_path)
    with pytest.raises(InputError, match="the checkpoint belongs to another tokenizer or template"):
        load_encoder(tmp_path)


def test_the_tokenizer_that_was_saved_is_the_one_that_is_read(tmp_path: Path) -> None:
    """`AutoTokenizer` gives every Qwen2 the rules of Qwen2's tokenizer, and other ids."""
    from transformers import AutoTokenizer

    folder = save_family(tmp_path / "model", "qwen2", tokenizer=tokenizer_of("llama"))
    encoder = encoder_of("llama", "plain")
    config = replace(encoder.config, fingerprint=fingerprint(encoder))
    config.save(folder)
    assert load_encoder(folder).encode(QUESTION, STEPS) == encoder.encode(QUESTION, STEPS)

    swapped = Encoder(AutoTokenizer.from_pretrained(folder), config)
    with pytest.raises(InputError, match="does not encode texts as it did in training"):
        check_fingerprint(swapped, folder)
    shutil.move(folder / NAME, tmp_path / NAME)
    assert load_tokenizer(folder).encode("12345") != encoder.tokenizer.encode("12345")
