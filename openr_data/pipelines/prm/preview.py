"""One training row as the model sees it: decoded from its tokens, every tag in its place, with what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openr_data.prm.config import IGNORE, PRMConfig

_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Piece:
    """`text` up to a tag, the `tag`, and the `target` of the step that ends there (`None`: no loss). The first piece begins with
    the question; the last may have no tag.
    """

    text: str
    tag: str = ""
    target: float | None = None


def example_of(rows: Any, tokenizer: Any, config: PRMConfig) -> tuple[Piece, ...]:
    """Of the first rows one with good and wrong steps, if there is one."""
    looked_at = [rows[number] for number in range(min(_LOOKED_AT, len(rows)))]
    both = (row for row in looked_at if {_is_good(target) for target in row["targets"]} >= {True, False})
    return pieces(next(both, looked_at[0]), tokenizer, config)


def pieces(row: Any, tokenizer: Any, config: PRMConfig) -> tuple[Piece, ...]:
    """`row` is one of `prm.rows`; where steps are read before their tag, the tag is what stands behind."""
    ids: Sequence[int] = row["input_ids"]
    found, start = [], 0
    for read, target in zip(row["reads"], row["targets"], strict=True):
        tag = read - config.read_offset
        text = tokenizer.decode(ids[start:tag], clean_up_tokenization_spaces=False)
        asked = None if target == IGNORE else float(target)
        found.append(Piece(text, tokenizer.decode(ids[tag : tag + 1]), asked))
        start = tag + 1
    rest = tokenizer.decode(ids[start:], clean_up_tokenization_spaces=False)
    return (*found, *([Piece(rest)] if rest else []))


def _is_good(target: float) -> bool | None:
    return None if target == IGNORE else target > 0.5
