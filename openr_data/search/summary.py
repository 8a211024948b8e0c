"""A second model that reads a solution and writes the final answer: what it writes is graded in the solution's place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from openr_data.search.base import Path
from openr_data.search.explorer import Explorer
from openr_data.tasks import concurrently
from openr_data.types import Engine, Sampling

PROMPT = (
    "{question}\n\nBelow is a draft of a solution. Summarise it in a few sentences, and end with the final answer within "
    "\\boxed{}.\n\n{solution}"
)


@dataclass(frozen=True, slots=True)
class Summariser:
    """An engine that is asked once about each solution."""

    engine: Engine
    sampling: Sampling


async def summarised(x: Explorer, paths: Sequence[Path], by: Summariser) -> list[Path]:
    """The paths with their summaries; one that the engine fails to write is left out, and the solution's own text counts."""

    async def one(path: Path) -> tuple[str | None, int]:
        asked = PROMPT.replace("{solution}", x.use.steps.join(path.steps)).replace("{question}", x.question)
        (drawn,) = await by.engine.sample(asked, (), n=1, sampling=by.sampling)
        return None if drawn.finish_reason == "error" else drawn.text, drawn.token_count

    found = await concurrently([one(path) for path in paths])
    x.ledger.summary += sum(tokens for _, tokens in found)
    return [replace(path, summary=text) for path, (text, _) in zip(paths, found, strict=True)]
