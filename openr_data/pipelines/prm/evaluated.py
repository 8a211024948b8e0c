"""Reads what `prm evaluate` wrote of a process reward model, as its card needs it: a few tables, numbers, figures, the files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from openr_data.data_cards.model_card_evidence import BOUNDS, BestOfN, Evidence, Hits, Lift, Rival, StepEvidence, SubsetEvidence
from openr_data.data_cards.model_card_results import Result
from openr_data.data_cards.report import Section
from openr_data.errors import InputError
from openr_data.models.files import weights_digest
from openr_data.pipelines.prm.evaluation.config import EVERYTHING
from openr_data.pipelines.prm.evaluation.processbench import RESULT as PROCESSBENCH
from openr_data.pipelines.prm.evaluation.processbench_report import ProcessBenchReport, SubsetResult
from openr_data.pipelines.publishing.record import last_part, portable
from openr_data.prm.config import NAME, PRMConfig
from openr_data.prm.score.identity import identity_of
from openr_data.store.atomic import digest

EVALUATION = "evaluation"
"""The folder in a model's own that holds it."""
REPORT = "report.json"
_FILES = (REPORT, PROCESSBENCH)
_FORMATS = ("float32", "bfloat16", "float16", "float64")
_SCORED_HERE = (*(f"{how}{name}" for how in ("", "vllm:") for name in _FORMATS), "vllm:auto")
"""How the backends of this machine call themselves in an identity (`prm.score`)."""
_FIGURES = "figures"
_PNG = b"\x89PNG\r\n\x1a\n"
_BENCHMARK = "Qwen/ProcessBench"
_ORACLE = "oracle"
_VOTES = ("min-vote", "last-vote", "product-vote", "mean-vote")
_SHOWN = ("majority", "min", "last", "product", "mean", *_VOTES, "pass@n")
_DRAWN = {
    "reliability": "Share of good steps over the mean score of bins, beside a histogram of the scores",
    "discrimination": "ROC curve of good steps and precision over recall of wrong steps",
    "best-of-n": "Accuracy over the number of candidates, for several ways to choose one",
}
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """`figures` are paths with what they show, `files` everything that belongs to it, by paths below its folder."""

    evidence: Evidence = field(default_factory=Evidence)
    sections: Sequence[Section] = ()
    results: Sequence[Result] = ()
    figures: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


def own_evaluation(model: Path, config: PRMConfig) -> Evaluated:
    """What `evaluation/` of the model's folder holds; nothing where there is none. Raises `InputError` where it is of other
    weights or another configuration, or damaged.
    """
    folder = model / EVALUATION
    if not (folder / REPORT).is_file():
        return Evaluated()
    report = _report(folder)
    if report.get("scores_of") != _scores_of(model, config):
        raise InputError(f"{folder} is of other weights or another {NAME} than {model} has; evaluate anew, or move it away")
    return _checked(folder, report)


def given_evaluation(model: Path, config: PRMConfig, folder: Path) -> Evaluated:
    """What `prm evaluate` wrote into `folder`, bound to the weights of the model and without anything of this machine.

    Raises `InputError` where there is none, a damaged one, or one of another model. Scores of a server do not say of which
    weights they are, so that is told, not refused.
    """
    report = _report(folder)
    proven = report.get("identity") in {identity_of(model, config, how) for how in _SCORED_HERE}
    asked = {"template": config.template.name, "head": config.head}
    other = next((name for name, value in asked.items() if report.get(name, value) != value), "")
    if other or not (proven or _by_server(report)):
        raise InputError(f"{folder} evaluates another model than {model} ({other or 'its weights or settings'} differ)")
    bound = {"scores_of": _scores_of(model, config), "proven": proven}
    return _checked(folder, {**portable(report), **bound})


def _by_server(report: Json) -> bool:
    """Also where the report does not say who scored."""
    scorer = dict(report.get("settings") or {}).get("scorer")
    return not isinstance(scorer, dict) or scorer.get("backend") == "http"


