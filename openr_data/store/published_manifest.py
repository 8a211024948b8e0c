"""How a published folder is told from a run, which has a `manifest.json` of another kind. Reads nothing else of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from openr_data.store.manifest import NAME

_MAKER = "openr-data"


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a published folder; `None` where there is none, or another program's (or a run's) `manifest.json`."""
    try:
        body = json.loads((path / NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) and body.get("made_by") == _MAKER else None
