"""Results of an evaluation as the Hub's `model-index` has them: what a leaderboard or a program reads from the head of a card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openr_data.data_cards.markup import one_line


@dataclass(frozen=True, slots=True)
class Result:
    """One number. `dataset` is its name for people, `dataset_type` the one on the Hub, or of the file; `split` the part of it.

    `metric` is the identifier (`f1`, `roc_auc`), `name` says which one it is, its interval included.
    """

    dataset: str
    dataset_type: str
    metric: str
    name: str
    value: float
    split: str = ""


def model_index(model: str, task: str, results: Sequence[Result]) -> list[dict[str, Any]]:
    """As `huggingface_hub.repocard_data.model_index_to_eval_results` reads it: one entry for each data set and split."""
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    for each in results:
        fresh = {"task": {"type": task, "name": "Step scoring"}, "dataset": _dataset(each), "metrics": []}
        entry = entries.setdefault((each.dataset_type, each.split), fresh)
        entry["metrics"].append({"type": each.metric, "value": round(each.value, 4), "name": one_line(each.name)})
    return [{"name": one_line(model), "results": list(entries.values())}]


def _dataset(each: Result) -> dict[str, str]:
    told = {"name": one_line(each.dataset), "type": one_line(each.dataset_type)}
    return {**told, "split": one_line(each.split)} if each.split else told
