"""Question and steps as one text with a tag after every step, as Math-Shepherd spells it. Knows no columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from openr_data.layouts.base import LayoutFault

TAG = "ки"
_FIRST = re.compile(r"\bStep 1:")
_NUMBER = re.compile(r"Step \d+:")


def numbered(steps: Sequence[str]) -> list[str]:
    """Every step with its number in front, so that a reader finds where the question ends; those that have one stay as they are.

    The first is always number 1, whatever number it has.

    >>> numbered(["Step 1: a", "b"]), numbered(["Step 2: c"])
    (['Step 1: a', 'Step 2: b'], ['Step 1: Step 2: c'])
    """
    patterns = (_FIRST, *(_NUMBER for _ in steps[1:]))
    return [
        step if pattern.match(step) else f"Step {number}: {step}"
        for number, (step, pattern) in enumerate(zip(steps, patterns, strict=False), start=1)
    ]


def tagged(question: str, steps: Sequence[str], tags: Sequence[str]) -> str:
    """`question Step 1: ... TAG` and a line for each further step. Raises `LayoutFault` where a text holds the tag itself."""
    check_untagged((question, *steps), tags)
    lines = [f"{step} {tag}" for step, tag in zip(numbered(steps), tags, strict=True)]
    return f"{question} " + "\n".join(lines)


def check_untagged(texts: Sequence[str], tags: Sequence[str]) -> None:
    tag = next((tag for tag in set(tags) - {"+", "-"} if any(tag in text for text in texts)), None)
    if tag is not None:
        raise LayoutFault("tag_in_text", f"the question or a step holds the step tag {tag!r}")


def untagged(text: str, tag: str) -> tuple[str, list[str]]:
    r"""The question, and the steps without their surrounding white space.

    >>> untagged("Why? Step 1: a ки\nStep 2: b ки", "ки")
    ('Why?', ['Step 1: a', 'Step 2: b'])
    """
    *pieces, rest = text.split(tag)
    if not pieces:
        raise LayoutFault("missing_tag", f"there is no step tag {tag!r}")
    if rest.strip():
        raise LayoutFault("missing_tag", f"text follows after the last step tag {tag!r}")
    question, first = split_question(pieces[0])
    return question, [step.strip() for step in (first, *pieces[1:])]


def split_question(text: str) -> tuple[str, str]:
    r"""A question and the first step behind it: at the last `Step 1:` (a question may have steps of its own), else at the first
    line break, else nobody can tell.

    >>> split_question("How many? Step 1: Two."), split_question("How many?\nTwo.")
    (('How many?', 'Step 1: Two.'), ('How many?', 'Two.'))
    """
    marks = list(_FIRST.finditer(text))
    if marks:
        return text[: marks[-1].start()].strip(), text[marks[-1].start() :]
    question, line, step = text.strip().partition("\n")
    if not line or not step.strip():
        raise LayoutFault("no_question", "nothing tells where the question ends: no `Step 1:` and no line break")
    return question.strip(), step
