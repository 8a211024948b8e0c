"""What the record of a run says on its card, and the card that a run leaves at its end. Counts nothing and draws nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from openr_data.data_cards.blocks import Block
from openr_data.data_cards.card import CardFacts, CardTable, dataset_info, info_of, render_card
from openr_data.engines import EngineSpec
from openr_data.engines.prompts import TEMPLATES, PromptTemplate
from openr_data.errors import InputError
from openr_data.labelers import LabelConfig
from openr_data.layouts import LAYOUTS
from openr_data.pipelines.card import Words, card_words, run_tables
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, SecondEngine
from openr_data.problems import ProblemSource
from openr_data.store.manifest import TableSize
from openr_data.store.run_record import RunRecord
from openr_data.store.schemas import SCHEMA_VERSION
from openr_data.types import Sampling

README = "README.md"
COUNTED = ("numbers", "figures", "quality", "checks", "contamination", "costs", "sources")
"""Blocks that only `openr-data card` writes, and that say something of the data."""

STALE = "The data changed after this part was made: `openr-data card` makes it again.\n"
_NEUTRAL = {"good": "counts as good", "bad": "counts as wrong", "none": "gives no label"}
_NO_TEMPLATE = PromptTemplate("not recorded", user="", separator="")
_ORIGINS = {
    "prm800k": "In the original, people rated every step (arXiv 2305.20050).",
    "processbench": "In the original, experts marked the first wrong step (arXiv 2412.06559).",
    "math-shepherd": "In the original, rollouts of a model labelled the steps (arXiv 2312.08935).",
    "math-aps": "In the original, OpenR's search with rollouts of a model measured the steps (arXiv 2410.09671).",
}
_ORIGINS["math-aps-tree"] = _ORIGINS["math-aps"]
_SOFT = {"math-aps", "math-aps-tree", "openr", "openrlhf", "scan", "trl"}
_AUTHORS = "those count as right that the layout's authors call so"
_UNKNOWN_ORIGIN = "The layout does not say who or what made them."
T = TypeVar("T")


def automatic_card(
    run: Path,
    record: RunRecord,
    sizes: Mapping[str, TableSize],
    counts: Mapping[str, object],
    warn: Callable[[str], None] = lambda _: None,
) -> str | None:
    """The README.md of a run that has just ended, with what a person wrote into the one that is there.

    `None` where that one cannot be read: it stays as it is, and `warn` hears why. A run does not fail over its card.
    """
    try:
        existing = read_readme(run)
        return render_recorded(record, run_tables(sizes), counts, existing)
    except InputError as fault:
        warn(f"{run / README} was left as it is: {fault}; then run `openr-data card {run}`")
        return None


def read_readme(folder: Path) -> str:
    """The card in a folder as it is, its line ends too; "" without one. Raises `InputError` where it is no text."""
    path = folder / README
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise InputError(f"{path} is not in UTF-8; save it so, or move it away") from None
    except OSError as fault:
        raise InputError(f"{path} cannot be read ({fault.strerror}); move it away") from None


def render_recorded(record: RunRecord, tables: Sequence[CardTable], counts: Mapping[str, object], existing: str = "") -> str:
    """A function of what the run is and of what it holds, so a resumed run has the same card.

    What `openr-data card` has counted stays while the data is the same, and says so where it is not.
    """
    facts = CardFacts(tables=tables, counts=counts, **recorded_words(record))
    told = info_of(existing)
    changed = told is not None and told != dataset_info(tables)
    stale = [Block(name, STALE, renewed=True) for name in COUNTED if changed]
    return render_card(facts, existing, stale)


def recorded_words(record: RunRecord) -> Words:
    """What the card says of what the run is."""
    if record.identity["command"] == "import":
        return import_words(record)
    if record.identity["command"] == "evaluate":
        return evaluation_words(record)
    template = TEMPLATES.get(record.settings.get("template", ""), _NO_TEMPLATE)
    template = replace(template, separator=record.settings.get("separator", template.separator))
    return card_words(recorded_config(record), str(record.identity["engine"]), template)


def recorded_config(record: RunRecord) -> GenerateConfig | LabelRunConfig:
    """The configuration as it was recorded; what a record does not hold has its default."""
    values: Mapping[str, Any] = record.identity["config"]["run"]
    common: dict[str, Any] = {
        "source": _made(ProblemSource, values["source"]),
        "engine": _made(EngineSpec, values["engine"]),
        "sampling": _sampling(values["sampling"]),
    }
    if "label" not in values:
        return GenerateConfig(**common, **_kept(values, "solutions", "grader", "truncated", "ungradable"))
    second = {
        name: SecondEngine(_made(EngineSpec, each["spec"]), _sampling(each["sampling"]))
        for name, each in values.get("engines", {}).items()
    }
    return LabelRunConfig(**common, label=_made(LabelConfig, values["label"]), engines=second, **_kept(values, "grader"))


def import_words(record: RunRecord) -> Words:
    """Of labels that others published: whose they are, and by which rules they were read."""
    values: Mapping[str, Any] = record.identity["config"]["run"]
    layout, reading, source = str(values["format"]), values.get("reading", {}), values["source"]
    doc = LAYOUTS[layout].doc if layout in LAYOUTS else ""
    threshold, kept = reading.get("threshold"), "kept" if reading.get("keep_excluded") else "left out"
    return {
        "title": f"Published step labels ({layout})",
        "about": "Step labels that others published, read with openr-data into its tables; none was made or changed here.",
        "settings": {
            "read from": source["location"],
            **{name: source[name] for name in ("config", "split", "revision") if source.get(name)},
            "layout": layout,
            "data schema": SCHEMA_VERSION,
        },
        "how": [
            f"The labels are not ours: they were published in the layout `{layout}`. {_ORIGINS.get(layout, _UNKNOWN_ORIGIN)}",
            f"That layout: {doc}." if doc else "",
            "They were read as they are, and no step was labelled anew.",
            "`estimator` says what kind of value stands in `mc`.",
            f"A neutral rating {_NEUTRAL.get(reading.get('neutral', 'good'), 'is kept')}." if layout == "prm800k" else "",
            f"Of soft values, {_AUTHORS if threshold is None else _right(float(threshold))}." if layout in _SOFT else "",
            f"Rows that the publisher sets aside, such as quality control, were {kept}.",
        ],
        "limits": ["What the publisher's labels cannot see, these cannot see either.", *_UNGRADED],
        "annotations": "found",
        "language": (),
        "tags": ("math", "process-supervision", "prm"),
    }


def evaluation_words(record: RunRecord) -> Words:
    """Of candidates that searches found: by whom, how, and what guided them."""
    values: Mapping[str, Any] = record.identity["config"]["run"]
    source, sampling = values["source"], values["sampling"]
    searches = ", ".join(f"{each['strategy']}-{each['n']}" for each in values["searches"])
    prm = record.identity["config"].get("engines", {}).get("prm", "")
    return {
        "title": "Guided decoding",
        "about": "Solutions that searches found, with the scores of their steps, their trees and their bills.",
        "settings": {
            "questions": source["location"],
            "engine": record.identity["engine"],
            "process reward model": prm or "none",
            "searches": searches,
            **{name: sampling[name] for name in ("temperature", "top_p", "top_k", "max_tokens", "seed")},
            "data schema": SCHEMA_VERSION,
        },
        "how": [
            f"Every question went through every search: {searches}.",
            "Answers are grouped by mathematical equality, without the reference answer.",
            "Every token that the policy generated is charged to its search; `discarded` ones are in no candidate.",
        ],
        "limits": [
            "The searches of a question share their random numbers: compare them pairwise, not as independent runs.",
            "A candidate without a score is no bad one; it takes no part in choices by score.",
        ],
        "tags": ("math", "reasoning"),
    }


_UNGRADED = (
    "Answers were not graded here: `verdict` is what the publisher says of the answer, and `unknown` where nothing is said.",
)


def _right(threshold: float) -> str:
    return f"those count as right that are {f'at least {threshold}' if threshold else 'above 0'}"


def _made(kind: type[T], values: Mapping[str, Any]) -> T:
    """A dataclass of the values that it has: a record of an earlier version may hold others."""
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # every kind given here is a dataclass
    return kind(**{name: value for name, value in values.items() if name in names})


def _sampling(values: Mapping[str, Any]) -> Sampling:
    return _made(Sampling, {**values, "stop": tuple(values.get("stop", ()))})


def _kept(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
