"""Which token is the step tag of a tokenizer, and which two are the judgements. Changes no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openr_data.errors import UsageError

KNOWN_TAGS = ("<step>", "<extra_0>", "<|quad_end|>", "<|reserved_special_token_0|>", "<unused0>", "[control_8]")
"""Control tokens that a family has and does not use: the built-in model's, Qwen2.5's, Qwen2's, Llama 3's, Gemma's, Mistral's."""
NEW_TAG = "<step>"
BREAKS = ("\n\n", "\n")
"""What ends a step in the texts of most policies, the more common first."""
JUDGEMENTS = ((" +", " -"), ("+", "-"))


@dataclass(frozen=True, slots=True)
class Tag:
    """`is_new`: the tokenizer does not have it yet; `add` gives it an id behind all others."""

    text: str
    id: int
    is_new: bool = False


def choose_tag(tokenizer: Any, wanted: str = "auto") -> Tag:
    """`auto` is the first control token that the tokenizer has and its texts do not use, else a new one.

    Raises `UsageError` for a wanted tag that the tokenizer would merge with its neighbours or cut into pieces.
    """
    for text in KNOWN_TAGS if wanted == "auto" else (wanted,):
        token = _control(tokenizer, text)
        if token is not None:
            return Tag(text, token)
    if wanted == "auto":
        return Tag(NEW_TAG, len(tokenizer), is_new=True)
    pieces = list(tokenizer.encode(wanted, add_special_tokens=False))
    if len(pieces) != 1 or tokenizer.decode(pieces).strip() != wanted.strip():
        raise UsageError(f"the tag '{wanted}' is {len(pieces)} tokens of this tokenizer, not one; use --tag auto")
    return Tag(wanted, pieces[0])


def choose_break(tokenizer: Any) -> Tag:
    """The line break that is one token of the tokenizer. Raises `UsageError` where there is none."""
    for text in BREAKS:
        pieces = list(tokenizer.encode(text, add_special_tokens=False))
        if len(pieces) == 1:
            return Tag(text, pieces[0])
    raise UsageError("no line break is one token of this tokenizer; name another token that ends a step, with --tag")


def add_tag(tokenizer: Any, tag: Tag) -> Tag:
    """Put a new tag into the tokenizer, as a control token; the model's embeddings must then have a row for it."""
    if not tag.is_new:
        return tag
    tokenizer.add_special_tokens({"additional_special_tokens": [*_extra(tokenizer), tag.text]})
    return Tag(tag.text, int(tokenizer.convert_tokens_to_ids(tag.text)), is_new=True)


def choose_judgements(tokenizer: Any, wanted: Sequence[str] = ()) -> tuple[tuple[str, int], tuple[str, int]]:
    """The good and the bad token, each text with its id. Raises `UsageError` where there are no such single tokens."""
    for pair in ((wanted[0], wanted[1]),) if wanted else JUDGEMENTS:
        ids = [list(tokenizer.encode(text, add_special_tokens=False)) for text in pair]
        faithful = [
            len(each) == 1 and tokenizer.decode(each).strip() == text.strip() for each, text in zip(ids, pair, strict=True)
        ]
        if all(faithful) and ids[0] != ids[1]:
            return (pair[0], ids[0][0]), (pair[1], ids[1][0])
    shown = " and ".join(f"'{text}'" for text in (wanted or JUDGEMENTS[-1]))
    raise UsageError(f"{shown} are not single tokens of this tokenizer; name two that are, with --positive and --negative")


def _control(tokenizer: Any, text: str) -> int | None:
    """Its id where it is a control token: one that the tokenizer cuts out before anything else."""
    token = tokenizer.convert_tokens_to_ids(text)
    if token is None or token == tokenizer.unk_token_id:
        return None
    return int(token) if token in getattr(tokenizer, "added_tokens_decoder", {}) else None


def _extra(tokenizer: Any) -> list[str]:
    return [str(each) for each in getattr(tokenizer, "extra_special_tokens", None) or [] if isinstance(each, str)]
