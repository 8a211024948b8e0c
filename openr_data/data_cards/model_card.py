"""The model card of a process reward model: exact metadata, where it is weak, how good, how it is asked, what it learned from.

Knows numbers and texts, no model. What a person has written into the card stays, as on a data card (`blocks`, `metadata`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openr_data.data_cards.blocks import Block, block_texts, merge_blocks
from openr_data.data_cards.citation import citation
from openr_data.data_cards.markup import bullets, fenced, inline, number, one_line, prose, table
from openr_data.data_cards.metadata import Head, merge_head, read_head, split_card
from openr_data.data_cards.model_card_data import TrainingData, contamination, training_data
from openr_data.data_cards.model_card_results import Result, model_index
from openr_data.data_cards.report import Section

MODEL_BLOCKS = (
    "title",
    "summary",
    "use",
    "weak",
    "evaluation",
    "figures",
    "reading",
    "data",
    "contamination",
    "training",
    "licence",
    "versions",
    "citation",
)
"""The blocks of a model card in their order: what to know before trusting it comes first."""

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_TAGS = ("process-reward-model", "prm", "process-supervision", "math")
_HEADS = {
    "causal": "a language model whose logits of two tokens are compared at the end of every step",
    "token_classification": "a token classifier with two classes, read at the end of every step",
    "value": "a regression head on the last hidden state, read at the end of every step",
    "process_reward": "a small network on the last hidden state with two classes, read at the end of every step",
    "likelihood": "a language model that is asked how likely it finds the tokens of every step",
    "value_head": "a value head beside a language model, read at the end of every step",
}
_NOT_SERVED = frozenset({"value_head", "likelihood"})
"""Heads that vLLM has not."""
_UNEVALUATED = (
    "It was not evaluated: no benchmark, no calibration and no best-of-n stands behind it. `openr-data prm evaluate` measures "
    "them, and `openr-data prm card --evaluation DIR` writes them here."
)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the card says. `asked` are the settings of `prm_config.json` and `texts` those of its parts that are shown verbatim;
    `training` and `outcome` become tables of two columns. `base` is what was trained further, `base_on_hub` whether that is a
    name on the Hub; `datasets` are names there.

    `evaluation` are tables, `results` the same for programs, `figures` pictures by path with what they show. `weak` says in
    sentences, made from numbers, where the model is weak. `location` is what it is loaded by.
    """

    title: str
    head: str
    asked: Mapping[str, object]
    texts: Mapping[str, str]
    weak: Sequence[str]
    base: str = ""
    base_on_hub: bool = False
    datasets: Sequence[str] = ()
    data: TrainingData | None = None
    training: Mapping[str, object] = field(default_factory=dict)
    outcome: Mapping[str, object] = field(default_factory=dict)
    evaluation: Sequence[Section] = ()
    results: Sequence[Result] = ()
    figures: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    location: str = "PATH"
    license: str = ""
    software: str = ""


def is_hub_name(text: str) -> bool:
    """Is this spelt as a repository of the Hub?

    >>> is_hub_name("Qwen/Qwen2.5-Math-7B-Instruct"), is_hub_name("/home/ann/model"), is_hub_name("builtin")
    (True, False, False)
    """
    return _HUB_NAME.fullmatch(text) is not None


def render_model_card(facts: ModelFacts, existing: str = "", *, every: bool = False) -> str:
    """The whole README.md: `existing` with our metadata and blocks. Same facts, same bytes.

    Raises `InputError` where the metadata or the marks of `existing` are broken.
    """
    head, text = split_card(existing)
    merged = merge_head(head, _head(facts, head, text))
    licence = facts.license or str(read_head(head).get("license") or "")
    body = merge_blocks(text, _blocks(facts, licence), every=every)
    return f"---\n{merged}---\n{body if text else f'{chr(10)}{body}'}"


def _head(facts: ModelFacts, head: str, text: str) -> Head:
    exact: dict[str, Any] = {"library_name": "transformers"}
    if facts.license:
        exact["license"] = facts.license
    if facts.base_on_hub:
        exact["base_model"] = facts.base
    if facts.datasets:
        exact["datasets"] = list(facts.datasets)
    task = "token-classification" if facts.head == "token_classification" else "text-classification"
    if facts.results:
        exact["model-index"] = model_index(facts.title, task, facts.results)
    elif "evaluation" in block_texts(text) and "model-index" in read_head(head):
        exact["model-index"] = []  # ours, of an evaluation that is no longer of this model
    return Head(exact, {"pipeline_tag": task}, _TAGS)


