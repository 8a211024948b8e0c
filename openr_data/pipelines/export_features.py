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


class RowTypes:
    """The types of columns, learnt from rows of plain JSON values."""

    def __init__(self) -> None:
        self._fields: dict[str, pa.DataType] = {}
        self._mixed: dict[str, None] = {}

    def learn(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Returns the size of the rows in memory."""
        names = dict.fromkeys(name for row in rows for name in row)
        return sum(self._column(name, [row.get(name) for row in rows]) for name in names)

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(name, kind) for name, kind in self._fields.items() if name not in self._mixed])

    @property
    def mixed(self) -> tuple[str, ...]:
        """Columns whose values are of kinds that do not go together."""
        return tuple(self._mixed)

    def _column(self, name: str, values: list[Any]) -> int:
        known = self._fields.setdefault(name, pa.null())
        try:
            array = pa.array(values)
            both = [pa.schema([(name, known)]), pa.schema([(name, array.type)])]
            self._fields[name] = pa.unify_schemas(both, promote_options="permissive").field(name).type
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            self._mixed[name] = None
            return len(str(values))
        return int(array.nbytes)
