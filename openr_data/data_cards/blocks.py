"""The text of a card as people and this program share it: generated blocks between marks, and everything else, which is theirs.

A block is regenerated in place. One that a person has deleted stays deleted: a line of the card lists every block that was ever
written, and a block that is listed and not there is not written again unless every block is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from openr_data.data_cards.markup import defused
from openr_data.errors import InputError

_MARK = re.compile(r"^<!-- openr-data: (?:(begin|end) ([a-z0-9-]+)|written(?: [a-z0-9-]+)*) -->[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
_ANY_MARK = re.compile(r"<!--\s*openr-data")
_LIST = "written"
_REMEDY = "mend the marks in README.md, or move the file away"


@dataclass(frozen=True, slots=True)
class Block:
    """A generated part of the text. An empty one empties the block that is there, and is not written where none is.

    A `renewed` one only takes the place of a block that is there and not empty.
    """

    name: str
    text: str
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """Text as it stands: a person's where `block` is empty, else the block of that name with its marks (`written`: the list)."""

    text: str
    block: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.body.strip()

    @property
    def body(self) -> str:
        """What stands between the marks of a block."""
        return self.text.split("\n", 1)[-1].rsplit("<!-- openr-data: end", 1)[0]


def merge_blocks(text: str, blocks: Sequence[Block], *, every: bool = False) -> str:
    """The text with these blocks, in their order where they are new; all other text, and blocks of other names, unchanged.

    A new block goes before the first of those that follow it in the order, else to the end. Raises `InputError` where the marks
    that are there are broken.
    """
    pieces = parse_blocks(text)
    ours = {block.name: block for block in blocks}
    there = [piece.block for piece in pieces if piece.block]
    known = [*_written(pieces), *(name for name in there if name != _LIST)]
    new = [block for block in blocks if block.text and not block.renewed and block.name not in there]
    new = [block for block in new if every or block.name not in known]
    pieces = [_regenerated(piece, ours) for piece in pieces]
    for block in new:
        _insert(pieces, block, [each.name for each in blocks])
    _list(pieces, [*known, *(block.name for block in new)])
    return "".join(piece.text for piece in pieces)


def parse_blocks(text: str) -> list[Piece]:
    """The pieces of a text, which join to it. Raises `InputError` where a mark is broken, or has no partner."""
    marks = list(_MARK.finditer(text))
    _check_marks(text, {mark.start() for mark in marks})
    pieces: list[Piece] = []
    place, opened = 0, ""
    for mark in marks:
        kind, name = mark[1] or _LIST, mark[2] or _LIST
        if kind == "end" and name == opened:
            pieces.append(Piece(text[place : mark.end()], name))
            place, opened = mark.end(), ""
        elif kind == "end" or opened or any(piece.block == name for piece in pieces):
            what = "ends here and is not open" if kind == "end" else "begins inside another one, or a second time"
            raise InputError(f"the block '{name}' of the card {what} ({_line(text, mark.start())}); {_REMEDY}")
        else:
            pieces.append(Piece(text[place : mark.start()]))
            place, opened = mark.start(), name if kind == "begin" else ""
            if kind == _LIST:
                pieces.append(Piece(mark[0], _LIST))
                place = mark.end()
    if opened:
        raise InputError(f"the block '{opened}' of the card has no end; {_REMEDY}")
    return [*pieces, Piece(text[place:])]


def block_names(text: str) -> list[str]:
    """The blocks that stand in a text, in its order."""
    return [piece.block for piece in parse_blocks(text) if piece.block not in {"", _LIST}]


def block_texts(text: str) -> dict[str, str]:
    """The generated text of every block that stands there and says something, by its name."""
    found = (piece for piece in parse_blocks(text) if piece.block not in {"", _LIST})
    return {piece.block: piece.body for piece in found if not piece.is_empty}


def people_text(text: str) -> str:
    """What stands outside the blocks."""
    return "".join(piece.text for piece in parse_blocks(text) if not piece.block)


def _check_marks(text: str, sound: set[int]) -> None:
    for found in _ANY_MARK.finditer(text):
        if found.start() not in sound:
            raise InputError(f"{_line(text, found.start())} of the card is a broken mark of openr-data; {_REMEDY}")


def _line(text: str, place: int) -> str:
    return f"line {text.count(chr(10), 0, place) + 1} below the metadata"


def _written(pieces: Sequence[Piece]) -> list[str]:
    return [name for piece in pieces if piece.block == _LIST for name in piece.text.split(" -->")[0].split()[3:]]


def _regenerated(piece: Piece, ours: dict[str, Block]) -> Piece:
    block = ours.get(piece.block)
    if block is None or (block.renewed and piece.is_empty):
        return piece
    return _spelt(block)


def _spelt(block: Block) -> Piece:
    text = defused(block.text)
    body = text if text.endswith("\n") or not text else f"{text}\n"
    return Piece(f"<!-- openr-data: begin {block.name} -->\n{body}<!-- openr-data: end {block.name} -->\n", block.name)


def _insert(pieces: list[Piece], block: Block, order: Sequence[str]) -> None:
    places = {piece.block: place for place, piece in enumerate(pieces) if piece.block}
    place = next((places[name] for name in order[order.index(block.name) + 1 :] if name in places), len(pieces))
    before = "".join(piece.text for piece in pieces[:place])
    pieces[place:place] = [Piece(_gap(before)), _spelt(block), Piece("\n" if place < len(pieces) else "")]


def _gap(before: str) -> str:
    """What makes the text before end with an empty line."""
    return "" if not before or before.endswith(("\n\n", "\n\r\n")) else "\n" if before.endswith("\n") else "\n\n"


def _list(pieces: list[Piece], names: Sequence[str]) -> None:
    """Write the list of blocks where it stands, else before the first block."""
    if not names:
        return
    line = Piece(f"<!-- openr-data: written {' '.join(sorted(set(names)))} -->\n", _LIST)
    place = next((place for place, piece in enumerate(pieces) if piece.block == _LIST), None)
    if place is not None:
        pieces[place] = line
    else:
        pieces.insert(next((place for place, piece in enumerate(pieces) if piece.block), len(pieces)), line)
