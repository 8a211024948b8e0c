"""What the page says of a run beside its records: what ran, with which settings, and what it cost. Reads `run.json` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from openr_data.pipelines.run_card import recorded_words
from openr_data.store.run_record import RunRecord

_SKIPPED = frozenset({"repair_pattern"})
"""Settings that nobody reads on a page; `run.json` keeps them."""

_LONGEST = 200


def run_facts(name: str, record: RunRecord) -> dict[str, Any]:
    """`settings` are groups of (name, value), each value as text; `title` to `prompts` are the words of the run's card."""
    identity, words = record.identity, recorded_words(record)
    how, imported = [each for each in words["how"] if each], identity["command"] == "import"
    return {
        "name": name,
        **{part: words[part] for part in ("title", "about", "limits")},
        "how": how,
        "prompts": words.get("prompts", {}),
        "imported": imported,
        "whose": how[0] if imported else "",
        "inputs": [f"{each} {digest}" for each, digest in identity["inputs"].items()],
        "separator": record.settings.get("separator", "\n"),
        "pilot": record.settings.get("pilot"),
        "command": str(identity["command"]),
        "method": _method(identity["config"]),
        "engine": str(identity["engine"]),
        "status": record.status,
        "digest": record.digest,
        "settings": settings(identity["config"]),
        "versions": [", ".join(f"{package} {version}" for package, version in each.items()) for each in record.versions],
        "totals": dict(record.totals),
        "attempts": record.attempts,
    }


def settings(config: object) -> dict[str, list[tuple[str, str]]]:
    """The configuration as groups of names and texts, without what is empty.

    >>> settings({"run": {"grader": "math", "sampling": {"seed": 0, "stop": [], "top_p": 1.0}}})
    {'run': [('grader', 'math')], 'sampling': [('seed', '0'), ('top_p', '1.0')]}
    """
    if not isinstance(config, Mapping):
        return {}
    body = config.get("run", config)
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, value in _leaves(body if isinstance(body, Mapping) else config):
        group, _, rest = name.rpartition(".")
        groups.setdefault(group or "run", []).append((rest, _text(value)))
    return groups


def _method(config: object) -> str:
    if not isinstance(config, Mapping):
        return ""
    body = config.get("run", config)
    label = body.get("label") if isinstance(body, Mapping) else None
    return str(label.get("method", "")) if isinstance(label, Mapping) else str(config.get("method", ""))


def _leaves(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, object]]:
    for name, each in value.items():
        full = f"{above}.{name}" if above else str(name)
        if isinstance(each, Mapping):
            yield from _leaves(each, full)
        elif name not in _SKIPPED and each not in ("", None, [], ()):
            yield full, each


def _text(value: object) -> str:
    """A page may be handed on: of a place on this machine, only the last name is told."""
    if isinstance(value, str):
        absolute = PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute()
        text = PureWindowsPath(value).name if absolute else value
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
