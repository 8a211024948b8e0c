"""The README.md of a run: which numbers and sentences its data card shows. How a card looks is `data_cards`' business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from openr_data.data_cards.card import CardFacts, CardTable, render_card
from openr_data.engines import LoadedEngine
from openr_data.labelers import LabelConfig
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig
from openr_data.store.manifest import TableSize
from openr_data.store.schemas import SCHEMA_VERSION, TABLES, card_features

_METHODS = {
    "math-shepherd": "Math-Shepherd (arXiv 2312.08935): rollouts from every prefix; a step is wrong when none of them is right.",
    "mips": "MiPS (arXiv 2402.02658): the share of right rollouts from every prefix.",
    "omegaprm": "OmegaPRM (arXiv 2406.06592): a binary search over each wrong solution for its first wrong step.",
    "adaptive": "Adaptive (AdaOmega): one rollout at a time, from the prefix where it tells most about the first wrong step; "
    "`confidence` is the probability of that step under a model of the policy, and `good` that of each step being right.",
    "scan": "SCAN (arXiv 2509.16548): prefixes from left to right, up to the first without a right rollout.",
    "epicprm": "EpicPRM (arXiv 2503.02382): a binary search for the first prefix below a share of the question's own value.",
    "genprm": "GenPRM (arXiv 2504.00891): a step is right where it keeps most of the value of the prefix before it.",
    "er-prm": "ER-PRM (arXiv 2412.11006): entropy-regularised values of every prefix.",
    "pav": "PAV (arXiv 2410.08146): what each step adds to the chance of success under a prover.",
    "consensus": "Consensus (arXiv 2501.07301): an LLM judge votes on the first wrong step, and a label stands only where the "
    "Monte Carlo method says the same; what they disagree on is undecided and keeps both opinions in `notes`.",
}
_LIMITS = (
    "A label says whether the policy still reached the reference answer, not whether a step is true: a right answer reached by "
    "wrong steps is invisible to it, and a hard step that is right can look wrong to a weak policy.",
    "Counts are estimates: with k rollouts, a prefix that succeeds with probability p shows no success with probability (1-p)^k.",
    "Counts are of what could be decided; what could not is in neither count, and kept with its reason.",
)
_CUT = {
    "unknown": "Texts that met the token limit are not decided.",
    "wrong": "Texts that met the token limit count as wrong.",
    "graded": "Texts that met the token limit are graded like all others.",
}
_UNREADABLE = {
    "unknown": "Finished texts without an answer that can be read are not decided.",
    "wrong": "Finished texts without an answer that can be read count as wrong.",
}
_UNCERTAIN = (
    "Where `reason` is `uncertain`, `first_error` is only the likeliest step: leave it out, or weigh it by `confidence`, which "
    "is honest as far as the model describes the policy."
)
_VALUES = {
    "mean": "`mc` is hits / rollouts (`mean`): a fixed number of rollouts was drawn, so it is unbiased.",
    "stopped": "`mc` is (hits + 1/2) / (rollouts + 1) (`stopped`): drawing ended when the label was decided, and hits / rollouts "
    "would be too high; it is not unbiased either.",
    "posterior": "`mc` is the model's mean of the success probability (`posterior`), for right solutions "
    "(hits + 1/2) / (rollouts + 1) (`stopped`).",
    "scan": "`mc` is min(1, MC / SC) for the two steps before the error, 1 before them and 0 at it (`scan`).",
    "progress": "`mc` is MC after the step / MC before it (`progress`), and may exceed 1.",
    "entropy": "`mc` is the entropy-regularised value (`entropy`).",
    "advantage": "`mc` is the advantage of the step, from -1 to 1 (`advantage`), not a success probability.",
}
_PASSING = {"omegaprm", "adaptive", "math-shepherd", "mips", "scan"}
_READ_AS = {"scan": "scan", "genprm": "progress", "er-prm": "entropy", "pav": "advantage"}

_REPAIRS = (
    "A right rollout that takes back a step of its prefix counts as a failure there (NAIT, arXiv 2601.12748); nodes keep it."
)


def render_run_card(
    config: GenerateConfig | LabelRunConfig, engine: LoadedEngine, sizes: Mapping[str, TableSize], counts: Mapping[str, object]
) -> str:
    """The card is a function of what the run is and of what it holds, so a resumed run has the same one."""
    return render_words(card_words(config, engine), sizes, counts)


def card_words(config: GenerateConfig | LabelRunConfig, engine: LoadedEngine) -> dict[str, Any]:
    """What the card says of what the run is, as plain JSON: a part keeps it for the card of the run it is merged into."""
    labelled = isinstance(config, LabelRunConfig)
    return {
        "title": "Step labels" if labelled else "Graded solutions",
        "settings": _settings(config, engine),
        "how": _how(config),
        "limits": [*(_LIMITS if labelled else _LIMITS[2:]), *_policies(config)],
    }


def render_words(words: Mapping[str, Any], sizes: Mapping[str, TableSize], counts: Mapping[str, object]) -> str:
    return render_card(CardFacts(tables=[_table(name, size) for name, size in sizes.items()], counts=counts, **words))


def _table(name: str, size: TableSize) -> CardTable:
    spec = TABLES[name]
    return CardTable(name, spec.doc, card_features(spec), size.rows, size.bytes, size.arrow_bytes)


def _settings(config: GenerateConfig | LabelRunConfig, engine: LoadedEngine) -> dict[str, object]:
    sampling = config.sampling
    settings: dict[str, object] = {
        "engine": engine.identity,
        "prompt template": engine.template.name,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "grader": config.grader,
        "data schema": SCHEMA_VERSION,
    }
    if isinstance(config, LabelRunConfig):
        label = config.label
        settings |= {"method": label.method, "rollouts per prefix": label.rollouts, "truncated rollouts": label.truncated}
        settings |= _savings(_counting(label))
        settings |= {name: f"{each.spec.engine} {each.spec.model}".strip() for name, each in config.engines.items()}
        settings |= {"finish": label.finish} if label.method == "adaptive" else {}
        settings |= {"judge agrees with": label.agree_with, "votes": label.votes} if label.method == "consensus" else {}
    return settings


def _how(config: GenerateConfig | LabelRunConfig) -> list[str]:
    if isinstance(config, LabelRunConfig):
        return [
            _METHODS[config.label.method],
            "The text graded is the prefix with its continuation, against the reference answer.",
            *([_REPAIRS] if config.label.ignore_repairs else []),
            _VALUES[_estimator(_counting(config.label))],
        ]
    return ["No step has a label yet: each solution carries the grade of its final answer."]


def _counting(label: LabelConfig) -> LabelConfig:
    """The method whose counts are in the data: under a judge, the one that it has to agree with."""
    return replace(label, method=label.agree_with) if label.method == "consensus" else label


def _savings(label: LabelConfig) -> dict[str, object]:
    """Which rollouts were saved: where drawing stopped, and whether those that pass through a prefix count there."""
    one_by_one = label.method == "adaptive"
    stopped = "as soon as the label is decided" if not label.exact else "at the full number (exact counts)"
    passing = label.method in _PASSING and label.reuse_passing and not label.exact
    return {
        "drawing ends": "when the search does" if one_by_one else stopped,
        "rollouts that pass through a prefix": "count there too" if passing else "count where they began",
        "steps": f"{label.spans} token spans" if label.spans else "semantic",
    }


def _estimator(label: LabelConfig) -> str:
    if label.method == "adaptive":
        return "posterior"
    return _READ_AS.get(label.method, "mean" if label.exact else "stopped")


def _policies(config: GenerateConfig | LabelRunConfig) -> list[str]:
    """What became of texts that the grader could not be asked about, and of searches that ended open."""
    policies = config.label if isinstance(config, LabelRunConfig) else config
    told = [_CUT[policies.truncated], _UNREADABLE[policies.ungradable]]
    label = _counting(config.label) if isinstance(config, LabelRunConfig) else None
    uncertain = label is not None and label.method == "adaptive" and label.finish == "posterior"
    return [*told, _UNCERTAIN] if uncertain else told
