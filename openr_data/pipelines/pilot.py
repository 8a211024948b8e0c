"""The pilot of the adaptive labeler: a few wrong solutions, looked at everywhere, fit its model before the run begins.

Its rollouts are journalled like all others, so labelling the same solutions afterwards pays for them no second time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from itertools import islice
from typing import Any, TypeVar

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
) -> dict[str, Any]:
    """The fitted model and what the pilot cost, as plain JSON. The order of the items alone decides what it sees."""
    seen: list[Seen] = []
    problems = completions = tokens = 0
    stream = iter(items)
    while batch := list(islice(stream, AT_ONCE)):
        for new, labeling in await concurrently(look(item) for item in batch):
            seen += new
            cost = cost_of(labeling.nodes)
            problems, completions, tokens = problems + 1, completions + cost.rollouts, tokens + cost.tokens
        if len(seen) >= wanted or problems >= MOST_PROBLEMS * wanted:
            break
    model = await asyncio.to_thread(fit, seen[:wanted])
    cost_words = {"problems": problems, "solutions": len(seen[:wanted]), "completions": completions, "tokens": tokens}
    return {"model": json.dumps(model.to_json(), sort_keys=True), "pilot": cost_words}
