"""Fits what a score means to labels, and writes it beside the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from openr_data.errors import InputError, UsageError
from openr_data.pipelines.prm.evaluation.config import EvaluationConfig
from openr_data.pipelines.prm.evaluation.scored import score_known
from openr_data.pipelines.prm.evaluation.steps import read_steps
from openr_data.pipelines.progress import Report, silent
from openr_data.prm.calibration import Method, calibration, fit
from openr_data.prm.config import NAME, PRMConfig
from openr_data.prm.metrics import Bools, Floats, cross_entropy, probabilities
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.open import open_scorer
from openr_data.store.atomic import publish, storage_errors


@dataclass(frozen=True, slots=True)
class Meaning:
    """p(+) = sigmoid(scale * raw margin + shift), with the likelihood (nats) and calibration error on the steps of the fit."""

    scale: float
    shift: float
    nll: float
    ece: float


@dataclass(frozen=True, slots=True)
class Calibrated:
    method: Method
    steps: int
    before: Meaning
    after: Meaning


def calibrate(
    spec: ScorerSpec, config: EvaluationConfig, method: Method = "platt", report: Report = silent, *, write: bool = True
) -> Calibrated:
    """Fits on the steps of `config`. With `write`, `prm_config.json` is replaced at once.

    Raises `UsageError` for a model that is not a folder of its own, `InputError` where the labels are of one class, or where the
    model ranks steps no better than chance (a scale that is not positive would turn its order around).
    """
    folder = Path(spec.model).expanduser()
    if not (folder / NAME).is_file():
        raise UsageError(f"{spec.model} is no folder with a {NAME} that could be changed")
    old = PRMConfig.load(folder)
    data = read_steps(config)
    scored = score_known(open_scorer(spec), data.known, "calibrate", report).scored
    pairs = [pair for one in scored for pair in zip(one.margins, one.known.good, strict=True) if pair[1] is not None]
    margins, good = np.array([margin for margin, _ in pairs]), np.array([label for _, label in pairs], dtype=np.bool_)
    if len(set(good.tolist())) < 2:
        raise InputError(f"{data.source} has no scored steps of both kinds among {config.told}; a fit needs good and wrong ones")
    found = fit(margins, good, method)
    if found.scale <= 0:
        raise InputError(f"{spec.model} ranks wrong steps of {data.source} above good ones, and no scale mends that")
    new = replace(old, scale=old.scale * found.scale, shift=old.shift * found.scale + found.shift)
    if write:
        _save(folder, new)
    moved = found.scale * margins + found.shift
    return Calibrated(method, len(good), _meaning(old, margins, good), _meaning(new, moved, good))


def _meaning(config: PRMConfig, margins: Floats, good: Bools) -> Meaning:
    error = calibration(probabilities(margins), good).ece_width
    return Meaning(config.scale, config.shift, cross_entropy(margins, good.astype(np.float64)), error)


def _save(folder: Path, config: PRMConfig) -> None:
    with storage_errors(folder / NAME, "run again"), TemporaryDirectory(dir=folder, prefix=".calibrate.") as place:
        config.save(Path(place))
        publish(Path(place) / NAME, folder / NAME)
