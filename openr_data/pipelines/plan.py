"""What a stage of a run is: where its items come from, what is done to each, and what it leaves. Carries nothing out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from openr_data.engines import EngineSpec
from openr_data.graders import OpenGrader
from openr_data.pipelines.recording import RecordingEngine
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.step_scorer import BatchingStepScorer
from openr_data.problems import Reject

Item = TypeVar("Item")
Tables = Mapping[str, Sequence[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Tools:
    """What the work on an item may use. `engines` are the stage's second engines by name: a judge, a prover. `prepared` is what
    the stage found out before its first item, as plain JSON. `scorer` is the process reward model, where the stage has one.
    """

    engine: RecordingEngine
    grader: OpenGrader
    engines: Mapping[str, RecordingEngine] = field(default_factory=dict)
    prepared: Mapping[str, Any] = field(default_factory=dict)
    scorer: BatchingStepScorer | None = None

    def for_item(self, number: int) -> Tools:
        """The same tools for the work on item `number`, whose place is in the order of every engine."""
        others = {name: engine.for_item(number) for name, engine in self.engines.items()}
        return replace(self, engine=self.engine.for_item(number), engines=others)


@dataclass(frozen=True)
class Stage(Generic[Item]):
    """`items` makes the stream of items and rejects anew; an item's place among the items is its number in the run.

    `config` is what the records depend on. `total` (0: not known) is for the progress bar. `reuse` are the runs it builds on:
    their completions answer equal requests. `engines` are opened beside `engine`, and their completions counted apart. `prepare`
    finds out what the work needs to know beforehand, with the tools and a way to tell the user something. `scorer` is the process
    reward model that is loaded beside the engines.
    """

    command: str
    config: Any
    engine: EngineSpec
    grader: str
    inputs: Mapping[str, str]
    tables: tuple[str, ...]
    shard_items: int
    items: Callable[[], Iterator[Item | Reject]]
    work: Callable[[Item, Tools], Awaitable[Tables]]
    name: Callable[[Item], str]
    total: int = 0
    title: str = ""
    arrow: bool = False
    reuse: tuple[Path, ...] = ()
    engines: Mapping[str, EngineSpec] = field(default_factory=dict)
    prepare: Callable[[Tools, Callable[[str], None]], Awaitable[Mapping[str, Any]]] | None = None
    scorer: ScorerSpec | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Names of what is opened beside the engine: a run is compared by their identities."""
        return (*self.engines, *(("prm",) if self.scorer else ()))
