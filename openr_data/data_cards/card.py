"""The data set card of a run: exact metadata for the `datasets` library, then a short and honest text. Knows numbers, not runs.

What a person has written into the card stays: see `openr_data.data_cards.blocks` and `openr_data.data_cards.metadata`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from openr_data.data_cards.blocks import Block, block_texts, merge_blocks
from openr_data.data_cards.markup import Shown, bullets, fenced, inline, number, one_line, prose, table
from openr_data.data_cards.metadata import Head, merge_head, read_head, split_card
from openr_data.errors import UsageError

__all__ = ["CardFacts", "CardSplit", "CardTable", "fenced", "inline", "render_card", "size_category"]

_OURS = ("size_categories", "dataset_info", "configs")
_TABLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

BLOCKS = (
    "title",
    "summary",
    "load",
    "numbers",
    "figures",
    "labels",
    "limits",
    "quality",
    "checks",
    "contamination",
    "costs",
    "run",
    "versions",
    "columns",
    "sources",
    "cite",
    "citation",
)
"""The blocks of a card in their order. Those that `render_card` does not write itself are given to it."""


@dataclass(frozen=True, slots=True)
class CardSplit:
    """One split of a table: `path` is a pattern of its files, relative to the card; sizes as in `CardTable`."""

    name: str
    path: str
    rows: int
    bytes: int
    arrow_bytes: int


@dataclass(frozen=True, slots=True)
class CardTable:
    """One table as it lies on the disk, in `data/<name>/` where no `splits` say otherwise.

    `features` is spelt as in a card's `dataset_info`; `bytes` is the size of the files, `arrow_bytes` that of the rows in memory.
    `splits` without rows are left out by whoever makes them: the `datasets` library cannot load one. `columns` says what a column
    means, by its name.
    """

    name: str
    doc: str
    features: Sequence[Mapping[str, Any]]
    rows: int
    bytes: int
    arrow_bytes: int
    splits: Sequence[CardSplit] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> Sequence[CardSplit]:
        """The splits; without any, everything is `train`."""
        whole = CardSplit("train", f"data/{self.name}/train-*.parquet", self.rows, self.bytes, self.arrow_bytes)
        return self.splits or (whole,)


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card says. `tables`: the main one first; another one without rows is left out of the metadata, since the
    `datasets` library cannot load an empty split. `settings` and `counts` become tables of two columns, in their order.

    `about` says in a sentence what it is, `how` how the labels were made, `limits` what they cannot see; these are ours, not the
    input's.
    `prompts` are texts shown as they are, by what they are. `location` is what `load_dataset` is called with. `exact` holds
    metadata that was asked for by name and replaces what is there, `usual` such that is written where there is none.
    """

    title: str
    tables: Sequence[CardTable]
    settings: Mapping[str, object]
    counts: Mapping[str, object]
    how: Sequence[str]
    limits: Sequence[str]
    tags: Sequence[str] = field(default=("synthetic", "math", "process-supervision", "prm"))
    prompts: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    annotations: str = "machine-generated"
    language: Sequence[str] = ("en",)
    location: str = "PATH"
    exact: Mapping[str, Any] = field(default_factory=dict)
    usual: Mapping[str, Any] = field(default_factory=dict)


def render_card(facts: CardFacts, existing: str = "", blocks: Sequence[Block] = (), *, every: bool = False) -> str:
    """The whole README.md: `existing` with our metadata, our blocks and these further `blocks`. Same facts, same bytes.

    Raises `InputError` where the metadata or the marks of `existing` are broken.
    """
    head, text = split_card(existing)
    ours = _head(facts)
    merged = merge_head(head, ours)
    title = read_head(merged)["pretty_name"] or facts.title
    written = {block.name: block for block in (*_blocks(facts, str(title)), *blocks)}
    body = merge_blocks(text, [written[name] for name in BLOCKS if name in written], every=every)
    return f"---\n{merged}---\n{body if text else f'{chr(10)}{body}'}"


def graft_card(card: str, existing: str) -> str:
    """A card that was rendered elsewhere, as the new state of one that people may have written in: their text and keys stay.

    Raises `InputError` where `existing` is broken.
    """
    (head, text), (there, body) = split_card(card), split_card(existing)
    keys = dict(read_head(head))
    tags, exact = keys.pop("tags", []), {name: keys.pop(name) for name in _OURS if name in keys}
    merged = merge_head(there, Head(exact, keys, tags))
    told = block_texts(text)
    blocks = [Block(name, told.get(name, "")) for name in dict.fromkeys((*BLOCKS, *told))]  # a person may have made some
    merged_text = merge_blocks(body, blocks)
    return f"---\n{merged}---\n{merged_text if body else f'{chr(10)}{merged_text}'}"


def info_of(card: str) -> object:
    """What a card says of the data, as its metadata has it: it is the same while the data is. `None` where it says nothing."""
    return read_head(split_card(card)[0]).get("dataset_info")


def dataset_info(tables: Sequence[CardTable]) -> list[dict[str, Any]]:
    return [_info(each) for each in _shown(tables)]


