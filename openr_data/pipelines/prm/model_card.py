"""The card of a process reward model in its folder: what its files say of it, and what an evaluation measured.

The card is a function of the folder. An evaluation that is given is copied into `evaluation/` of it, so that the card can be made
again anywhere, and is published with the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from openr_data.data_cards.blocks import people_text
from openr_data.data_cards.licences import is_identifier
from openr_data.data_cards.metadata import split_card
from openr_data.data_cards.model_card import ModelFacts, is_hub_name, render_model_card
from openr_data.data_cards.model_card_data import DataSource, TrainingData
from openr_data.data_cards.model_card_weak import weaknesses
from openr_data.errors import InputError, RunDirError, UsageError
from openr_data.pipelines.prm.evaluated import EVALUATION, Evaluated, given_evaluation, own_evaluation
from openr_data.pipelines.prm.record import NAME as RUN
from openr_data.pipelines.prm.record import PRMRunRecord
from openr_data.pipelines.publishing.record import last_part
from openr_data.pipelines.run_card import README, read_readme
from openr_data.prm.config import PRMConfig
from openr_data.store.atomic import partial_name, publish, storage_errors, write_text
from openr_data.store.lock import DirectoryLock

TRAINING = "training.json"
_OFFSETS = {0: "at the tag", -1: "at the token before the tag"}
_READINGS = {"hard": "1 before the first wrong step, 0 from it on", "soft": "the measured value of the step"}
_TRAINED = {
    "loss": "loss",
    "epochs": "epochs",
    "batch": "solutions per optimiser step",
    "rate": "learning rate (0: by size)",
    "schedule": "schedule",
    "warmup": "warm-up (share of the steps)",
    "weight_decay": "weight decay",
    "clip": "gradient norm, at most",
    "positive_weight": "weight of good steps (0: such that both kinds weigh the same)",
    "smoothing": "label smoothing",
    "dtype": "number format",
    "seed": "seed",
}


@dataclass(frozen=True, slots=True)
class ModelCardOptions:
    """`evaluation` is a folder that `prm evaluate` wrote; without one, that which the model's folder holds counts. `license` and
    `title` replace what is there ("": as it is); `every`: also write blocks that a person has deleted.
    """

    evaluation: Path | None = None
    license: str = ""
    title: str = ""
    every: bool = False

    def checked(self) -> ModelCardOptions:
        if self.license and not is_identifier(self.license):
            told = "give an identifier of the Hub, such as mit, apache-2.0 or cc-by-4.0; `other` for any else"
            raise UsageError(f"'{self.license}' is no licence as a card names it: {told}")
        return self


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A README.md, and the files of the evaluation that it speaks of, by their paths beside it."""

    text: str
    files: Mapping[str, bytes] = field(default_factory=dict)


def model_card(
    folder: Path, options: ModelCardOptions = ModelCardOptions(), *, existing: str = "", location: str = ""
) -> ModelCard:
    """The card of the model in `folder`. `existing` is the README.md that is there now: its text and its own metadata stay; where
    no person has written into it, those of the folder's own card are taken over. `location` is what the model is loaded by.

    Raises `InputError` for a folder without a model, or a card or an evaluation that cannot be read, `UsageError` for an option.
    """
    options, config = options.checked(), PRMConfig.load(folder)
    evaluated = given_evaluation(folder, config, options.evaluation) if options.evaluation else own_evaluation(folder, config)
    title = options.title or (location.rsplit("/", 1)[-1] if is_hub_name(location) else folder.resolve().name)
    facts = replace(
        _facts(folder, config, evaluated), title=title, location=location or folder.resolve().name, license=options.license
    )
    base = existing if people_text(split_card(existing)[1]).strip() else read_readme(folder) or existing
    text = render_model_card(facts, base, every=options.every)
    return ModelCard(text, {f"{EVALUATION}/{name}": content for name, content in evaluated.files.items()})


