"""The step tag and the judgements of a tokenizer: single tokens, or a sentence that says so."""

# ruff: noqa: S106  (an unknown token is no password)

from __future__ import annotations

from typing import Any

import pytest
from prm_families import FAMILIES, tokenizer_of
from tokenizers import Tokenizer, models, pre_tokenizers

from openr_data.errors import UsageError
from openr_data.models.files import BUILTIN
from openr_data.prm.load import load_tokenizer
from openr_data.prm.tags import KNOWN_TAGS, NEW_TAG, Tag, add_tag, choose_judgements, choose_tag


def letters(*pieces: str) -> Any:
    """A tokenizer that knows these pieces, each one token, and cuts at blanks."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({piece: at for at, piece in enumerate(["?", *pieces])}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_gives_its_unused_control_token_and_its_judgements(family: str) -> None:
    tokenizer = tokenizer_of(family)
    tag = choose_tag(tokenizer)
    assert (tag.text, tag.is_new) == (FAMILIES[family].tag, FAMILIES[family].tag not in KNOWN_TAGS[1:])
    (good, good_id), (bad, bad_id) = choose_judgements(tokenizer)
    assert (good.strip(), bad.strip()) == ("+", "-")
    assert tokenizer.decode([good_id]).strip() == "+"
    assert tokenizer.decode([bad_id]).strip() == "-"


def test_the_built_in_tokenizer_has_its_own_tag_and_judgements_with_a_blank() -> None:
    tokenizer = load_tokenizer(BUILTIN)
    assert choose_tag(tokenizer) == Tag("<step>", 3)
    assert [text for text, _ in choose_judgements(tokenizer)] == [" +", " -"]


def test_a_new_tag_is_added_behind_all_others_and_is_one_token() -> None:
    tokenizer = FAMILIES["mistral"].tokenizer()
    before = len(tokenizer)
    tag = add_tag(tokenizer, choose_tag(tokenizer))
    assert tag == Tag(NEW_TAG, before, is_new=True)
    assert tokenizer.encode(f"is{NEW_TAG}is", add_special_tokens=False).count(before) == 1
    assert "[INST]" in tokenizer.all_special_tokens, "control tokens that were there stay so"
    assert choose_tag(tokenizer) == Tag(NEW_TAG, before), "once added it is a tag like others"


@pytest.mark.parametrize("wanted", ["\n\n\n", "<extra_0>", "two words"])
def test_a_tag_that_the_tokenizer_cuts_into_pieces_is_refused(wanted: str) -> None:
    with pytest.raises(UsageError, match=r"is \d tokens of this tokenizer, not one; use --tag auto"):
        choose_tag(tokenizer_of("qwen2"), wanted)


def test_a_word_may_be_the_tag_where_it_is_one_token() -> None:
    tokenizer = tokenizer_of("qwen2")
    assert choose_tag(tokenizer, " +") == Tag(" +", tokenizer.convert_tokens_to_ids("Ġ+"))


@pytest.mark.parametrize("pieces", [("a", "b"), ("+", "a"), ("+", "−")])
def test_a_tokenizer_without_the_judgements_is_refused(pieces: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"'\+' and '-' are not single tokens.*--positive and --negative"):
        choose_judgements(letters(*pieces))


def test_named_judgements_are_taken_and_must_differ() -> None:
    assert choose_judgements(letters("good", "bad"), ("good", "bad")) == (("good", 1), ("bad", 2))
    with pytest.raises(UsageError, match="'good' and 'good'"):
        choose_judgements(letters("good", "bad"), ("good", "good"))


def test_an_unknown_token_is_no_judgement() -> None:
    """Every unknown word is one token, `?`: it must not pass for two judgements."""
    with pytest.raises(UsageError, match="not single tokens"):
        choose_judgements(letters("good"), ("good", "missing"))
