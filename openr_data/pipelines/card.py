"""What the card of a run says in words: its settings, how its labels were made, what they cannot see. Opens no run.

How a card looks is `data_cards`' business; which run says what is that of `openr_data.pipelines.run_card`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from openr_data.data_cards.card import CardTable
from openr_data.engines import EngineSpec
from openr_data.engines.prompts import PromptTemplate
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


Words = dict[str, Any]
"""What a card says of what a run is, by the fields of `CardFacts`."""


def card_words(config: GenerateConfig | LabelRunConfig, identity: str, template: PromptTemplate) -> Words:
    """Of a run with this engine and prompt template. The words are a function of what the run is, not of how it went."""
    labelled = isinstance(config, LabelRunConfig)
    title, about = _subject(config)
    return {
        "title": title,
        "about": about,
        "settings": _settings(config, identity, template),
        "how": _how(config),
        "limits": [*(_LIMITS if labelled else _LIMITS[2:]), *_policies(config)],
        "prompts": _prompts(template),
    }


def _subject(config: GenerateConfig | LabelRunConfig) -> tuple[str, str]:
    """Title, and a sentence that says what it is."""
    if isinstance(config, LabelRunConfig):
        method = config.label.method
        name = "the adaptive labeler" if method == "adaptive" else _METHODS[method].split(" (")[0]
        told = f"whose steps openr-data labelled by {name}: no person has looked at the labels."
        return f"Step labels by {name}", f"Step-by-step solutions {told}"
    told = "made with openr-data: their answers are graded, their steps have no label yet."
    return "Graded solutions", f"Step-by-step solutions that a language model wrote, {told}"


def run_tables(sizes: Mapping[str, TableSize]) -> list[CardTable]:
    """The tables of a run as they lie in its own directory."""
    return [described(CardTable(name, "", [], size.rows, size.bytes, size.arrow_bytes)) for name, size in sizes.items()]


def described(table: CardTable) -> CardTable:
    """A table of a run with what its columns are and mean; one of other columns as it is."""
    spec = TABLES.get(table.name)
    if spec is None or (table.features and [dict(each) for each in table.features] != card_features(spec)):
        return table
    docs = {column.name: column.doc for column in spec.columns}
    return replace(table, doc=table.doc or spec.doc, features=card_features(spec), columns=table.columns or docs)


def _settings(config: GenerateConfig | LabelRunConfig, identity: str, template: PromptTemplate) -> dict[str, object]:
    sampling = config.sampling
    settings: dict[str, object] = {
        "engine": identity,
        **_model(config.engine),
        "prompt template": template.name,
        "separator of steps": ascii(template.separator)[1:-1],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "grader": config.grader,
        "data schema": SCHEMA_VERSION,
    }
    if isinstance(config, GenerateConfig):
        return settings | {"solutions per problem": config.solutions}
    label = config.label
    settings |= {"method": label.method, "rollouts per prefix": label.rollouts, "truncated rollouts": label.truncated}
    settings |= _savings(_counting(label)) | _search(_counting(label))
    for name, each in config.engines.items():
        settings |= {name: f"{each.spec.engine} {each.spec.model}".strip(), f"{name} seed": each.sampling.seed}
        settings |= {f"{name} {part}": value for part, value in _model(each.spec).items() if part != "model"}
        settings |= {f"{name} temperature": each.sampling.temperature}
    return settings | ({"judge agrees with": label.agree_with, "votes": label.votes} if label.method == "consensus" else {})


def _model(spec: EngineSpec) -> dict[str, object]:
    named = {"model": spec.model, "model revision": spec.revision, "script": spec.script}
    return {name: value for name, value in named.items() if value}


def _search(label: LabelConfig) -> dict[str, object]:
    """How a question is filtered and explored, by methods that do so, and what a search ends with."""
    if label.method not in {"omegaprm", "adaptive"}:
        return {}
    settings: dict[str, object] = {"rollouts of the question filter": label.filter_rollouts, "explorations": label.searches}
    return settings | ({"finish": label.finish, "confidence": label.confidence} if label.method == "adaptive" else {})


def _prompts(template: PromptTemplate) -> dict[str, str]:
    """The template as it is filled in; a chat template of the tokenizer stands around it."""
    if not template.user:
        return {}
    if not template.chat:
        return {f"The prompt (template {template.name}), which the steps so far follow": template.user.rstrip("\n")}
    turns: Sequence[tuple[str, str]] = [("system", template.system), ("user", template.user)]
    text = "\n\n".join(f"[{role}]\n{said}" for role, said in turns if said)
    return {f"The messages (template {template.name}), rendered by the model's own chat template": text}


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
