"""Publishing a process reward model: its folder, without what only training needs, as one version on the Hub or in a folder.

Only files go that are known to belong to a model: weights in safetensors, configuration, tokenizer, card, figures and records.
Checkpoints, optimizer states, pickles and code never do. How a version becomes one commit is `pipelines.publishing`'s business.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openr_data.errors import InputError, RunDirError
from openr_data.hub.files import LocalFile
from openr_data.hub.retry import Patience
from openr_data.pipelines.prm.evaluated import EVALUATION
from openr_data.pipelines.prm.model_card import (
    TRAINING,
    ModelCardOptions,
    model_card,
    plain_facts,
    run_record,
    short_names,
    shown_base,
    training_record,
)
from openr_data.pipelines.prm.record import NAME as RUN
from openr_data.pipelines.publishing.folder import FolderTarget
from openr_data.pipelines.publishing.hub import HubTarget, HubWay
from openr_data.pipelines.publishing.kinds import MODEL
from openr_data.pipelines.publishing.publish import publish_sources
from openr_data.pipelines.publishing.record import MANIFEST, Entry, json_text, last_part, manifest_text, portable
from openr_data.pipelines.publishing.source import local_files
from openr_data.pipelines.publishing.staging import README
from openr_data.pipelines.publishing.types import Published, Sending
from openr_data.prm.config import PRMConfig
from openr_data.store.atomic import write_checked_json, write_text

_LOADED = re.compile(
    r"(?:config|generation_config|prm_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template)\.json"
    r"|(?:merges|vocab)\.txt|[a-z0-9_.-]+\.jinja|(?:tokenizer|spiece|sentencepiece\.bpe)\.model"
    r"|model(?:-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json"
)
"""Files at the top of a model's folder that transformers and vLLM read."""
_STRAY = re.compile(r"[^/]+\.(?:safetensors|bin)|adapter_[^/]+")
"""What they would read beside it."""
_KEPT = re.compile(r"(?:LICENSE|NOTICE)(?:\.md|\.txt)?")
_INDEX, _WHOLE = "model.safetensors.index.json", "model.safetensors"
_OURS = frozenset({README, MANIFEST, TRAINING, RUN, EVALUATION, "lock"})
"""Made anew for the publication, or of no use there."""
_WORK = ".checkpoints"
_NAMED = ("_name_or_path", "name_or_path")
_SHORT = 80


@dataclass(frozen=True, slots=True)
class ModelPublishOptions:
    """`message` is the commit's ("": one that says what the model is). `card` holds the evaluation, the licence and the title."""

    card: ModelCardOptions = field(default_factory=ModelCardOptions)
    message: str = ""
    dry_run: bool = False
    patience: Patience = field(default_factory=Patience)
    sending: Sending = lambda *_: None


def publish_model(
    folder: Path, target: HubTarget | FolderTarget, options: ModelPublishOptions = ModelPublishOptions()
) -> Published:
    """Raises `OpenRDataError`. Whatever goes wrong, readers see the old version or the new one, and the same call continues.

    `target.into_existing` replaces another model, or files that were changed by hand. Nothing in `folder` is changed.
    """
    options.card.checked()
    model = open_model(folder)

    @contextmanager
    def staged() -> Iterator[ModelSource]:
        with tempfile.TemporaryDirectory(prefix="openr-data-publish-") as staging:
            yield ModelSource(model, Path(staging), options.card)

    way = HubWay(options.patience, options.sending)
    message = options.message or _message(model.config)
    published = publish_sources(staged, replace(target, kind=MODEL), message, way, dry_run=options.dry_run)
    note = f"left out: {', '.join(model.left_out)}"
    return replace(published, notes=(*published.notes, note)) if options.dry_run and model.left_out else published


@dataclass(frozen=True, slots=True)
class Model:
    """A folder that can be published: `files` go as they are, `left_out` are names of what stays here."""

    folder: Path
    config: PRMConfig
    files: tuple[Path, ...]
    left_out: tuple[str, ...]


def open_model(folder: Path) -> Model:
    """Checked without loading the weights: they are whole, and the tokenizer is the one that the model was trained with.

    Raises `InputError` for what is no process reward model, or not a whole one, `RunDirError` where its training is not finished.
    """
    from openr_data.prm.load import load_encoder

    config = PRMConfig.load(folder)
    if (folder / _WORK).exists():
        raise RunDirError(f"the training in {folder} is not finished; go on with it by --resume, then publish it")
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    files = tuple(folder / name for name in names if _LOADED.fullmatch(name) or _KEPT.fullmatch(name))
    link = next((path for path in files if path.is_symlink()), None)
    if link is not None:
        raise InputError(f"{link} is a link; only files are published")
    _check_weights(folder, names)
    load_encoder(folder)
    left_out = [f"{name}/" if (folder / name).is_dir() else name for name in names if folder / name not in files]
    return Model(folder, config, files, tuple(name for name in left_out if name.rstrip("/") not in _OURS))


