"""The README.md of an export: exact metadata for the `datasets` library, and what was read how."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

from openr_data.data_cards.card import CardFacts, CardSplit, CardTable, render_card
from openr_data.pipelines.exporting.config import ExportConfig, ExportSummary
from openr_data.pipelines.run_card import recorded_words
from openr_data.pipelines.splits import NAMES
from openr_data.store.read import RunReader
from openr_data.store.schemas import TABLES

_TRL_SOFT = (
    "TRL's PRMTrainer (up to 1.13) takes int(label): of soft labels it sees only whether they are 1. Turn them into true and "
    "false at a threshold of your own, or export hard labels."
)
_PAIRS = {
    "step-dpo": "A pair is two solutions that agree up to one step, where one is right and the other has its first wrong step.",
    "preference": "A pair is two solutions that agree up to the first wrong step of the rejected one; the chosen one is right to "
    "its end.",
}
_ROLLOUTS = "Right rollouts that go on exactly where a first wrong step stands are chosen, too; no step of theirs was labelled."
_NAMED = re.compile(r"`(\w+)`")
_COLUMNS = {
    "prompt": "The question; of preference pairs also the steps that both share.",
    "question": "The question.",
    "completions": "The solution, step by step.",
    "steps": "The solution, step by step.",
    "labels": "Is each step right? Truth values, or soft values from 0 to 1.",
    "scores": "A value from 0 to 1 for each step; 0.5 and above is read as right.",
    "conversations": "Question and steps as turns of the user, + or - as the answer to each.",
    "completion": "A right solution.",
    "dataset": "Where the problem comes from.",
    "initial_reason_steps": "The right steps before the pair.",
    "chosen": "The right step, or the right continuation.",
    "rejected": "The wrong step, or the continuation that begins with it.",
    "full_chosen": "The chosen solution from there to its end.",
    "full_rejected": "The rejected solution from there to its end.",
    "answer": "The reference answer.",
}


def export_card(
    reader: RunReader, config: ExportConfig, summary: ExportSummary, features: Sequence[Mapping[str, Any]], *, rollouts: bool
) -> str:
    """`rollouts`: pairs may come from the run's rollouts."""
    table = CardTable(
        name="default",
        doc=config.layout.doc,
        features=features,
        rows=summary.rows,
        bytes=sum(file.bytes for file in summary.files),
        arrow_bytes=sum(file.arrow_bytes for file in summary.files),
        splits=[split for name in NAMES if (split := _split(name, summary))],
        columns=_COLUMNS,
    )
    words = recorded_words(reader.record)
    title = f"{words['title']}, as {config.format}" if not summary.faithful else str(words["title"])
    settings = {**words["settings"], "exported from run": reader.record.digest[:16], **_settings(config, summary)}
    columns = {str(feature["name"]) for feature in features}
    how = [*_true_of(columns, words["how"]), *_how(config, summary, rollouts=rollouts)]
    said = {**words, "title": title, "settings": settings, "how": how, "limits": _true_of(columns, words["limits"])}
    return render_card(CardFacts(tables=[table], counts=_counts(summary), **said))


def _true_of(columns: Set[str], sentences: Sequence[str]) -> list[str]:
    """The sentences about the run that hold of these rows, too: none of them speaks of a column that was not exported."""
    own = {name for name in TABLES["labeled"].names if name not in columns}
    return [each for each in sentences if each and not own.intersection(_NAMED.findall(each))]


def _split(name: str, summary: ExportSummary) -> CardSplit | None:
    files = [file for file in summary.files if file.split == name]
    if not files:
        return None
    sizes = {field: sum(getattr(file, field) for file in files) for field in ("rows", "bytes", "arrow_bytes")}
    return CardSplit(name, f"data/{name}-*", **sizes)


def _settings(config: ExportConfig, summary: ExportSummary) -> dict[str, object]:
    if summary.faithful:
        return {"rows": "as they were published"}
    return {
        "labels": summary.labels,
        "after the first wrong step": "cut" if config.after_error == "cut" else "kept, labelled wrong",
        "uncertain labels": "kept" if config.keep_uncertain else "left out",
        "least confidence": config.min_confidence or "any",
        "origin of solutions": config.origin,
    }


def _counts(summary: ExportSummary) -> dict[str, object]:
    counts: dict[str, object] = {"solutions in the run": summary.solutions, "solutions in these rows": summary.used}
    counts |= {f"left out: {reason}": count for reason, count in summary.dropped.items()}
    counts |= {"steps of the selected solutions": summary.steps, "rows": summary.rows}
    if summary.filled:
        counts["soft values that are hard labels, as the step was not measured"] = summary.filled
    if summary.left_out:
        counts["pairs beyond the bound per problem"] = summary.left_out
    return counts


def _how(config: ExportConfig, summary: ExportSummary, *, rollouts: bool) -> list[str]:
    if summary.faithful:
        return ["The rows are those that were imported, with the labels that were published."]
    how = []
    if summary.labels == "measured":
        how.append("A value is what was measured of a step; a step that was not measured has none.")
    elif summary.labels == "soft":
        how.append("A soft label is the measured value of the step. A step that was not measured has its hard label as a value.")
    elif summary.labels == "hard":
        how.append("A hard label says whether the step stands before the first wrong step, or is the one that was published.")
    if config.format in _PAIRS:
        how += [_PAIRS[config.format], *([_ROLLOUTS] if rollouts else [])]
    if config.format == "trl" and summary.labels == "soft":
        how.append(_TRL_SOFT)
    return how
