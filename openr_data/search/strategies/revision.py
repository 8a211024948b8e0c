"""Sequential revision: chains of attempts, each of which is shown those before it (Snell et al., arXiv 2408.03314, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from openr_data.search.base import Path
from openr_data.search.explorer import Explorer, Want

AGAIN = "{question}\n\n{attempts}\n\nThese attempts may be wrong. Solve the problem again, and correct what is wrong in them."
ATTEMPT = "Attempt {number}:\n{text}"


async def revision(x: Explorer) -> list[Path]:
    """S chains of n/S attempts; an attempt sees the last `shown` ones of its chain.

    A revision makes right answers wrong as well, so every attempt is a candidate: who chooses does so inside each chain first,
    and then among the chains' choices (`Path.chain`).
    """
    count = x.config.revision_chains
    chains: list[list[Path]] = [[] for _ in range(count)]
    for turn in range(x.config.n // count):
        # The sample index tells attempts apart that are shown the same.
        wanted = [Want(x.root, 1, turn * count + number, again(x, chain)) for number, chain in enumerate(chains)]
        for number, found in enumerate(await x.solutions(wanted)):
            chains[number] += [replace(path, chain=number) for path in found]
        if x.stopped:
            break
    return await x.scored([path for chain in chains for path in chain])


def again(x: Explorer, before: Sequence[Path]) -> str:
    """The question with the last attempts; alone before the first one."""
    shown = before[-x.config.shown :]
    if not shown:
        return x.question
    first = len(before) - len(shown) + 1
    texts = [ATTEMPT.format(number=first + place, text=x.use.steps.join(path.steps)) for place, path in enumerate(shown)]
    return AGAIN.replace("{attempts}", "\n\n".join(texts)).replace("{question}", x.question)
