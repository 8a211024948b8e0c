"""Tokens and back: the text of a completion is exact, and stop strings cut it exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from local_models import CHAT_TEMPLATE, byte_tokenizer, metaspace_tokenizer

from openr_data.engines.local_text import StopRule, TextSide, load_text_side
from openr_data.engines.prompts import TEMPLATES
from openr_data.errors import UsageError

BYTES = TextSide(byte_tokenizer(), TEMPLATES["plain"])
WORDS = TextSide(metaspace_tokenizer(), TEMPLATES["plain"])
CHAT = TextSide(byte_tokenizer(chat_template=CHAT_TEMPLATE), TEMPLATES["boxed-user"])
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=30)


@settings(max_examples=80, deadline=None)
@given(TEXT.filter(bool), TEXT)
def test_a_continuation_comes_back_byte_for_byte(prompt: str, written: str) -> None:
    assert BYTES.continuation(BYTES.encode(prompt), BYTES.encode(written)) == written


@pytest.mark.parametrize("written", [" the answer is 42", "the answer", " 4 = 2 + 2.", "é so \N{PARTY POPPER}", "  two spaces"])
def test_a_leading_space_survives_a_decoder_that_strips_it(written: str) -> None:
    prompt = "s = 4"
    whole, start = WORDS.encode(prompt + written), WORDS.encode(prompt)
    assert whole[: len(start)] == start
    assert WORDS.continuation(start, whole[len(start) :]) == written


def test_an_unfinished_character_is_left_out() -> None:
    ids = BYTES.encode("4 é")
    assert BYTES.continuation(BYTES.encode("a"), ids[:-1], complete=False) == "4 "
    assert BYTES.continuation(BYTES.encode("a"), ids) == "4 é"


def test_special_tokens_are_no_text() -> None:
    ids = [*BYTES.encode("so"), BYTES.tokenizer.eos_token_id]
    assert BYTES.continuation(BYTES.encode("a"), ids) == "so"


@settings(max_examples=60, deadline=None)
@given(TEXT)
def test_pieces_join_to_the_text(text: str) -> None:
    for side in (BYTES, WORDS):
        pieces = side.pieces(text)
        assert "".join(pieces) == text
        assert all(pieces)


def test_pieces_are_tokens() -> None:
    assert list(BYTES.pieces("Step 1: 3 + 4\n\né")) == ["Step 1: ", "3", " + ", "4", "\n\n", "é"]


def rule(strings: tuple[str, ...], prompt: str = "Question") -> StopRule:
    made = BYTES.stop_rule(strings, prompt)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("strings", "prompt", "text", "cut"),
    [
        (("END",), "a", "so END of END", 3),
        (("END",), "a", "no end", None),
        (("abcd", "bc"), "x", "abcd", 1),  # `bc` is complete first
        (("cd", "abcd"), "x", "abcd", 0),  # both at once: the longer begins earlier
        (("\n\nQ:",), "one\n", "\nQ: two", 0),  # begins in the prompt
        (("END",), "END", " more", None),  # stands in the prompt alone
        (("é!",), "x", "café! yes", 3),
    ],
)
def test_stop_strings(strings: tuple[str, ...], prompt: str, text: str, cut: int | None) -> None:
    assert rule(strings, prompt).cut(text) == cut


@settings(max_examples=60, deadline=None)
@given(TEXT.filter(bool), st.lists(TEXT.filter(bool), min_size=1, max_size=3))
def test_the_token_that_completes_a_stop_string_is_always_looked_at(text: str, strings: list[str]) -> None:
    made = rule(tuple(strings))
    ids = BYTES.encode(text)
    lengths = [made.cut(BYTES.continuation(BYTES.encode("a"), ids[:end])) is not None for end in range(len(ids) + 1)]
    if any(lengths):
        first = lengths.index(True)
        assert first == 0 or made.ending[ids[first - 1]]


def test_no_stop_string_means_no_rule() -> None:
    assert BYTES.stop_rule((), "prompt") is None
    assert BYTES.stop_rule(("",), "prompt") is None
    assert np.count_nonzero(rule(("!",)).ending) < 140  # `!` itself, and the bytes that are no characters


def test_a_chat_prompt_ends_with_the_prefix_verbatim() -> None:
    text = CHAT.prompt("2 + 2?", ("Step 1: 2",))
    assert text.startswith("<|im_start|>user\n2 + 2?\n\nPlease reason")
    assert text.endswith("<|im_end|>\n<|im_start|>assistant\nStep 1: 2\n\n")
    assert CHAT.tokenizer.decode(CHAT.encode(text)) == text


def test_the_start_token_of_a_plain_prompt_is_in_its_text_and_not_doubled() -> None:
    text = WORDS.prompt("the answer", ())
    assert text.startswith("<s>Question: ")
    assert WORDS.encode(text).count(1) == 1
    assert not BYTES.prompt("the answer", ()).startswith("<s>")


def test_auto_template(tmp_path: Path) -> None:
    byte_tokenizer(chat_template=CHAT_TEMPLATE).save_pretrained(tmp_path / "chat")
    byte_tokenizer().save_pretrained(tmp_path / "base")
    assert load_text_side(tmp_path / "chat", "auto", builtin=False).template.name == "boxed"
    assert load_text_side(tmp_path / "base", "auto", builtin=True).template.name == "builtin"
    assert load_text_side(tmp_path / "base", "plain", builtin=False).template.name == "plain"
    with pytest.raises(UsageError, match="--template plain"):
        load_text_side(tmp_path / "base", "auto", builtin=False)
    with pytest.raises(UsageError, match="--template plain"):
        load_text_side(tmp_path / "base", "boxed", builtin=False)
    with pytest.raises(UsageError, match="no tokenizer"):
        load_text_side(tmp_path, "plain", builtin=False)


def test_a_chat_template_that_refuses_says_what_to_do() -> None:
    tokenizer: Any = byte_tokenizer(
        chat_template="{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    )
    with pytest.raises(UsageError, match=r"no system role.*boxed-user"):
        TextSide(tokenizer, TEMPLATES["boxed"]).prompt("2 + 2?", ())
