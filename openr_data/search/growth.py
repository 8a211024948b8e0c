"""How a completion makes a solution longer, and whether it has ended. Knows texts, no engine and no tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from openr_data.search.base import End, Path
from openr_data.steps import StepFormat
from openr_data.types import Completion, Steps


def grown(path: Path, completion: Completion, steps: StepFormat, finds_answer: Callable[[str], bool]) -> Path:
    r"""The path with what was generated behind it. Its margins are gone: they are of other steps.

    An engine that does not heed stop strings brings several steps at once, which are several steps then.

    >>> step = Completion("b", 2, "stop", 0, 0, ended=False)
    >>> grown(Path(("a",), tokens=3), step, StepFormat("\n"), bool)
    Path(steps=('a', 'b'), node=0, end='', margins=(), unscored='', tokens=5, logprob=None, chain=0, forced='', summary=None)
    """
    whole = steps.split(steps.open(path.steps) + completion.text)
    return replace(
        path,
        steps=whole,
        end=_end(path, completion, whole, steps.separator, finds_answer),
        margins=(),
        unscored="",
        tokens=path.tokens + completion.token_count,
        logprob=None if path.logprob is None or completion.logprob is None else path.logprob + completion.logprob,
    )


def _end(path: Path, completion: Completion, whole: Steps, separator: str, finds_answer: Callable[[str], bool]) -> End:
    if completion.finish_reason != "stop":
        return "cut" if completion.finish_reason == "length" else "lost"
    if completion.ended is None:
        return "finished" if finds_answer(whole[-1] if whole else "") else ""
    if completion.ended or not whole:
        return "finished"
    # One blank step is a blank line. A second one has nothing behind it: the template's own end, usually.
    blank = not completion.text.strip() and bool(path.steps)
    return "finished" if blank and bool(separator) and separator in path.steps[-1] else ""
