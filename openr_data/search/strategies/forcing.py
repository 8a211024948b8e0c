"""Budget forcing: a solution is made to go on, or to answer, by words that are put into it (s1, arXiv 2501.19393; open-m1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from openr_data.search.base import End, Path
from openr_data.search.explorer import Explorer, Want
from openr_data.search.tree import Node
from openr_data.tasks import concurrently
from openr_data.types import OpenStep, Sampling


async def forcing(x: Explorer) -> list[Path]:
    """Solutions, n of them. Thinking that ends too early gets `wait` and goes on; what is cut or has ended thinking must answer.

    Thinking ends at `think_end`, where the model has such a mark, and else with the solution.
    """
    stop = (*x.use.sampling.stop, x.config.think_end) if x.config.think_end else x.use.sampling.stop
    thinking = replace(x.use.sampling, stop=stop)
    (thoughts,) = await x.solutions([Want(x.root, x.config.n)], thinking, goes_on=bool(x.config.think_end))
    for _ in range(x.config.waits if x.config.min_tokens else 0):
        thoughts = await _longer(x, thoughts, thinking)
    return await x.scored(await answered(x, thoughts))


async def answered(x: Explorer, paths: Sequence[Path]) -> list[Path]:
    """Cut solutions with an answer, as far as the cap allows: the best scored ones first. The others as they are.

    The text is part of the prompt: its tokens are not generated ones. The answer is drawn at temperature 0, and is what stands
    before the end of the step; one that fills its tokens is an answer, too.
    """
    due = [number for number, path in enumerate(paths) if _due(x, path)]
    order = sorted(due, key=lambda number: x.rank(paths[number]), reverse=True)
    share = x.ledger.share(1, forced=True)
    chosen = order if share is None else order[: max(0, share // x.config.answer_tokens)]
    found = await concurrently([_answer(x, paths[number]) for number in chosen])
    new = dict(zip(chosen, (_kept(x, *each) for each in found), strict=True))
    return [new.get(number, path) for number, path in enumerate(paths)]


def _due(x: Explorer, path: Path) -> bool:
    return bool(path.steps) and (path.end == "cut" or (bool(x.config.think_end) and path.end == ""))


async def _answer(x: Explorer, path: Path) -> tuple[Path, Path, int]:
    cue = (x.config.think_end if path.end == "" else "") + x.config.cue
    stop = tuple(each for each in (*x.use.sampling.stop, x.use.steps.separator) if each)
    sampling = replace(x.use.sampling, temperature=0.0, max_tokens=x.config.answer_tokens, stop=stop)
    begun = replace(path, steps=_with(path.steps, cue), forced=path.forced + cue)
    (drawn,) = await x.draw(begun.steps, 1, 0, sampling, forced=True)
    steps = x.use.steps.split(x.use.steps.open(begun.steps) + drawn.text)
    end: End = "finished" if drawn.text.strip() and drawn.finish_reason != "error" else "cut"
    return path, replace(begun, steps=steps, end=end, margins=(), tokens=path.tokens + drawn.token_count), drawn.token_count


def _kept(x: Explorer, before: Path, after: Path, tokens: int) -> Path:
    """The path with its place in the tree."""
    added = after.steps[max(0, len(before.steps) - 1) :]
    return replace(after, node=x.tree.add(Node(before.node, added, after.end, tokens, tokens)))


async def _longer(x: Explorer, thoughts: Sequence[Path], sampling: Sampling) -> list[Path]:
    """Those that ended before `min_tokens` go on behind `wait`; one whose continuation is lost stays as it is."""
    word = x.use.steps.separator + x.config.wait
    due = [n for n, path in enumerate(thoughts) if path.steps and path.end != "cut" and path.tokens < x.config.min_tokens]
    begun = [replace(thoughts[n], steps=_with(thoughts[n].steps, word), forced=thoughts[n].forced + word) for n in due]
    found = await x.solutions(
        [Want(path, 1, n) for n, path in zip(due, begun, strict=True)], sampling, goes_on=bool(x.config.think_end)
    )
    longer = {n: paths[0] for n, paths in zip(due, found, strict=True) if paths}
    return [longer.get(n, path) for n, path in enumerate(thoughts)]


def _with(steps: tuple[str, ...], text: str) -> tuple[str, ...]:
    """The last step with text behind it, to be continued right there."""
    return (*steps[:-1], OpenStep(steps[-1] + text))
