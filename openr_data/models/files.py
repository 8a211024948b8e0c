"""Where the files of a local model are, and their digest. Loads neither tokenizer nor weights."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from hashlib import file_digest, sha256
from pathlib import Path

from openr_data.errors import UsageError

_PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.model", "merges.txt", "vocab.txt")
BUILTIN = Path(__file__).parents[1] / "engines" / "builtin" / "weights"
"""The small policy that ships with the package."""
POLICY = "openr_policy.json"
"""Beside a policy that was trained here: the prompt template that `auto` stands for."""
_RECORDS = frozenset({"manifest.json", "training.json", "prm_run.json", "rl_run.json", "rl_result.json"})
"""They tell how a model was made or published, and are read by no model: without them, or shortened, it is the same model."""
_LARGE = 32 * 2**20


def model_folder(model: str, revision: str = "", *, weights: bool = True) -> Path:
    """The folder of the model of that name: `builtin`, a local path, or a snapshot from the Hub.

    Without `weights` only the small files are fetched. `UsageError` in one sentence when there is no such model.
    """
    if model == "builtin":
        if not (BUILTIN / "config.json").is_file():
            raise UsageError("the built-in model is not installed here; `openr-data builtin train` makes it")
        return _checked(BUILTIN, weights)
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _checked(folder, weights)
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model) or model.startswith("."):
        raise UsageError(f"there is no model folder '{model}'")
    return _checked(_snapshot(model, revision, weights), weights)


def _snapshot(model: str, revision: str, weights: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = [pattern for pattern in _PATTERNS if weights or not pattern.endswith(".safetensors")]
    try:
        return Path(snapshot_download(model, revision=revision or None, allow_patterns=patterns))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        where = f"{model}@{revision}" if revision else model
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"'{where}' is no folder here and could not be had from the Hugging Face Hub: {reason}") from error


def _checked(folder: Path, weights: bool) -> Path:
    if not (folder / "config.json").is_file():
        raise UsageError(f"the folder '{folder}' holds no model (config.json is missing)")
    if weights and not any(folder.glob("*.safetensors")):
        raise UsageError(f"the folder '{folder}' holds no weights (*.safetensors); other formats are not loaded")
    return folder


def model_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of everything that shapes what the model writes: weights, configuration, tokenizer."""
    return _total(_files(folder))


def weights_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of the weights alone."""
    return _total(path for path in _files(folder) if path.suffix == ".safetensors")


def policy_prompt(folder: Path) -> tuple[str, str | None]:
    """The prompt template that a policy was trained with here, and what separates its steps (`None`: as the template says);
    nothing for other models. Raises `UsageError`.
    """
    try:
        body = json.loads((folder / POLICY).read_text(encoding="utf-8"))
        return str(body["template"]), body.get("separator")
    except FileNotFoundError:
        return "", None
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise UsageError(f"{folder / POLICY} cannot be read: {fault}") from fault


def _total(paths: Iterable[Path]) -> str:
    total = sha256()
    for path in paths:
        total.update(f"{path.name}\0{_digest(path)}\n".encode())
    return total.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name not in _RECORDS and any(path.match(pattern) for pattern in _PATTERNS):
            yield path


def _digest(path: Path) -> str:
    """Of one file; large ones are remembered by path, size and time of change, or known by their name in the Hub's cache."""
    real = path.resolve()
    if real.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", real.name):
        return real.name
    status = real.stat()
    if status.st_size < _LARGE:
        return sha256(real.read_bytes()).hexdigest()
    key = f"{real}:{status.st_size}:{status.st_mtime_ns}"
    memory = _memory()
    known = _read(memory)
    if key not in known:
        with real.open("rb") as file:
            known[key] = file_digest(file, "sha256").hexdigest()
        _write(memory, known)
    return known[key]


def _memory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openr-data" / "digests.json"


def _read(memory: Path) -> dict[str, str]:
    try:
        known = json.loads(memory.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in known.items()} if isinstance(known, dict) else {}


def _write(memory: Path, known: dict[str, str]) -> None:
    """A convenience: where it cannot be written, the next start reads the weights once more."""
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        fresh = memory.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(known), "utf-8")
        fresh.replace(memory)
    except OSError:
        return
