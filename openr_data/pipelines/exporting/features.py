"""Arrow types as the `datasets` library and its cards spell them, and the types of rows that are written as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

JSON = "json"
"""The `datasets` library's type of a column whose values are of several kinds."""


def features(schema: pa.Schema) -> dict[str, Any]:
    """As in a Parquet footer."""
    return {field.name: _feature(field.type) for field in schema}


def card_features(schema: pa.Schema, mixed: Sequence[str] = ()) -> list[dict[str, Any]]:
    """As under `dataset_info` of a card; `mixed` names columns that no Arrow type holds."""
    known = [{"name": field.name, **_card_feature(field.type)} for field in schema]
    return [*known, *({"name": name, "dtype": JSON} for name in mixed)]


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    return {"dtype": _dtype(kind), "_type": "Value"}


def _card_feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        inner = _card_feature(kind.value_type)
        return {"list": inner.get("struct") or inner.get("dtype") or inner}
    if pa.types.is_struct(kind):
        return {"struct": [{"name": field.name, **_card_feature(field.type)} for field in kind]}
    return {"dtype": _dtype(kind)}


def _dtype(kind: pa.DataType) -> str:
    return {"double": "float64", "float": "float32"}.get(str(kind), str(kind))


Kind = str | dict[str, Any] | list[Any] | None
"""A type of JSON values: a name of Arrow's, an object of kinds, a list of one kind; `None` where only null was seen."""

_NAMES: Mapping[type, str | None] = {str: "string", bool: "bool", int: "int64", float: "float64", type(None): None}
_NUMBERS = {"int64", "float64"}


class MixedKinds(Exception):
    """Values that no one type holds."""


def kind_of(value: Any) -> Kind:
    """The kind of one value. Raises `MixedKinds` where the values of a list do not go together."""
    if isinstance(value, dict):
        return {name: kind_of(each) for name, each in value.items()}
    if isinstance(value, list):
        types = set(map(type, value))
        plain = types <= _NAMES.keys()  # texts and numbers, whose types say all: most lists
        return [joined([_NAMES[each] for each in types] if plain else [kind_of(each) for each in value])]
    return _NAMES[type(value)]


def joined(kinds: Sequence[Kind]) -> Kind:
    """The kind that holds all of them; whole numbers and others are numbers.

    >>> joined(["int64", None, "float64"]), joined([[None], ["bool"]]), joined([{"a": "string"}, {"b": "bool"}])
    ('float64', ['bool'], {'a': 'string', 'b': 'bool'})
    """
    found: Kind = None
    for kind in kinds:
        found = kind if found is None else found if kind is None or kind == found else _both(found, kind)
    return found


def _both(one: Kind, other: Kind) -> Kind:
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: joined([one.get(name), other.get(name)]) for name in (*one, *(name for name in other if name not in one))}
    if isinstance(one, list) and isinstance(other, list):
        return [joined([*one, *other])]
    if isinstance(one, str) and isinstance(other, str) and {one, other} == _NUMBERS:
        return "float64"
    raise MixedKinds


def arrow_type(kind: Kind) -> pa.DataType:
    if isinstance(kind, dict):
        return pa.struct([(name, arrow_type(each)) for name, each in kind.items()])
    if isinstance(kind, list):
        return pa.list_(arrow_type(kind[0]))
    return pa.null() if kind is None else getattr(pa, {"bool": "bool_"}.get(kind, kind))()


class RowTypes:
    """The types of columns, learnt from rows of plain JSON values."""

    def __init__(self) -> None:
        self._kinds: dict[str, Kind] = {}
        self._mixed: dict[str, None] = {}

    def learn(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Returns the size of the rows in memory."""
        names = dict.fromkeys(name for row in rows for name in row)
        return sum(self._column(name, [row.get(name) for row in rows]) for name in names)

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(name, arrow_type(kind)) for name, kind in self._kinds.items() if name not in self._mixed])

    @property
    def mixed(self) -> tuple[str, ...]:
        """Columns whose values are of kinds that do not go together."""
        return tuple(self._mixed)

    def _column(self, name: str, values: list[Any]) -> int:
        try:
            self._kinds[name] = joined([self._kinds.get(name), *map(kind_of, values)])
            return int(pa.array(values, arrow_type(self._kinds[name])).nbytes)
        except (MixedKinds, pa.ArrowException, OverflowError):
            self._kinds.setdefault(name, None)
            self._mixed[name] = None
            return len(str(values))
