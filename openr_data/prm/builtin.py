"""The process reward model that needs no training: the built-in policy, asked how likely it finds each step it reads.

Made in memory from the weights that ship with the package. What a trained model would learn are three numbers here.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from hashlib import sha256
from typing import Any

import torch

from openr_data.errors import UsageError
from openr_data.models.devices import choose_device, choose_dtype
from openr_data.prm.build import build
from openr_data.prm.config import LabelReading
from openr_data.prm.heads import judging
from openr_data.prm.load import PRM
from openr_data.prm.prepare import prepare
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.identity import identity_of
from openr_data.prm.train_config import ModelChoice

NAME = "builtin"
"""As `--prm` and as base of a training."""


@dataclass(frozen=True, slots=True)
class Line:
    """logit p(+) = `least` * (least log-probability of a step's tokens) + `total` * (their sum) + `bias`; logarithms in nats."""

    least: float
    total: float
    bias: float


LINE = Line(least=-6.35, total=7.52, bias=4.06)
"""Fitted to rollouts of the built-in policy by logistic regression, which calibrates them too (`benchmarks/builtin_prm.py`).

The total holds the least: 1.17 * least + 7.52 * (what the other tokens add), so that doubt anywhere lowers the score.
"""


def load_builtin(*, device: str = "auto", dtype: str = "auto", attention: str = "sdpa", line: Line = LINE) -> PRM:
    """`dtype` `auto` is float64: a small model that is read in fp32 would score a step otherwise in other company (3e-6 of p(+)).

    Raises `UsageError` for a device or a number format that is not there.
    """
    place = choose_device(device)
    exact = "float64" if place.type in {"cpu", "cuda"} else "float32"  # others have no float64
    number_format = choose_dtype(exact if dtype == "auto" else dtype, place)
    prepared = prepare(ModelChoice(base=NAME, head="likelihood"), LabelReading())
    model = build(prepared, dtype=number_format, attention=attention)
    _write(model.score, line)
    ready = judging(model.to(place).eval(), prepared.config)
    return PRM(ready, prepared.tokenizer, prepared.config, prepared.encoder, prepared.folder)


@torch.no_grad()
def _write(score: Any, line: Line) -> None:
    score.weight.copy_(torch.tensor([[line.least, line.total]]))
    score.bias.fill_(line.bias)


def builtin_identity(prm: PRM, line: Line = LINE) -> str:
    """Begins with `builtin:`; changes with the weights of the policy, the three numbers and the number format."""
    number_format = str(prm.model.dtype).removeprefix("torch.")
    parts = (identity_of(prm.folder, prm.config, number_format), *map(repr, astuple(line)))
    return f"{NAME}:{sha256(' '.join(parts).encode()).hexdigest()}"


def refuse_other(spec: ScorerSpec) -> None:
    """What is asked of the built-in model and cannot be had, in one sentence."""
    if spec.backend != "transformers":
        raise UsageError(f"the built-in process reward model has no {spec.backend} backend; use --backend transformers")
    if spec.style or spec.revision:
        raise UsageError(f"the built-in process reward model has no {'style' if spec.style else 'revision'}; leave it out")
