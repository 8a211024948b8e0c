"""Opens a scorer by the name of its backend. The libraries of a backend are loaded only where it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from openr_data.errors import UsageError
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.scorer import ModelScorer

BUILTIN = "builtin"


def open_scorer(spec: ScorerSpec) -> ModelScorer:
    """The model `builtin` is the one that comes with the package (`prm.builtin`).

    Raises `UsageError` for an unknown backend or a model that cannot be had, `InputError` for one that is no PRM.
    """
    try:
        opener = BACKENDS[spec.backend]
    except KeyError:
        raise UsageError(f"there is no scoring backend '{spec.backend}'; choose one of: {', '.join(BACKENDS)}") from None
    return _builtin(spec) if spec.model == BUILTIN else opener(spec)


def open_growing(spec: ScorerSpec) -> ModelScorer:
    """For a search, which asks again for what it was told with one more step: only that is read, where the backend can keep the
    rest. Scores differ by rounding from those of `open_scorer`.
    """
    scorer = open_scorer(spec)
    growing = getattr(scorer.backend, "growing", None)
    return scorer if growing is None else replace(scorer, backend=growing())


def _transformers(spec: ScorerSpec) -> ModelScorer:
    from openr_data.prm.score.transformers import open_transformers

    return open_transformers(spec)


def _builtin(spec: ScorerSpec) -> ModelScorer:
    from openr_data.prm.score.transformers import open_builtin

    return open_builtin(spec)


def _vllm(spec: ScorerSpec) -> ModelScorer:
    from openr_data.prm.score.vllm import open_vllm

    return open_vllm(spec)


def _http(spec: ScorerSpec) -> ModelScorer:
    from openr_data.prm.score.http import open_http

    return open_http(spec)


BACKENDS: Mapping[str, Callable[[ScorerSpec], ModelScorer]] = {"transformers": _transformers, "vllm": _vllm, "http": _http}
