"""Writes a tokenizer's files in the form that transformers 4, transformers 5 and vLLM all read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_OURS = ("backend", "is_local", "local_files_only")
"""How the tokenizer was loaded here."""
_NEW_NAME, _OLD_NAME = "TokenizersBackend", "PreTrainedTokenizerFast"


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """As `tokenizer.save_pretrained`, with the class and the further control tokens under the names that older readers know."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    for name in _OURS:
        settings.pop(name, None)
    if settings.get("tokenizer_class") == _NEW_NAME:
        settings["tokenizer_class"] = _OLD_NAME
    if isinstance(settings.get("extra_special_tokens"), list):
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    path.write_text(json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
