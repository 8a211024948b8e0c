"""Second engines: opened beside the first, and told apart from it in every error. Knows no method and no record."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from openr_data.engines import EngineLimits, EngineSpec, LoadedEngine
from openr_data.engines.base import Around
from openr_data.engines.open import open_engine
from openr_data.errors import OpenRDataError
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.open import open_growing
from openr_data.prm.score.scorer import ModelScorer
from openr_data.types import Completion, Sampling, Steps

_OPTIONS = {
    "--base-url": "url",
    "--api-key-env": "key-env",
    "--model": "model",
    "--revision": "revision",
    "--template": "template",
    "--api": "api",
}
"""Options that an engine's errors name -> the end of the second engine's own."""

_PRM = {f"--{name}": name for name in ("backend", "revision", "style", "device", "dtype", "batch-tokens")} | {"--base-url": "url"}
"""Options that errors of a scorer name -> the end of its own in a run."""

_NAMED = re.compile(r"--[a-z-]+")


@asynccontextmanager
async def open_second(name: str, spec: EngineSpec, limits: EngineLimits) -> AsyncIterator[LoadedEngine]:
    """The engine `name`, ready to sample. Its errors begin with its name and point at its own options."""
    async with AsyncExitStack() as stack:
        with _named(name):
            engine = await stack.enter_async_context(open_engine(spec, limits))
        yield Named(name, engine)


def open_prm(spec: ScorerSpec) -> ModelScorer:
    """The process reward model of a run. Its errors point at the run's own options for it."""
    try:
        return open_growing(spec)
    except OpenRDataError as error:
        told = _NAMED.sub(lambda met: f"--prm-{_PRM[met[0]]}" if met[0] in _PRM else met[0], str(error))
        error.args = (told,)
        raise


class Named(Around):
    """A loaded engine whose errors say which one it is."""

    def __init__(self, name: str, engine: LoadedEngine) -> None:
        super().__init__(engine)
        self._name = name

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        with _named(self._name):
            return await self._engine.sample(question, prefix, n=n, sampling=sampling, start=start)


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except OpenRDataError as error:
        told = _NAMED.sub(lambda met: f"--{name}-{_OPTIONS[met[0]]}" if met[0] in _OPTIONS else met[0], str(error))
        start = f"the {name}: "
        error.args = (told if told.startswith(start) else start + told,)
        raise
