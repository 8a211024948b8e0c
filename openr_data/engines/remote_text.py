"""The tokenizer of a model that runs elsewhere, where it can be had: a folder, the Hub's cache, or the Hub. Loads no weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import httpx

from openr_data.engines.base import EngineSpec
from openr_data.engines.builtin import WEIGHTS
from openr_data.engines.local_text import TextSide, load_text_side
from openr_data.engines.prompts import PromptTemplate, resolve_template
from openr_data.errors import UsageError


def find_text_side(spec: EngineSpec, names: Sequence[str]) -> TextSide | None:
    """The tokenizer of the first of `names` that has one, with the template; `None` where the prompt needs none or none is found.

    A template without a chat needs it only for `auto`, and for token spans (an empty separator). `UsageError`: the template does
    not suit the model.
    """
    if spec.api == "chat" or not _needs_tokenizer(spec):
        return None
    folder = next(filter(None, (_folder(name, spec.revision) for name in names)), None)
    if folder is None:
        return None
    try:
        text = load_text_side(folder, spec.template, builtin=folder.resolve() == WEIGHTS.resolve())
    except UsageError:
        if spec.template != "auto":
            raise
        return None
    if spec.separator is not None:
        text.template = resolve_template(text.template.name, auto="", separator=spec.separator)
    return text


def remote_template(spec: EngineSpec, text: TextSide | None) -> PromptTemplate:
    """The template in use. Without the tokenizer, `auto` is `boxed` for the chat API and `plain` for the other."""
    if text:
        return text.template
    template = resolve_template(spec.template, auto="boxed" if spec.api == "chat" else "plain", separator=spec.separator)
    if template.chat and spec.api == "completions":
        model = f"'{spec.model}'" if spec.model else "the served model"
        raise UsageError(
            f"the template '{template.name}' is rendered by the tokenizer of {model}, which is not at hand: "
            "name a local folder or Hub model with --model, or use --template plain, or --api chat"
        )
    return template


def _needs_tokenizer(spec: EngineSpec) -> bool:
    return spec.template == "auto" or spec.separator is not None or resolve_template(spec.template, auto="").chat


def _folder(name: str, revision: str) -> Path | None:
    """Where the files of the tokenizer lie. A Hub that does not answer at once is not waited for."""
    from huggingface_hub import constants, snapshot_download, try_to_load_from_cache

    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return folder
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        return None
    cached = try_to_load_from_cache(name, "tokenizer_config.json", revision=revision or None)
    if isinstance(cached, str):
        return Path(cached).parent
    try:
        url = f"{constants.ENDPOINT}/{name}/resolve/{revision or 'main'}/tokenizer_config.json"
        if httpx.head(url, timeout=5.0).status_code >= 400:
            return None
        files = ["*.json", "*.jinja", "tokenizer*"]
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=files, ignore_patterns=["*.index.json"]))
    except (httpx.HTTPError, OSError):
        return None