def _check_weights(folder: Path, names: Sequence[str]) -> None:
    """Raises `InputError` where they would not load as they are, or something else would be loaded with them."""
    weights = {name for name in names if name.endswith(".safetensors")}
    if "config.json" not in names:
        raise InputError(f"{folder} holds no model: there is no config.json in it")
    adapter = next((name for name in names if name.startswith("adapter_")), None)
    if adapter is not None:
        raise InputError(
            f"{folder} holds an adapter ({adapter}), and only whole models are published; `openr-data prm merge` makes one"
        )
    if not weights:
        raise InputError(f"{folder} holds no weights (*.safetensors); other formats are not published")
    wanted = _indexed(folder) if _INDEX in names else {_WHOLE: None}
    if weights != set(wanted):
        odd = min(weights ^ set(wanted))
        raise InputError(f"the weights in {folder} are not whole: {odd} is {'missing' if odd in wanted else 'not part of them'}")
    for name, keys in wanted.items():
        _check_shard(folder / name, keys)


def _indexed(folder: Path) -> dict[str, set[str] | None]:
    """The names of the weights in each file."""
    try:
        shards = dict(json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"])
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise InputError(f"{folder / _INDEX} cannot be read ({type(fault).__name__}); save the model again") from fault
    files: dict[str, set[str] | None] = {}
    for key, name in shards.items():
        named = files.setdefault(str(name), set())
        if named is not None:
            named.add(key)
    return files


def _check_shard(path: Path, keys: set[str] | None) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            found = set(file.keys())
    except (SafetensorError, OSError, ValueError) as fault:
        raise InputError(f"{path} is damaged ({fault}); save the model again") from fault
    if keys is not None and found != keys:
        raise InputError(f"{path} does not hold the weights that {_INDEX} says; save the model again")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """What is staged: the model's files where they lie, and in `staging` what is made for the publication."""

    model: Model
    staging: Path
    options: ModelCardOptions

    @property
    def rows(self) -> Mapping[str, Mapping[str, int]]:
        return {}

    @property
    def rows_of_files(self) -> Mapping[str, int]:
        return {}

    def loads(self, path: str) -> bool:
        return bool(_LOADED.fullmatch(path) or _STRAY.fullmatch(path))

    def pinned(self, path: str) -> bool:
        return self.loads(path)

    def another(self, manifest: Mapping[str, Any]) -> str:
        there = manifest.get("model")
        if not isinstance(there, dict):
            return "it does not say which"
        mine = plain_facts(self.model.config)
        other = next((name for name, value in mine.items() if there.get(name) != value), None)
        return "" if other is None else f"its {other.replace('_', ' ')} is {_told(there.get(other))}"

    def files(self, existing: str, location: str) -> list[LocalFile]:
        card = model_card(self.model.folder, self.options, existing=existing, location=location)
        for name, content in card.files.items():
            (self.staging / name).parent.mkdir(parents=True, exist_ok=True)
            (self.staging / name).write_bytes(content)
        _stage_records(self.model, self.staging)
        staged = local_files(self.staging)
        taken = {file.path for file in staged}
        files = [*staged, *(LocalFile.of(path.name, path) for path in self.model.files if path.name not in taken)]
        facts = {"model": plain_facts(self.model.config)}
        write_text(self.staging / MANIFEST, manifest_text([Entry(f.path, f.size, f.sha256) for f in files], facts, MODEL))
        write_text(self.staging / README, card.text)
        return [*files, *(LocalFile.of(name, self.staging / name) for name in (MANIFEST, README))]


def _message(config: PRMConfig) -> str:
    base, _ = shown_base(config.base_model)
    return f"Publish a process reward model (template {config.template.name}{f', from {base}' if base else ''})"


def _told(value: object) -> str:
    text = " ".join(str(value.get("name") if isinstance(value, dict) else value).split())
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"


def _stage_records(model: Model, staging: Path) -> None:
    """How it was made, and what names a place of this machine: of paths only the last part goes."""
    base, on_hub = shown_base(model.config.base_model)
    if not on_hub and model.config.base_model not in {base, "builtin"}:
        replace(model.config, base_model=base).save(staging)
    for path in model.files:
        if path.name in {"config.json", "tokenizer_config.json"}:
            _stage_unnamed(path, staging)
    if record := training_record(model.folder):
        write_text(staging / TRAINING, json_text(portable(record)))
    if run := run_record(model.folder):
        names = short_names(run) | {name: f"against {last_part(name[8:])}" for name in run.inputs if name.startswith("against ")}
        body = {"config": run.config, "inputs": run.inputs, "data": run.data}
        write_checked_json(staging / RUN, portable(_renamed(body, names)))


def _stage_unnamed(path: Path, staging: Path) -> None:
    """A configuration that says from which folder it was read, without that."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise InputError(f"{path} cannot be read ({fault}); save the model again") from fault
    named = {name: last_part(found[name]) for name in _NAMED if isinstance(found.get(name), str)}
    if any(found[name] != short for name, short in named.items()):
        write_text(staging / path.name, json.dumps({**found, **named}, indent=2, ensure_ascii=False) + "\n")


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {names.get(key, key): _renamed(each, names) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value