def write_model_card(folder: Path, options: ModelCardOptions = ModelCardOptions()) -> ModelCard:
    """The card in the model's own folder, the evaluation before it, so that the text never shows what is not there.

    Raises what `model_card` does, `RunDirError` while another process has the folder, and `StorageError`.
    """
    PRMConfig.load(folder)
    with DirectoryLock(folder):
        card = model_card(folder, options, existing=read_readme(folder))
        for name, content in card.files.items():
            path = folder / name
            with storage_errors(path, "run the same command again"):
                path.parent.mkdir(parents=True, exist_ok=True)
                partial_name(path).write_bytes(content)
                publish(partial_name(path), path)
        write_text(folder / README, card.text)
    return card


def _facts(folder: Path, config: PRMConfig, evaluated: Evaluated) -> ModelFacts:
    from openr_data import __version__

    record, run = training_record(folder), run_record(folder)
    data = _data(run)
    base, on_hub = shown_base(config.base_model)
    evidence = replace(
        evaluated.evidence,
        data=data,
        masked=config.labels.after_error == "mask" and bool(record),
        chosen_auroc=record.get("auroc"),
    )
    return ModelFacts(
        title="",
        head=config.head,
        asked=_asked(config),
        texts={"The user's part": config.template.user, "The system's part": config.template.system},
        weak=weaknesses(evidence),
        base=base,
        base_on_hub=on_hub,
        datasets=_on_hub(run),
        data=data,
        training=_training(record.get("settings", {})),
        outcome=_outcome(record),
        evaluation=evaluated.sections,
        results=evaluated.results,
        figures={f"{EVALUATION}/{path}": told for path, told in evaluated.figures.items()},
        versions=record.get("versions", {}),
        software=__version__,
    )


def shown_base(base: str) -> tuple[str, bool]:
    """The base model as it may be told, and whether that is a name on the Hub: of a path, the last part."""
    if base == "builtin":
        return "the built-in policy of openr-data", False
    if is_hub_name(base) and not Path(base).exists():
        return base, True
    return last_part(base) if not is_hub_name(base) else base.rsplit("/", 1)[-1], False


def training_record(folder: Path) -> dict[str, Any]:
    """What the trainer left in the folder; empty without. Raises `InputError` where it cannot be read."""
    return _json(folder / TRAINING)


def run_record(folder: Path) -> PRMRunRecord | None:
    """What the training was asked for, and what became of its data; `None` without. Raises `InputError`."""
    if not (folder / RUN).is_file():
        return None
    try:
        return PRMRunRecord.load(folder)
    except RunDirError as fault:
        raise InputError(str(fault)) from fault


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as fault:
        raise InputError(f"{path} cannot be read ({fault}); restore it, or move it away") from fault
    if not isinstance(found, dict):
        raise InputError(f"{path} is not what openr-data writes; restore it, or move it away")
    return found


def _asked(config: PRMConfig) -> dict[str, object]:
    template, labels = config.template, config.labels
    return {
        "Head": config.head.replace("_", " "),
        "Template": template.name + (", with the chat template of the tokenizer" if template.chat else ""),
        "Step": template.step,
        "Between a tag and the next step": json.dumps(template.separator, ensure_ascii=False),
        "Step tag": f"{json.dumps(config.tag, ensure_ascii=False)} (token {config.tag_id})",
        "Good, wrong": _judgements(config),
        "Read": _OFFSETS.get(config.read_offset, f"{config.read_offset:+d} tokens from the tag"),
        "Probability": _probability(config),
        "Targets in training": _READINGS[labels.kind] + (f", from {labels.threshold} up" if labels.threshold else ""),
        "Steps after the first wrong one": "carry no loss" if labels.after_error == "mask" else "are trained on",
        "Longest sequence": f"{config.context:,} tokens; a longer solution gets no score",
    }


def _judgements(config: PRMConfig) -> str:
    if config.positive_id < 0:
        return ""
    good, wrong = (json.dumps(text, ensure_ascii=False) for text in (config.positive, config.negative))
    return f"{good} (token {config.positive_id}), {wrong} (token {config.negative_id})"


