"""What a score depends on, as one digest."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from openr_data.models.files import model_digest
from openr_data.prm.config import PRMConfig


def identity_of(folder: Path, config: PRMConfig, number_format: str = "") -> str:
    """SHA-256 over the files of the model, its configuration (in no file of a third-party model) and the number format."""
    parts = [model_digest(folder), json.dumps(asdict(config), sort_keys=True), number_format]
    return sha256("\0".join(parts).encode()).hexdigest()
