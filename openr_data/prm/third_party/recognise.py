"""From the files of a model without `prm_config.json` to how it is asked. Loads no weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from openr_data.errors import InputError, UsageError
from openr_data.prm.config import PRMConfig
from openr_data.prm.encode import plain_text, rest_of_text
from openr_data.prm.templates import template_of
from openr_data.prm.third_party.styles import KNOWN, STYLES, Style

_CONTEXT = 4096


def recognise(folder: Path, style: str = "") -> PRMConfig | None:
    """How the model is asked; `None` where the folder holds no model at all.

    `style` names one of `STYLES` where the files do not tell. Raises `UsageError` for a style that is unknown or needed, and
    `InputError` for a model that is no process reward model of a known kind, or whose tokenizer lacks what its style needs.
    """
    settings = _settings(folder)
    if settings is None:
        return None
    chosen = _chosen(folder, settings, style)
    context = int(settings.get("max_position_embeddings") or _CONTEXT)
    return _config(chosen, _tokenizer(folder), folder, context)


def _settings(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / "config.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as fault:
        raise InputError(f"{folder / 'config.json'} cannot be read: {fault}") from fault
    return found if isinstance(found, dict) else None


def _chosen(folder: Path, settings: dict[str, Any], wanted: str) -> Style:
    architecture = str((settings.get("architectures") or [""])[0])
    wanted = wanted or KNOWN.get(_hub_name(folder), "")
    if wanted:
        return _named(wanted, architecture, folder)
    fitting = [each for each in STYLES.values() if each.fits(architecture)]
    if not fitting or (fitting[0].head == "token_classification" and _classes(settings) != 2):
        what = f"a '{architecture}'" if architecture else "a model of no named architecture"
        raise InputError(
            f"{folder} holds {what} and no prm_config.json, which is no process reward model that openr-data knows; "
            f"the known ones are: {', '.join(STYLES)}"
        )
    if _has_value_head(folder):
        return STYLES["skywork"]
    fitting = [each for each in fitting if each.head != "value_head" or len(fitting) == 1]
    if exact := [each for each in fitting if architecture in each.architectures]:
        return exact[0]
    raise UsageError(
        f"{folder} holds a '{architecture}' and no prm_config.json: its files do not say how it is asked; "
        f"name it with --style, one of: {', '.join(each.name for each in fitting)}"
    )


def _named(name: str, architecture: str, folder: Path) -> Style:
    if name not in STYLES:
        raise UsageError(f"there is no style '{name}' of process reward models; choose one of: {', '.join(STYLES)}")
    if not STYLES[name].fits(architecture):
        raise UsageError(f"{folder} holds a '{architecture}', which cannot be asked in the style '{name}'")
    return STYLES[name]


def _hub_name(folder: Path) -> str:
    """The `owner/name` of a snapshot in the Hub's cache (models--owner--name/snapshots/COMMIT), else nothing."""
    parts = folder.absolute().parts
    if len(parts) < 3 or parts[-2] != "snapshots" or not parts[-3].startswith("models--"):
        return ""
    return parts[-3].removeprefix("models--").replace("--", "/", 1)


def _classes(settings: dict[str, Any]) -> int:
    return len(settings.get("id2label") or {}) or int(settings.get("num_labels") or 2)


def _has_value_head(folder: Path) -> bool:
    """Is there a weight `v_head.summary` in the files? Only their headers are read."""
    from safetensors import SafetensorError, safe_open

    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                if any(name.startswith("v_head.summary.") for name in file.keys()):  # noqa: SIM118  (no mapping)
                    return True
        except (OSError, SafetensorError):
            continue  # whoever loads the weights says what is wrong with them
    return False


def _tokenizer(folder: Path) -> Any:
    from openr_data.prm.load import load_tokenizer

    return load_tokenizer(folder)


def _config(style: Style, tokenizer: Any, folder: Path, context: int) -> PRMConfig:
    template = template_of(style.template)
    tag, tag_id = _tag(style, tokenizer, folder, continued=template.continued)
    positive_id = negative_id = -1
    if style.positive:
        positive_id, negative_id = (_single(text, tokenizer, folder, style) for text in (style.positive, style.negative))
    return PRMConfig(
        head=style.head,
        template=template,
        tag=tag,
        tag_id=tag_id,
        positive=style.positive,
        positive_id=positive_id,
        negative=style.negative,
        negative_id=negative_id,
        read_offset=style.read_offset,
        context=context,
        base_model=_hub_name(folder),
    )


def _tag(style: Style, tokenizer: Any, folder: Path, *, continued: bool) -> tuple[str, int]:
    """The tag that follows a step, and the spelling that gives this token where it stands alone (a blank may be part of it)."""
    if not continued:
        return style.tag, _single(style.tag, tokenizer, folder, style)
    pieces = list(rest_of_text(plain_text(tokenizer), style.tag))
    if len(pieces) != 1:
        raise _lacking(style.tag, pieces, folder, style)
    alone = tokenizer.encode(style.tag, add_special_tokens=False)
    return (style.tag if pieces[0] in alone else style.tag.lstrip(" ")), pieces[0]


def _single(text: str, tokenizer: Any, folder: Path, style: Style) -> int:
    pieces = list(tokenizer.encode(text, add_special_tokens=False))
    if len(pieces) != 1:
        raise _lacking(text, pieces, folder, style)
    return int(pieces[0])


def _lacking(text: str, pieces: list[int], folder: Path, style: Style) -> InputError:
    return InputError(
        f"{folder} cannot be asked in the style '{style.name}': {text!r} is {len(pieces)} tokens of its tokenizer, not one"
    )
