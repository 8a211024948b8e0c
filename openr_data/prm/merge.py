"""A low-rank adapter (LoRA, arXiv 2106.09685) added to the weights of its base: W + (alpha / rank) B A, once and for all."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from openr_data.errors import InputError, UsageError
from openr_data.models.files import model_folder, weights_digest
from openr_data.prm.build import build
from openr_data.prm.config import NAME, PRMConfig
from openr_data.prm.encode import Encoder, check_fingerprint
from openr_data.prm.load import check_ids, load_tokenizer
from openr_data.prm.prepare import Prepared
from openr_data.prm.tags import Tag, add_tag
from openr_data.prm.tokenizer_files import save_tokenizer
from openr_data.prm.weights import first_line, quiet

ADAPTER = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class Merged:
    """`record` is where the adapter's `prm_config.json` lies."""

    folder: Path
    record: Path
    config: PRMConfig
    base: str
    weights: int
    """How many matrices the adapter changed."""


def merge(adapter: Path, out: Path, *, base: str = "", dtype: torch.dtype = torch.float32) -> Merged:
    """Writes the whole model into `out`, which must not exist or be empty. In float32 its scores are the adapter's.

    `adapter` is what the trainer writes (`OUT/adapter`; its `prm_config.json` may stand one folder up). `base` is needed where
    the base that it names is not there any more. Raises `InputError` for what is no adapter, or one of another base.
    """
    settings, record = _settings(adapter), _record(adapter)
    config = PRMConfig.load(record)
    name = base or _base_of(settings, config)
    folder = model_folder(name, "" if base else str(settings.get("revision") or ""))
    if config.base_digest not in {"", weights_digest(folder)}:
        raise InputError(
            f"the adapter in {adapter} was trained on other weights than those of '{name}'; name its base with --base"
        )
    prepared = _prepared(folder, config)
    model = _adapted(build(prepared, dtype=torch.float32), adapter, name)
    count = sum(hasattr(module, "lora_A") for module in model.modules())
    whole = model.merge_and_unload().to(dtype)
    with quiet():
        whole.save_pretrained(out)
    save_tokenizer(prepared.tokenizer, out)
    config.save(out)
    return Merged(out, record, config, name, count)


def _settings(adapter: Path) -> dict[str, Any]:
    path = adapter / ADAPTER
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{adapter} holds no adapter: there is no {ADAPTER} in it") from None
    except (OSError, ValueError) as fault:
        raise InputError(f"{path} cannot be read: {fault}") from fault
    if not isinstance(found, dict):
        raise InputError(f"{path} is not what peft writes")
    return found


def _record(adapter: Path) -> Path:
    above = adapter.resolve().parent
    return above if (above / NAME).is_file() and not (adapter / NAME).is_file() else adapter


def _base_of(settings: dict[str, Any], config: PRMConfig) -> str:
    """The name that the training was given, or where that is no place here the folder that it came to."""
    came_to, name = str(settings.get("base_model_name_or_path") or ""), config.base_model
    return name if name == "builtin" or Path(name or came_to).is_dir() or not Path(came_to).is_dir() else came_to


def _prepared(folder: Path, config: PRMConfig) -> Prepared:
    """As the training prepared it: the same tag in the same place."""
    tokenizer = load_tokenizer(folder)
    new = config.tag_id >= len(tokenizer)
    if new:
        add_tag(tokenizer, Tag(config.tag, config.tag_id, is_new=True))
    check_ids(tokenizer, config, folder)
    encoder = Encoder(tokenizer, config)
    check_fingerprint(encoder, folder)
    fresh = config.head != "causal" and not (folder / NAME).is_file()
    return Prepared(folder, tokenizer, config, encoder, new, new_head=fresh)


def _adapted(model: Any, adapter: Path, base: str) -> Any:
    """Every weight of the adapter must be there, and fit; of one that is not, peft only warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return PeftModel.from_pretrained(model, adapter).eval()
        except (RuntimeError, ValueError, KeyError, OSError, UserWarning) as fault:
            raise InputError(f"the adapter in {adapter} does not fit '{base}': {first_line(fault)}") from fault


def refuse_adapter(folder: Path) -> None:
    """For those who want a whole model."""
    if (folder / ADAPTER).is_file() and not (folder / "config.json").is_file():
        raise UsageError(f"{folder} holds an adapter and no model; `openr-data prm merge` makes one of it first")