def _scores_of(model: Path, config: PRMConfig) -> str:
    """Changes with the weights and the configuration, and not with what the base model was called."""
    return digest([weights_digest(model), {**asdict(config), "base_model": ""}])


def _checked(folder: Path, report: Json) -> Evaluated:
    try:
        return _evaluated(report, _figure_files(folder))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as fault:
        raise InputError(f"{folder} is no evaluation that openr-data wrote ({type(fault).__name__}: {fault})") from fault


def _figure_files(folder: Path) -> dict[str, bytes]:
    """Links, and what only looks like a figure, are left out."""
    paths = sorted((folder / _FIGURES).glob("*.png")) if (folder / _FIGURES).is_dir() else []
    try:
        read = {f"{_FIGURES}/{path.name}": path.read_bytes() for path in paths if not path.is_symlink()}
    except OSError as fault:
        raise InputError(f"{folder} cannot be read ({fault.strerror or fault})") from fault
    return {name: content for name, content in read.items() if content.startswith(_PNG)}


def _report(folder: Path) -> dict[str, Any]:
    """The whole report; a `processbench.json` alone is a part of one."""
    path = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if path is None:
        raise InputError(f"{folder} holds no evaluation: there is neither a {REPORT} nor a {PROCESSBENCH} in it")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise TypeError("it is no object")
        return found if path.name == REPORT else {"processbench": found, "identity": found["settings"].get("model")}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as fault:
        raise InputError(f"{path} cannot be read ({type(fault).__name__}: {fault}); evaluate again") from fault


