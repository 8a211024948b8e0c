"""The YAML at the head of a card: what the `datasets` library needs is ours and exact, every other key is a person's and stays.

A key that does not change keeps its spelling and its comments. Knows YAML and the order of the keys, not what a data set holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import yaml

from openr_data.errors import InputError

ORDER = (
    "license",
    "language",
    "pretty_name",
    "size_categories",
    "task_categories",
    "annotations_creators",
    "source_datasets",
    "base_model",
    "datasets",
    "library_name",
    "pipeline_tag",
    "tags",
    "dataset_info",
    "configs",
    "model-index",
)
"""The order in which the `datasets` library writes the keys of its cards, and with those of model cards among them."""

_OPEN = re.compile(r"\A\s*---[ \t]*(?:\r?\n|\Z)")
_CLOSE = re.compile(r"^---[ \t]*(?:\r?\n|\Z)", re.MULTILINE)
_COMMENT = re.compile(r"^#.*$", re.MULTILINE)
_REMEDY = "mend the lines between the two --- of README.md, or move the file away"


@dataclass(frozen=True, slots=True)
class Head:
    """Keys to write: `exact` ones replace what is there, `usual` ones are written where there is none, `tags` are added."""

    exact: Mapping[str, Any]
    usual: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()


def split_card(card: str) -> tuple[str, str]:
    """The YAML between the lines of dashes ("" without any) and the text below it.

    Raises `InputError` where the YAML has no end, or where a second one follows it.
    """
    card = card.removeprefix("\ufeff")
    opened = _OPEN.match(card)
    if opened is None:
        return "", card
    closed = _CLOSE.search(card, opened.end())
    if closed is None:
        raise InputError(f"the metadata of the card has no end: there is no second line of ---; {_REMEDY}")
    head, text = card[opened.end() : closed.start()], card[closed.end() :]
    if _OPEN.match(text) or (not head.strip() and _CLOSE.search(text)):
        raise InputError(f"the card has more than two lines of --- at its head; {_REMEDY}")
    read_head(head)
    return head, text


def read_head(head: str) -> Mapping[str, Any]:
    """The keys and values. Raises `InputError` where it is no YAML, no mapping, or names a key twice."""
    return _parsed(head)[0] if head else {}


@lru_cache(maxsize=8)
def _parsed(head: str) -> tuple[Mapping[str, Any], list[yaml.Node]]:
    """Values, and the nodes of the keys. Kept, since one head is looked at several times. In Python: deep nesting crashes C's."""
    try:
        loader = yaml.SafeLoader(head)
        node = loader.get_single_node()
        values = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as fault:
        raise InputError(f"the metadata of the card is no YAML ({_told(fault)}); {_REMEDY}") from None
    except (RecursionError, ValueError) as fault:
        raise InputError(f"the metadata of the card cannot be read ({type(fault).__name__}); {_REMEDY}") from None
    if not isinstance(node, yaml.MappingNode) or not isinstance(values, dict):
        raise InputError(f"the metadata of the card is not a list of keys with values; {_REMEDY}")
    keys = [key for key, _ in node.value]
    names = [str(key.value) for key in keys]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise InputError(f"the metadata of the card names '{twice}' twice; {_REMEDY}")
    return values, [] if node.flow_style else keys


def _told(fault: yaml.YAMLError) -> str:
    if isinstance(fault, yaml.MarkedYAMLError) and fault.problem_mark is not None:
        return f"line {fault.problem_mark.line + 2}: {fault.problem}"
    return type(fault).__name__


def merge_head(head: str, ours: Head) -> str:
    """The YAML with our keys. Keys of other names, and values that do not change, keep their spelling."""
    values = read_head(head)
    wanted = _wanted(values, ours)
    before, spelt = _segments(head, values)
    merged = {name: wanted[name] + _comments(text) if name in wanted else text for name, text in spelt.items()}
    for name in ORDER:
        if name in wanted and name not in merged:
            merged = _inserted(merged, name, wanted[name])
    text = before + "".join(merged.values())
    return text if _says(text, values, ours) else _respelt(values, ours)


def dump(record: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(record), sort_keys=False, allow_unicode=False, width=10_000))


def _wanted(values: Mapping[str, Any], ours: Head) -> dict[str, str]:
    """The spelling of every key that is new or changes."""
    new = {name: value for name, value in {**ours.usual, **ours.exact}.items() if name not in values or name in ours.exact}
    if ours.tags:
        new["tags"] = _union(values.get("tags"), ours.tags)
    return {name: dump({name: value}) for name, value in new.items() if name not in values or values[name] != value}


def _union(there: Any, ours: Sequence[str]) -> list[Any]:
    tags = there if isinstance(there, list) else [] if there is None else [there]
    return [*tags, *(tag for tag in ours if tag not in tags)]


def _segments(head: str, values: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """What stands before the first key, and the text of each key with what follows it, by its name."""
    keys = _parsed(head)[1] if head else []
    if not keys or any(key.start_mark.column for key in keys):
        return "", {str(name): dump({name: value}) for name, value in values.items()}
    starts = [key.start_mark.index for key in keys]
    ends = [*starts[1:], len(head)]
    return head[: starts[0]], {str(key.value): head[start:end] for key, start, end in zip(keys, starts, ends, strict=True)}


def _comments(text: str) -> str:
    """The lines of comments between a key and the next."""
    return "".join(f"{line}\n" for line in _COMMENT.findall(text.replace("\r", "")))


def _inserted(spelt: Mapping[str, str], name: str, text: str) -> dict[str, str]:
    """A new key goes before the first that follows it in the order, else to the end."""
    later = [key for key in spelt if key in ORDER and ORDER.index(key) > ORDER.index(name)]
    merged: dict[str, str] = {}
    for key, value in spelt.items():
        if later and key == later[0]:
            merged[name] = text
        merged[key] = value
    return merged if name in merged else {**merged, name: text}


def _says(text: str, values: Mapping[str, Any], ours: Head) -> bool:
    """A value that refers to an anchor in another key, or such, can lose its meaning when that key is written anew."""
    try:
        return bool(read_head(text) == _expected(values, ours))
    except InputError:
        return False


def _expected(values: Mapping[str, Any], ours: Head) -> dict[str, Any]:
    tags = {"tags": _union(values.get("tags"), ours.tags)} if ours.tags else {}
    return {**ours.usual, **values, **ours.exact, **tags}


def _respelt(values: Mapping[str, Any], ours: Head) -> str:
    record = _expected(values, ours)
    return dump({**{name: record[name] for name in ORDER if name in record}, **record})
