"""What one JSON value says beyond another, as JSON: so that a published row can be given back exactly. Knows no layouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Patch = dict[str, Any]
"""`{"=": value}` replaces; `{"keys": {name: patch}, "drop": [name]}` changes an object; `{"items": {"3": patch}}` a list."""


def difference(base: Any, wanted: Any) -> Patch | None:
    """A patch that makes `wanted` of `base`; `None` where they are the same, types of numbers included.

    >>> difference({"a": 1, "b": [1, 2]}, {"b": [1, None], "c": "x"})
    {'keys': {'b': {'items': {'1': {'=': None}}}, 'c': {'=': 'x'}}, 'drop': ['a']}
    """
    if isinstance(base, dict) and isinstance(wanted, dict):
        keys = {name: _change(base, wanted, name) for name in wanted}
        changed = {name: patch for name, patch in keys.items() if patch}
        dropped = [name for name in base if name not in wanted]
        return {"keys": changed, "drop": dropped} if changed or dropped else None
    if isinstance(base, list) and isinstance(wanted, list) and len(base) == len(wanted):
        places = enumerate(zip(base, wanted, strict=True))
        items = {str(place): patch for place, pair in places if (patch := difference(*pair))}
        return {"items": items} if items else None
    return None if type(base) is type(wanted) and base == wanted else {"=": wanted}


def _change(base: Mapping[str, Any], wanted: Mapping[str, Any], name: str) -> Patch | None:
    return difference(base[name], wanted[name]) if name in base else {"=": wanted[name]}


def apply(base: Any, patch: Patch | None) -> Any:
    """`apply(base, difference(base, wanted)) == wanted`. A patch that does not fit leaves alone what it does not find."""
    if not patch:
        return base
    if "=" in patch:
        return patch["="]
    if "items" in patch and isinstance(base, list):
        return [apply(item, patch["items"].get(str(place))) for place, item in enumerate(base)]
    if "keys" in patch and isinstance(base, dict):
        kept = {name: value for name, value in base.items() if name not in patch["drop"]}
        return {**kept, **{name: apply(kept.get(name), change) for name, change in patch["keys"].items()}}
    return base
