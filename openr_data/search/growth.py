"""How a completion makes a solution longer, and whether it has ended. Knows texts, no engine and no tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from openr_data.search.base import End, Path
from openr_data.steps import StepFormat
from openr_data.types import Completion, OpenStep, Steps

FindsAnswer = Callable[[str], bool]


def grown(path: Path, completion: Completion, steps: StepFormat, finds_answer: FindsAnswer, *, goes_on: bool = True) -> Path:
    r"""The path with what was generated behind it. Margins of other steps than these are gone.

    `goes_on`: a stop string ends a step and not the solution. An engine that does not heed stop strings brings several steps at
    once, which are several steps then. Blank lines before the first step are kept as an open one.

    >>> step = Completion("b", 2, "stop", 0, 0, ended=False)
    >>> grown(Path(("a",), tokens=3), step, StepFormat("\n"), bool)
    Path(steps=('a', 'b'), node=0, end='', margins=(), unscored='', tokens=5, logprob=None, chain=0, forced='', summary=None)
    """
    end = _end(path, completion, steps, finds_answer) if goes_on else _last(completion)
    written = _written(path, completion, steps, end)
    return replace(
        path,
        steps=written,
        end=end,
        margins=path.margins if written == path.steps else (),
        unscored=path.unscored if written == path.steps else "",
        tokens=path.tokens + completion.token_count,
        logprob=None if path.logprob is None or completion.logprob is None else path.logprob + completion.logprob,
    )


def _written(path: Path, completion: Completion, steps: StepFormat, end: End) -> Steps:
    if end and not completion.text:
        return steps.split(steps.join(path.steps))
    text = steps.open(path.steps) + completion.text
    if not end and not text.strip():
        return (OpenStep(text + steps.separator),)
    return steps.split(text)


def _last(completion: Completion) -> End:
    """Of a completion that was to be the rest of the solution."""
    return "finished" if completion.finish_reason == "stop" else "cut" if completion.finish_reason == "length" else "lost"


def _end(path: Path, completion: Completion, steps: StepFormat, finds_answer: FindsAnswer) -> End:
    if completion.finish_reason != "stop" or completion.ended:
        return _last(completion)
    if not completion.text.strip():
        # One blank step is a blank line. A second one has nothing behind it: the template's own end, usually.
        blank_before = bool(path.steps) and bool(steps.separator) and steps.separator in path.steps[-1]
        told = completion.ended is None and bool(path.steps) and finds_answer(path.steps[-1])
        return "finished" if blank_before or told else ""
    whole = steps.split(steps.open(path.steps) + completion.text)
    return "finished" if completion.ended is None and finds_answer(whole[-1]) else ""
