"""Labelers: from solutions to step labels. Each reads like its paper, over one measurement; none knows files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from openr_data.errors import UsageError
from openr_data.labelers.config import LabelConfig
from openr_data.labelers.math_shepherd import MathShepherd
from openr_data.labelers.mips import Mips
from openr_data.labelers.monte_carlo import MonteCarlo, cost_of
from openr_data.labelers.omegaprm import OmegaPRM
from openr_data.labelers.selection import Selection
from openr_data.labelers.spans import TokenSpans
from openr_data.steps import StepFormat
from openr_data.types import Engine, Grader, Labeler, Sampling

__all__ = [
    "LABELERS",
    "LabelConfig",
    "MathShepherd",
    "Mips",
    "MonteCarlo",
    "OmegaPRM",
    "Selection",
    "TokenSpans",
    "build_labeler",
    "cost_of",
]


def _omegaprm(config: LabelConfig, measure: MonteCarlo) -> Labeler:
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


def _math_shepherd(config: LabelConfig, measure: MonteCarlo) -> Labeler:
    return MathShepherd(measure, config.rollouts, config.estimates, config.exact, config.reuse_passing)


def _mips(config: LabelConfig, measure: MonteCarlo) -> Labeler:
    return Mips(measure, config.rollouts, config.exact, config.reuse_passing)


LABELERS: Mapping[str, Callable[[LabelConfig, MonteCarlo], Labeler]] = {
    "math-shepherd": _math_shepherd,
    "mips": _mips,
    "omegaprm": _omegaprm,
}


def build_labeler(
    config: LabelConfig,
    engine: Engine,
    grader: Grader,
    sampling: Sampling,
    steps: StepFormat,
    *,
    pieces: Callable[[str], Sequence[str]] | None = None,
    sampler: str = "",
) -> Labeler:
    """The labeler of a configuration. `steps` is the format of the solutions that come in.

    Token spans (`config.spans`) need the engine's `pieces`, and an engine that renders prefixes with the empty separator.
    Raises `UsageError` for a value that cannot be used.
    """
    config.checked(tuple(LABELERS))
    if config.spans and pieces is None:
        raise UsageError("token-span steps need an engine that can cut a text at token boundaries")
    splitter = TokenSpans(pieces, steps, config.spans) if config.spans and pieces else steps
    measure = MonteCarlo(engine, grader, sampling, splitter, config.truncated, sampler, config.ungradable)
    return LABELERS[config.method](config, measure)