def _evaluated(report: Json, pictures: Mapping[str, bytes]) -> Evaluated:
    benchmark = ProcessBenchReport.of_json(report["processbench"]) if report.get("processbench") else None
    everything = dict(report.get("settings") or {}).get("split") == EVERYTHING
    steps = [_steps(name, report[name], everything=everything) for name in ("steps", _ORACLE) if report.get(name)]
    chosen = _best_of_n(report["best_of_n"], everything=everything) if report.get("best_of_n") else None
    if not (benchmark or steps or chosen):
        raise ValueError("it has no part")
    subsets = [_subset(each) for each in benchmark.subsets] if benchmark else []
    evidence = Evidence(subsets, steps, chosen, unproven=not report["proven"])
    sections = [
        *(each for each in (benchmark.sections() if benchmark else []) if each.title != "Settings"),
        *map(_step_table, steps),
        *([_choice_table(chosen)] if chosen else []),
    ]
    files = {REPORT: (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode(), **pictures}
    return Evaluated(evidence, sections, list(_results(evidence, benchmark)), {name: _told(name) for name in pictures}, files)


def _told(path: str) -> str:
    stem = Path(path).stem
    return next((told for name, told in _DRAWN.items() if stem.endswith(name)), stem.replace("-", " "))


def _subset(each: SubsetResult) -> SubsetEvidence:
    found = each.score
    low, high = each.interval or (None, None)
    return SubsetEvidence(
        each.name,
        found.f1,
        low,
        high,
        best_f1=each.best.f1 if each.best else None,
        errors=Hits(found.errors.found, found.errors.cases),
        correct=Hits(found.correct.found, found.correct.cases),
        silent=found.silent,
        places=found.places,
        positions={at: Hits(hits.found, hits.cases) for at, hits in found.positions.items()},
        hidden=Hits(found.hidden.found, found.hidden.cases),
    )


def _steps(name: str, found: Json, *, everything: bool) -> StepEvidence:
    quality = found["quality"]
    steps, pooled, bins = quality["steps"], quality["steps"].get("pooled") or {}, quality["calibration"]["width"]
    total = sum(each["count"] for each in bins)
    return StepEvidence(
        source=f"{last_part(str(found['source']))} ({found['labels']})",
        steps=steps["steps"],
        good=steps["good"],
        **_interval(quality.get("auroc"), "auroc"),
        ece=found["derived"]["ece_width"],
        score=sum(each["count"] * each["score"] for each in bins) / total if total else None,
        ap_good=pooled.get("ap_good"),
        ap_wrong=pooled.get("ap_bad"),
        brier=steps["brier"],
        exact=found["derived"]["exact_share"],
        unscored=sum(quality["unscored"].values()),
        rivals=[Rival(each["name"], **_interval(each["ahead"], "ahead")) for each in quality["rivals"] if name == _ORACLE],
        told=str(found["told"]),
        everything=everything,
    )


def _interval(found: Json | None, name: str) -> dict[str, Any]:
    return {} if found is None else {name: float(found["value"]), "low": found["low"], "high": found["high"]}


def _best_of_n(found: Json, *, everything: bool) -> BestOfN:
    """Each way to choose at the largest n; the majority and what one could have at best are in it for comparison."""
    lifts = [
        Lift(name, last["n"], float(last["accuracy"]["value"]), **_interval(last["lift"], "lift"))
        for name, points in found["curves"].items()
        if name in _SHOWN
        for last in points[-1:]
    ]
    ordered = sorted(lifts, key=lambda each: _SHOWN.index(each.name))
    drift = (found["last_step"], found["several"])
    return BestOfN(last_part(str(found["source"])), ordered, *drift, str(found["told"]), everything)


def _step_table(found: StepEvidence) -> Section:
    share = found.good / found.steps if found.steps else 0.0
    rows = (
        ("looked at", found.told, ""),
        ("steps that count", f"{found.steps:,}, {100 * share:.1f}% of them good", ""),
        ("AUROC", _number(found.auroc) + _range(found.low, found.high), "0.500"),
        ("average precision of good steps", _number(found.ap_good), _number(share)),
        ("average precision of wrong steps", _number(found.ap_wrong), _number(1 - share)),
        ("expected calibration error", _number(found.ece), ""),
        ("Brier score", _number(found.brier), _number(share * (1 - share))),
        ("first error named exactly", "-" if found.exact is None else f"{100 * found.exact:.1f}%", ""),
    )
    return Section(f"Steps of {found.source}", rows, ("", "model", "chance"), "Range: 95 %, bootstrap over questions.")


def _choice_table(found: BestOfN) -> Section:
    rows = tuple((each.name, f"{100 * each.accuracy:.1f}%", "" if each.name in BOUNDS else _points(each)) for each in found.lifts)
    n = found.lifts[0].n if found.lifts else 0
    note = f"Of {found.told}. Paired ranges: 95 %, bootstrap over questions. pass@n: one of the candidates is right."
    return Section(f"Best of {n} on {found.source}", rows, ("", "accuracy", "above the majority, in points"), note)


def _points(each: Lift) -> str:
    told = f"{100 * each.lift:+.1f}"
    return told if each.low is None or each.high is None else f"{told} [{100 * each.low:+.1f}, {100 * each.high:+.1f}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"


def _results(found: Evidence, benchmark: ProcessBenchReport | None) -> Iterator[Result]:
    """For programs: F1 of every subset and their mean, AUROC and calibration, and the best way to choose."""
    for each in found.subsets:
        if each.f1 is not None:
            told = "F1" + ("" if each.low is None or each.high is None else f" (95 %: {each.low:.1f} to {each.high:.1f})")
            yield Result(f"ProcessBench ({each.name})", _BENCHMARK, "f1", told, each.f1, each.name)
    if benchmark is not None and benchmark.average is not None:
        yield Result("ProcessBench", _BENCHMARK, "f1", f"mean F1 of {len(benchmark.subsets)} subsets", benchmark.average)
    for steps in found.steps:
        if steps.auroc is not None:
            told = f"AUROC of steps{_range(steps.low, steps.high)}"
            yield Result(steps.source, steps.source, "roc_auc", told, steps.auroc)
        if steps.ece is not None:
            yield Result(steps.source, steps.source, "ece", "expected calibration error", steps.ece)
    if chosen := found.best_of_n:
        for lift in chosen.lifts:
            yield Result(chosen.source, chosen.source, "accuracy", f"best of {lift.n} by {lift.name}", lift.accuracy)