def _blocks(facts: ModelFacts, licence: str) -> list[Block]:
    methods = list(facts.data.methods) if facts.data else []
    texts = {
        "title": f"# {inline(facts.title)}\n",
        "summary": _summary(facts),
        "use": _use(facts),
        "weak": _weak(facts),
        "evaluation": _evaluation(facts.evaluation),
        "figures": _figures(facts.figures),
        "reading": _reading(facts),
        "data": training_data(facts.data),
        "contamination": contamination(facts.data),
        "training": _training(facts),
        "licence": _licence(facts, licence),
        "versions": _settings("Versions", ("Package", "Version"), facts.versions),
        "citation": citation(facts.software, methods),
    }
    return [Block(name, texts[name]) for name in MODEL_BLOCKS]


def _summary(facts: ModelFacts) -> str:
    base = f" It was trained from {inline(facts.base)}." if facts.base else ""
    rows = f", on {number(facts.data.rows)} solutions with labelled steps" if facts.data else ""
    return (
        f"A process reward model: it reads a question and the steps of a solution, and gives every step a probability of being "
        f"good. It is {_HEADS.get(facts.head, inline(facts.head))}.{base[:-1]}{rows}{'.' if base or rows else ''}\n"
    )


def _use(facts: ModelFacts) -> str:
    place = one_line(facts.location)
    shell = f"openr-data prm score solutions.jsonl --prm '{_shell(place)}' --out scores.parquet"
    serve = f"openr-data prm serve '{_shell(place)}'"
    quoted = place.replace("\\", "\\\\").replace('"', '\\"')
    python = _PYTHON.replace("PLACE", f'"{quoted}"')
    return (
        f"## Use it\n\nScore a file of solutions:\n\n{fenced(shell, 'bash')}\n"
        f"The same in Python, every step in one forward pass:\n\n{fenced(python, 'python')}"
        + (f"\nBehind an HTTP server of vLLM:\n\n{fenced(serve, 'bash')}" if facts.head not in _NOT_SERVED else "")
    )


_PYTHON = """import torch

from openr_data.models.files import model_folder
from openr_data.prm.heads import margins
from openr_data.prm.load import load_prm

prm = load_prm(model_folder(PLACE))
encoded = prm.encoder.encode("What is 2 + 3 * 4?", ("3 * 4 = 12", "2 + 12 = 14"))
with torch.no_grad():
    logits = prm.model(torch.tensor([encoded.ids], device=prm.model.device)).logits[0, list(encoded.reads)]
step_scores = torch.sigmoid(prm.config.scale * margins(logits) + prm.config.shift).tolist()"""


def _shell(text: str) -> str:
    return text.replace("'", "'\\''")


def _weak(facts: ModelFacts) -> str:
    told = [*facts.weak, *([] if facts.evaluation else [_UNEVALUATED])]
    return f"## Where it is weak\n\n{bullets(told)}" if told else ""


def _evaluation(sections: Sequence[Section]) -> str:
    """Tables as they are on the terminal and in the report."""
    parts = [f"## Evaluation\n\n{_table(sections[0])}"] if sections else []
    return "\n".join([*parts, *map(_table, sections[1:])])


def _table(section: Section) -> str:
    head = tuple(map(inline, section.head)) or ("", "")
    note = f"\n{prose(section.note)}\n" if section.note else ""
    return f"### {inline(section.title)}\n\n{table(head, section.rows)}{note}"


def _figures(figures: Mapping[str, str]) -> str:
    parts = [f"![{inline(told)}]({path})\n" for path, told in figures.items()]
    return "## Figures\n\n" + "\n".join(parts) if parts else ""


def _reading(facts: ModelFacts) -> str:
    shown = "".join(f"\n{inline(name)}:\n\n{fenced(text)}" for name, text in facts.texts.items() if text)
    told = prose(
        "All of it stands in `prm_config.json`, which training, scoring, serving and export share: scores of another template, "
        "tag or position are not comparable with these."
    )
    return f"## How it is asked\n\n{table(('Setting', 'Value'), list(facts.asked.items()))}\n{told}\n{shown}"


def _training(facts: ModelFacts) -> str:
    if not facts.training and not facts.outcome:
        return "## Training\n\nIt was not trained with openr-data, or without a record: how is not known here.\n"
    outcome = _settings("", ("Measured", "Value"), facts.outcome)
    return _settings("Training", ("Setting", "Value"), facts.training) + (f"\n{outcome}" if outcome else "")


def _settings(heading: str, head: tuple[str, str], values: Mapping[str, object]) -> str:
    shown = [(name, value) for name, value in values.items() if value not in (None, "")]
    return (f"## {heading}\n\n" if heading else "") + table(head, shown) if shown else ""


def _licence(facts: ModelFacts, licence: str) -> str:
    if licence:
        own = f"Those who published this model put it under {inline(licence)}."
    else:
        own = prose("Those who published this model have not stated a licence for it: `openr-data prm card --license ID` does.")
    base = f" The licence of {inline(facts.base)} binds it too." if facts.base_on_hub else ""
    return f"## Licence\n\n{own}{base} Those of the data sets are in the table of the training data, where they are known.\n"
