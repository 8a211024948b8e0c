from __future__ import annotations

import asyncio

import pytest

from openr_data.labelers.verdicts import Truncated, Ungradable, verdict_on
from openr_data.types import Completion, FinishReason, Verdict


async def grader(response: str, answer: str, /) -> Verdict:
    """Reads the response as its own verdict."""
    outcome, _, reason = response.partition(" ")
    return Verdict(outcome, reason)  # type: ignore[arg-type]  # the tests write outcomes


@pytest.mark.parametrize(
    ("finish", "text", "truncated", "ungradable", "expected"),
    [
        ("stop", "right equal", "unknown", "unknown", "right"),
        ("stop", "wrong different", "unknown", "unknown", "wrong"),
        ("stop", "unknown no_answer", "unknown", "unknown", "unknown"),
        ("stop", "unknown no_answer", "unknown", "wrong", "wrong"),
        ("stop", "unknown unparsable_answer", "unknown", "wrong", "wrong"),
        ("stop", "unknown unparsable_gold", "unknown", "wrong", "unknown"),
        ("stop", "unknown timeout", "unknown", "wrong", "unknown"),
        ("stop", "unknown crashed", "unknown", "wrong", "unknown"),
        ("length", "right equal", "unknown", "wrong", "unknown"),
        ("length", "right equal", "wrong", "unknown", "wrong"),
        ("length", "right equal", "graded", "unknown", "right"),
        ("length", "unknown no_answer", "graded", "wrong", "wrong"),
        ("error", "right equal", "graded", "wrong", "unknown"),
    ],
)
def test_only_a_fault_of_the_text_can_become_wrong_and_only_when_asked(
    finish: FinishReason, text: str, truncated: Truncated, ungradable: Ungradable, expected: str
) -> None:
    completion = Completion(text, 1, finish, 0, 0)
    verdict = asyncio.run(verdict_on(completion, text, "1", grader, truncated=truncated, ungradable=ungradable))
    assert verdict.outcome == expected
