"""The pilot of the adaptive labeler: a few wrong solutions, looked at everywhere, fit its model before the run begins.

Its rollouts are journalled like all others, so labelling the same solutions afterwards pays for them no second time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from itertools import islice
from typing import Any, TypeVar

from openr_data.errors import ContextOverflow, EngineError
from openr_data.labelers import LabelConfig, cost_of
from openr_data.labelers.adaptive import Seen, fit
from openr_data.tasks import concurrently
from openr_data.types import Labeling

Item = TypeVar("Item")

AT_ONCE = 32
"""Problems looked at together; the pilot ends with the batch that brings enough wrong solutions."""

MOST_PROBLEMS = 50
"""Problems per wanted solution after which a pilot that finds too few of them ends."""


def needs_pilot(config: LabelConfig) -> bool:
    """Does this labelling work under a model that is still to be fitted?"""
    adaptive = "adaptive" in {config.method, config.agree_with if config.method == "consensus" else ""}
    return adaptive and config.finish == "posterior" and config.pilot > 0 and not config.model


async def fit_on_pilot(
    items: Iterable[Item],
    look: Callable[[Item], Coroutine[Any, Any, tuple[list[Seen], Labeling]]],
    wanted: int,
    warn: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """The fitted model and what the pilot took, as plain JSON. The order of the items alone decides what it sees.

    Completions and tokens count whoever paid for them: some may come from the run that wrote the solutions. A problem that cannot
    be done now is left out; the run meets it again. Raises what ends a run, and the engine's fault where there is nothing else.
    """
    seen: list[Seen] = []
    failed: list[EngineError] = []
    problems = completions = tokens = wrong = 0
    stream = iter(items)
    while batch := list(islice(stream, AT_ONCE)):
        problems += len(batch)
        for found in await concurrently(_tried(look(item)) for item in batch):
            if isinstance(found, EngineError):
                failed.append(found)
                continue
            new, labeling = found
            seen += new
            wrong += sum(one.solution.verdict.outcome == "wrong" for one in labeling.solutions)
            cost = cost_of(labeling.nodes)
            completions, tokens = completions + cost.rollouts, tokens + cost.tokens
        if len(seen) >= wanted or problems >= MOST_PROBLEMS * wanted or (len(failed) >= AT_ONCE and not seen):
            break
    if failed and not seen:
        raise failed[0]
    if not seen:
        why = f"the questions of all {wrong} were dropped" if wrong else "there is none"
        warn(f"the first {problems} problems have no wrong solution to fit the adaptive model to ({why}): its default is used")
    model = await asyncio.to_thread(fit, seen[:wanted])
    took = {"problems": problems, "solutions": len(seen[:wanted]), "completions": completions, "tokens": tokens}
    return {"model": json.dumps(_rounded(model.to_json()), sort_keys=True), "pilot": took | {"failed": len(failed)}}


async def _tried(looking: Coroutine[Any, Any, tuple[list[Seen], Labeling]]) -> tuple[list[Seen], Labeling] | EngineError:
    """What was seen of a problem, or the fault that costs this one only."""
    try:
        return await looking
    except EngineError as error:
        if not (error.retryable or isinstance(error, ContextOverflow)):
            raise
        return error


def _rounded(value: Any) -> Any:
    """To a millionth: the last bits of a fit depend on the processor's way of adding up."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return [_rounded(each) for each in value]
