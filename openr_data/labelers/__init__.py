"""Labelers: from solutions to step labels. Each reads like its paper, over one measurement; none knows files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from openr_data.errors import UsageError
from openr_data.labelers.config import LabelConfig, Second
from openr_data.labelers.consensus import Consensus
from openr_data.labelers.epicprm import EpicPRM
from openr_data.labelers.er_prm import ErPrm
from openr_data.labelers.genprm import GenPRM
from openr_data.labelers.judge import Judge
from openr_data.labelers.math_shepherd import MathShepherd
from openr_data.labelers.mips import Mips
from openr_data.labelers.monte_carlo import MonteCarlo, cost_of
from openr_data.labelers.omegaprm import OmegaPRM
from openr_data.labelers.pav import Pav
from openr_data.labelers.repairs import RevisionPattern
from openr_data.labelers.scan import Scan
from openr_data.labelers.selection import Selection
from openr_data.labelers.spans import TokenSpans
from openr_data.steps import StepFormat
from openr_data.types import Engine, Grader, Labeler, Sampling

if TYPE_CHECKING:
    from openr_data.labelers.adaptive import Adaptive

__all__ = [
    "LABELERS",
    "NEEDED_ENGINE",
    "SECOND_ENGINE",
    "Consensus",
    "EpicPRM",
    "ErPrm",
    "GenPRM",
    "Judge",
    "LabelConfig",
    "MathShepherd",
    "Mips",
    "MonteCarlo",
    "OmegaPRM",
    "Pav",
    "RevisionPattern",
    "Scan",
    "Second",
    "Selection",
    "TokenSpans",
    "build_labeler",
    "checked",
    "cost_of",
]


Engines = Mapping[str, Second]
"""Second engines by name; `prover` is read by pav, `judge` by consensus."""


def _omegaprm(config: LabelConfig, measure: MonteCarlo, _: Engines) -> Labeler:
    selection = Selection(config.alpha, config.beta, config.length, config.c_puct)
    return OmegaPRM(
        measure,
        config.rollouts,
        config.filter_rollouts,
        config.searches,
        config.rollout_limit,
        selection,
        config.exact,
        config.reuse_passing,
    )


def _math_shepherd(config: LabelConfig, measure: MonteCarlo, _: Engines) -> Labeler:
    return MathShepherd(measure, config.rollouts, config.estimates, config.exact, config.reuse_passing)


def _mips(config: LabelConfig, measure: MonteCarlo, _: Engines) -> Labeler:
    return Mips(measure, config.rollouts, config.exact, config.reuse_passing)


def _scan(config: LabelConfig, measure: MonteCarlo, _: Engines) -> Labeler:
    floor = config.confidence_floor
    return Scan(measure, config.rollouts, config.filter_rollouts, floor, config.exact, config.reuse_passing)


def _epicprm(config: LabelConfig, measure: MonteCarlo, _: Engines) -> Labeler:
    share, weigh = config.root_share, config.perplexity
    return EpicPRM(measure, config.rollouts, config.filter_rollouts, share, weigh, config.exact)


def _genprm(config: LabelConfig, measure: MonteCarlo, _: Engines) -> Labeler:
    return GenPRM(measure, config.rollouts, config.filter_rollouts, config.progress, config.exact)


def _er_prm(config: LabelConfig, measure: MonteCarlo, _: Engines) -> Labeler:
    return ErPrm(measure, config.rollouts, config.eta)


def _pav(config: LabelConfig, measure: MonteCarlo, engines: Engines) -> Labeler:
    """A prover that is given is taken as it is; without one, it is best-of-k of the method's own engine."""
    prover = engines.get("prover")
    if prover is None:
        config.check_best_of()
        return Pav(measure, config.rollouts, config.best_of, config.drop)
    return Pav(replace(measure, engine=prover.engine, sampling=prover.sampling), config.rollouts, 1, config.drop)


def _adaptive(config: LabelConfig, measure: MonteCarlo, _: Engines) -> Labeler:
    return adaptive_labeler(config, measure)


