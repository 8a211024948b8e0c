"""Diverse verifier tree search (Beeching, Tunstall and Rush 2024): independent trees, each of which follows its best step."""

from __future__ import annotations

from dataclasses import replace

from openr_data.search.base import Path
from openr_data.search.explorer import Explorer, Want
from openr_data.search.tree import grafted
from openr_data.tasks import concurrently


async def dvts(x: Explorer) -> list[Path]:
    """Trees, n/width of them; tree t has the sample indices from t * width on, so a smaller n has the first ones of a larger.

    A tree's results are its best solution and those siblings on the way that ended, too. The cap is shared out beforehand: what
    one tree does is nothing to the others.
    """
    trees = x.config.trees
    parts = [Explorer(x.question, x.use, x.config, ledger) for ledger in x.ledger.split(trees)]
    found = await concurrently([_follow(part, number * x.config.width) for number, part in enumerate(parts)])
    return _joined(x, parts, found)


async def _follow(x: Explorer, start: int) -> list[Path]:
    path, siblings = x.root, list[Path]()
    for _ in range(x.config.depth):
        (children,) = await x.next_steps([Want(path, x.config.width, start)])
        scored = await x.scored(children)
        if not scored:
            return siblings
        path = x.best(scored, 1)[0]
        siblings += [each for each in scored if each.end == "finished" and each is not path]
        if path.end:
            break
    return [path, *siblings] if path.end == "finished" or not siblings else siblings


def _joined(x: Explorer, parts: list[Explorer], found: list[list[Path]]) -> list[Path]:
    """The parts' trees under one root, their paths moved along, and their bills added up."""
    x.tree.nodes, moves = grafted(part.tree.nodes for part in parts)
    x.ledger.join(part.ledger for part in parts)
    for part in parts:
        x.lost += part.lost
        x.no_room = x.no_room or part.no_room
        x.stopped = x.stopped or part.stopped
    return [replace(path, node=path.node + move) for paths, move in zip(found, moves, strict=True) for path in paths]
