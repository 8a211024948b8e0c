"""Answers that are equal are one answer: equivalence classes without the reference answer. Asks whether two are equal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence


async def group_answers(answers: Sequence[str | None], equal: Callable[[str, str], Awaitable[bool]]) -> list[int | None]:
    """The number of each answer's class, in the order in which classes are first seen; `None` has none.

    An answer joins the first class whose first member it equals. Equality as graders see it is not transitive, so classes are
    compared by these representatives alone, and the result depends on nothing but the order of the answers.
    """
    heads: list[str] = []
    known: dict[str, int] = {}
    for answer in answers:
        if answer is not None and answer not in known:
            known[answer] = await _class_of(answer, heads, equal)
    return [None if answer is None else known[answer] for answer in answers]


async def _class_of(answer: str, heads: list[str], equal: Callable[[str, str], Awaitable[bool]]) -> int:
    for number, head in enumerate(heads):
        if await equal(answer, head):
            return number
    heads.append(answer)
    return len(heads) - 1