def adaptive_labeler(config: LabelConfig, measure: MonteCarlo) -> Adaptive:
    """The adaptive labeler under the model of the configuration, which the pilot of a run has fitted."""
    from openr_data.labelers import adaptive

    under = adaptive.inference(adaptive.read_model(config.model), certified=config.finish == "certified")
    search = adaptive.AdaptiveSearch(under, config.finish, config.rollouts, config.confidence, config.cap)
    selection = Selection(config.alpha, config.beta, config.length, config.c_puct)
    limits = (config.filter_rollouts, config.searches, config.rollout_limit)
    return adaptive.Adaptive(measure, search, *limits, selection, config.reuse_passing)


def _consensus(config: LabelConfig, measure: MonteCarlo, engines: Engines) -> Labeler:
    monte_carlo = LABELERS[config.agree_with](replace(config, method=config.agree_with), measure, engines)
    judge = engines["judge"]
    return Consensus(monte_carlo, Judge(judge.engine, judge.sampling, config.votes))


LABELERS: Mapping[str, Callable[[LabelConfig, MonteCarlo, Engines], Labeler]] = {
    "math-shepherd": _math_shepherd,
    "mips": _mips,
    "omegaprm": _omegaprm,
    "adaptive": _adaptive,
    "scan": _scan,
    "epicprm": _epicprm,
    "genprm": _genprm,
    "er-prm": _er_prm,
    "pav": _pav,
    "consensus": _consensus,
}

SECOND_ENGINE: Mapping[str, str] = {"consensus": "judge", "pav": "prover"}
"""Which second engine a method reads."""

NEEDED_ENGINE: Mapping[str, str] = {"consensus": "judge"}
"""Which one it cannot do without."""


def checked(config: LabelConfig) -> LabelConfig:
    """Itself; raises `UsageError` naming the first value that cannot be used."""
    config.checked(tuple(LABELERS))
    if config.method == "consensus":
        others = [method for method in LABELERS if method != "consensus"]
        if config.agree_with not in others:
            raise UsageError(f"a judge can agree with one of: {', '.join(others)}; not with '{config.agree_with}'")
        replace(config, method=config.agree_with).checked(others)
        if config.spans:
            raise UsageError("a judge reads steps that mean something: consensus does not work on token spans")
    return config


def build_labeler(
    config: LabelConfig,
    engine: Engine,
    grader: Grader,
    sampling: Sampling,
    steps: StepFormat,
    *,
    pieces: Callable[[str], Sequence[str]] | None = None,
    sampler: str = "",
    engines: Engines = MappingProxyType({}),
) -> Labeler:
    """The labeler of a configuration. `steps` is the format of the solutions that come in, `engines` are second engines by name.

    Token spans (`config.spans`) need the engine's `pieces`, and an engine that renders prefixes with the empty separator.
    Raises `UsageError` for a value that cannot be used.
    """
    checked(config)
    needed = NEEDED_ENGINE.get(config.method, "")
    if needed and needed not in engines:
        raise UsageError(f"the method {config.method} needs a {needed}: say with --{needed} which engine that is")
    if config.spans and pieces is None:
        raise UsageError("token-span steps need an engine that can cut a text at token boundaries")
    return LABELERS[config.method](config, measurement(config, engine, grader, sampling, steps, pieces, sampler), engines)


def measurement(
    config: LabelConfig,
    engine: Engine,
    grader: Grader,
    sampling: Sampling,
    steps: StepFormat,
    pieces: Callable[[str], Sequence[str]] | None = None,
    sampler: str = "",
) -> MonteCarlo:
    """The measurement that a configured labeler works with."""
    splitter = TokenSpans(pieces, steps, config.spans) if config.spans and pieces else steps
    repairs = RevisionPattern(config.repair_pattern) if config.ignore_repairs else None
    return MonteCarlo(engine, grader, sampling, splitter, config.truncated, sampler, config.ungradable, repairs)