def _probability(config: PRMConfig) -> str:
    if (config.scale, config.shift) == (1.0, 0.0):
        return "sigmoid of the logit difference, in float32"
    return f"sigmoid({config.scale:.4g} d {config.shift:+.4g}) of the logit difference d, in float32 (calibrated)"


def _data(run: PRMRunRecord | None) -> TrainingData | None:
    """Of a record without what became of the data, nothing."""
    if run is None or not run.data:
        return None
    data = run.data
    names = short_names(run)
    files = {name for name, mark in run.inputs.items() if mark.startswith("sha256:")}
    sources = [_source(str(names.get(name, name)), tally, foreign=name in files) for name, tally in data["sources"].items()]
    return TrainingData(
        sources,
        compared={last_part(name): count for name, count in data["compared"].items()},
        contaminated={last_part(name): count for name, count in data["contaminated"].items()},
        context=data.get("context", 0),
        longest=data.get("lengths", {}).get("longest", 0),
    )


def _source(name: str, tally: Mapping[str, Any], *, foreign: bool) -> DataSource:
    counts = {each: tally[each] for each in ("weight", "rows", "good", "bad", "masked")}
    held_out = sum(count for split, count in tally["splits"].items() if split != "train")
    left_out = {**tally["dropped"], **{f"unreadable ({why})": count for why, count in tally["unreadable"].items()}}
    return DataSource(name, tally["layout"], held_out=held_out, left_out=left_out, foreign=foreign, **counts)


def short_names(run: PRMRunRecord) -> dict[str, str]:
    """How each data set is told: names on the Hub as they are, of a path the last part, numbered where two have the same."""
    found: dict[str, str] = {}
    for shown in _sources(run):
        short = shown if run.inputs[shown].startswith("hub:") else last_part(shown)
        taken = sum(other == short or other.startswith(f"{short} (") for other in found.values())
        found[shown] = f"{short} ({taken + 1})" if taken else short
    return found


def _on_hub(run: PRMRunRecord | None) -> list[str]:
    if run is None:
        return []
    hub = [run.inputs[name].removeprefix("hub:").split("@")[0] for name in _sources(run) if run.inputs[name].startswith("hub:")]
    return list(dict.fromkeys(filter(is_hub_name, hub)))


def _sources(run: PRMRunRecord) -> list[str]:
    return [name for name in run.inputs if name != "base" and not name.startswith("against ")]


def _training(settings: Mapping[str, Any]) -> dict[str, object]:
    told: dict[str, object] = {}
    for name, text in _TRAINED.items():
        if name in settings:
            told[text] = settings[name]
    lora = settings.get("lora") or {}
    if settings:
        told["trained weights"] = (
            f"low-rank adapters of rank {lora['rank']} (alpha {lora.get('alpha')}), merged" if lora.get("rank") else "all"
        )
    return {name: str(value).replace("_", " ") for name, value in told.items()}


def _outcome(record: Mapping[str, Any]) -> dict[str, object]:
    """Of the trainer; the rows of the last two chose the checkpoint."""
    told = {
        "Optimiser steps": _shown(record.get("steps"), ",.0f"),
        "Checkpoint that was kept (step)": _shown(record.get("best_step"), ",.0f"),
        "Tokens, without padding": _shown(record.get("tokens"), ",.0f"),
        "Time": _shown(record.get("seconds"), ",.0f", " s"),
        "Training loss at the end": _shown(record.get("loss"), ".4f"),
        "AUROC of steps on held-out rows": _shown(record.get("auroc"), ".4f"),
        "Expected calibration error there": _shown(record.get("ece"), ".4f"),
    }
    return {name: value for name, value in told.items() if value}


def _shown(value: object, spelling: str, unit: str = "") -> str:
    return f"{value:{spelling}}{unit}" if isinstance(value, int | float) else ""


def plain_facts(config: PRMConfig) -> dict[str, Any]:
    """What makes a model this one and not another: a new version has the same."""
    base, _ = shown_base(config.base_model)
    return {"base_model": base, "head": config.head, "template": asdict(config.template), "tag": config.tag}
