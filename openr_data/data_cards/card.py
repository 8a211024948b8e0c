"""The data set card of a run: exact metadata for the `datasets` library, then a short and honest text. Knows numbers, not runs.

Every value is escaped: a question, a model name or a reason can neither end the metadata nor become markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import yaml

from openr_data.errors import UsageError

_TABLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SPECIAL = re.compile(r"([\\`*_\[\]#|<>~&$]|:(?=//))")
_BROKEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+")
_LONGEST = 300


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
    `splits` without rows are left out by whoever makes them: the `datasets` library cannot load one.
    """

    name: str
    doc: str
    features: Sequence[Mapping[str, Any]]
    rows: int
    bytes: int
    arrow_bytes: int
    splits: Sequence[CardSplit] = ()

    @property
    def parts(self) -> Sequence[CardSplit]:
        """The splits; without any, everything is `train`."""
        whole = CardSplit("train", f"data/{self.name}/train-*.parquet", self.rows, self.bytes, self.arrow_bytes)
        return self.splits or (whole,)


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card says. `tables`: the main one first; another one without rows is left out of the metadata, since the
    `datasets` library cannot load an empty split. `settings` and `counts` become tables of two columns, in their order.

    `how` says in sentences how the labels were made, `limits` what they cannot be used for; both are ours, not the input's.
    """

    title: str
    tables: Sequence[CardTable]
    settings: Mapping[str, object]
    counts: Mapping[str, object]
    how: Sequence[str]
    limits: Sequence[str]
    tags: Sequence[str] = field(default=("synthetic", "math", "process-supervision", "prm"))


def render_card(facts: CardFacts) -> str:
    """The whole README.md. The same facts give the same bytes."""
    return f"---\n{_metadata(facts)}---\n\n{_body(facts)}"


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


def inline(value: object) -> str:
    r"""A value as one line of plain text in Markdown: nothing in it is markup, not even in a table.

    >>> print(inline("a|b\n# <x>"))
    a\|b \# \<x\>
    """
    return _SPECIAL.sub(r"\\\1", _one_line(value))


def fenced(text: str) -> str:
    """A block of verbatim text: its fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}\n"


def _one_line(value: object) -> str:
    """Without line breaks and control characters: a line of dashes in a value would end the metadata early."""
    text = _BROKEN.sub(" ", str(value)).encode("utf-8", "replace").decode().strip()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _metadata(facts: CardFacts) -> str:
    for table in facts.tables:
        if not _TABLE_NAME.fullmatch(table.name):
            raise UsageError(f"'{table.name}' cannot be the name of a table; use letters, digits, - and _")
    shown = [table for table in facts.tables if table.rows or table is facts.tables[0]]
    record = {
        "pretty_name": _one_line(facts.title),
        "language": ["en"],
        "size_categories": [size_category(facts.tables[0].rows)],
        "task_categories": ["text-generation"],
        "annotations_creators": ["machine-generated"],
        "tags": [_one_line(tag) for tag in facts.tags],
        "dataset_info": [_info(table) for table in shown],
        "configs": [_config(table, main=table is facts.tables[0]) for table in shown],
    }
    return str(yaml.safe_dump(record, sort_keys=False, allow_unicode=False, width=10_000))


def _info(table: CardTable) -> dict[str, Any]:
    return {
        "config_name": table.name,
        "features": [dict(feature) for feature in table.features],
        "splits": [{"name": s.name, "num_bytes": s.arrow_bytes, "num_examples": s.rows} for s in table.parts],
        "download_size": table.bytes,
        "dataset_size": table.arrow_bytes,
    }


def _config(table: CardTable, *, main: bool) -> dict[str, Any]:
    files = [{"split": split.name, "path": split.path} for split in table.parts]
    return {"config_name": table.name, **({"default": True} if main else {}), "data_files": files}


def _body(facts: CardFacts) -> str:
    parts = [
        f"# {inline(facts.title)}\n",
        _table(("Table", "Rows", "What it holds"), [(table.name, table.rows, table.doc) for table in facts.tables]),
        "Load it with the `datasets` library:\n",
        fenced(_loading(facts.tables)),
        "## What ran\n",
        _table(("Setting", "Value"), list(facts.settings.items())),
        "## Counts\n",
        _table(("Count", "Value"), list(facts.counts.items())),
        "## How the labels were made\n",
        _list(facts.how),
        "## Limits\n",
        _list(facts.limits),
    ]
    return "\n".join(parts)


def _loading(tables: Sequence[CardTable]) -> str:
    lines = ["from datasets import load_dataset", "", f'{tables[0].name} = load_dataset("PATH", split="train")']
    lines += [f'{table.name} = load_dataset("PATH", "{table.name}", split="train")' for table in tables[1:] if table.rows]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(inline(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _list(sentences: Sequence[str]) -> str:
    return "".join(f"- {inline(sentence)}\n" for sentence in sentences)