def size_category(rows: int) -> str:
    """The Hub's name for a number of rows.

    >>> size_category(999), size_category(1000), size_category(2_000_000)
    ('n<1K', '1K<n<10K', '1M<n<10M')
    """
    bounds = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
    if rows < 1000:
        return "n<1K"
    for power, (low, high) in enumerate(pairwise(bounds), start=4):
        if rows < 10**power:
            return f"{low}<n<{high}"
    return "n>1T"


def _shown(tables: Sequence[CardTable]) -> list[CardTable]:
    for each in tables:
        if not _TABLE_NAME.fullmatch(each.name):
            raise UsageError(f"'{each.name}' cannot be the name of a table; use letters, digits, - and _")
    return [each for each in tables if each.rows or each is tables[0]]


def _head(facts: CardFacts) -> Head:
    shown = _shown(facts.tables)
    exact = {
        "size_categories": [size_category(facts.tables[0].rows)],
        "dataset_info": dataset_info(facts.tables),
        "configs": [_config(each, main=each is facts.tables[0]) for each in shown],
    }
    usual = {
        **({"language": list(facts.language)} if facts.language else {}),
        "pretty_name": one_line(facts.title),
        "task_categories": ["text-generation"],
        "annotations_creators": [facts.annotations],
    }
    return Head({**exact, **facts.exact}, {**usual, **facts.usual}, [one_line(tag) for tag in facts.tags])


def _info(each: CardTable) -> dict[str, Any]:
    return {
        "config_name": each.name,
        "features": [dict(feature) for feature in each.features],
        "splits": [{"name": s.name, "num_bytes": s.arrow_bytes, "num_examples": s.rows} for s in each.parts],
        "download_size": each.bytes,
        "dataset_size": each.arrow_bytes,
    }


def _config(each: CardTable, *, main: bool) -> dict[str, Any]:
    files = [{"split": split.name, "path": split.path} for split in each.parts]
    return {"config_name": each.name, **({"default": True} if main else {}), "data_files": files}


def _blocks(facts: CardFacts, title: str) -> list[Block]:
    return [
        Block("title", f"# {inline(title)}\n"),
        Block("summary", _summary(facts)),
        Block("load", "## Load it\n\n" + fenced(_loading(facts), "python")),
        Block("columns", _columns(facts)),
        Block("run", _run(facts)),
        Block("labels", _told("How the labels were made", facts.how)),
        Block("limits", _told("What the labels cannot see, and other limits", facts.limits)),
    ]


def _told(heading: str, sentences: Sequence[str]) -> str:
    return f"## {heading}\n\n{bullets(sentences)}" if sentences else ""


def _summary(facts: CardFacts) -> str:
    split = any(each.splits for each in facts.tables)
    rows = [(each.name, *([_splits(each)] if split else []), number(each.rows), Shown(prose(each.doc))) for each in facts.tables]
    counts = ", ".join(f"{inline(value)} {inline(name)}" for name, value in facts.counts.items())
    head = ("Table", *(["Splits"] if split else []), "Rows", "What it holds")
    about = f"{prose(facts.about)}\n\n" if facts.about else ""
    return about + table(head, rows) + (f"\nThe run: {counts}.\n" if counts else "")


def _splits(each: CardTable) -> str:
    return ", ".join(f"{part.name} {number(part.rows)}" for part in each.parts)


def _loading(facts: CardFacts) -> str:
    """Three lines, and one more for each further table."""
    main, *others = facts.tables
    first = main.parts[0].name
    place = _quoted(facts.location)
    lines = ["from datasets import load_dataset", "", f'{_variable(main)} = load_dataset({place}, split="{first}")']
    lines += [
        f'{_variable(each)} = load_dataset({place}, "{each.name}", split="{each.parts[0].name}")' for each in others if each.rows
    ]
    return "\n".join(lines)


def _quoted(location: str) -> str:
    text = one_line(location).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _variable(each: CardTable) -> str:
    name = each.name.replace("-", "_").lower()
    return name if name.isidentifier() else f"table_{name}"


def _columns(facts: CardFacts) -> str:
    told = [each for each in facts.tables if each.rows and each.features]
    parts = [f"### {inline(each.name)}\n\n{_column_table(each)}" for each in told]
    return "## What is in a row\n\n" + "\n".join(parts) if parts else ""


def _column_table(each: CardTable) -> str:
    rows = [
        (Shown(prose(f"`{feature['name']}`")), _type(feature), Shown(prose(each.columns.get(str(feature["name"]), ""))))
        for feature in each.features
    ]
    return table(("Column", "Type", "What it is"), rows)


def _type(feature: Mapping[str, Any]) -> str:
    """How a feature is spelt in words: `string`, `list of string`, `list of {text, value}`."""
    inner = feature.get("list", feature.get("dtype", feature.get("struct", "")))
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        inner = "{" + ", ".join(str(each.get("name")) for each in inner) + "}"
    return f"list of {inner}" if "list" in feature else str(inner)


def _run(facts: CardFacts) -> str:
    prompts = "".join(f"\n{inline(name)}:\n\n{fenced(text)}" for name, text in facts.prompts.items())
    return "## What was run\n\n" + table(("Setting", "Value"), list(facts.settings.items())) + prompts
