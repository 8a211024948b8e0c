"""What a sampled text counts as: the grader's word, and the two policies for texts that it cannot be asked about."""

from __future__ import annotations

from typing import Literal

from openr_data.types import Completion, Grader, Verdict

Truncated = Literal["unknown", "wrong", "graded"]
"""What a completion that met the token limit counts as: undecided, a failure, or whatever its grade says."""

Ungradable = Literal["unknown", "wrong"]
"""What a finished text counts as in which no answer is found, or one that cannot be read: undecided, or a failure."""

_TEXTS_FAULT = frozenset({"no_answer", "unparsable_answer"})
"""Reasons that lie in the text. A timeout, a limit or a crash lies in the grader, and is never a failure of the policy."""


async def verdict_on(
    completion: Completion, text: str, answer: str, grader: Grader, *, truncated: Truncated, ungradable: Ungradable
) -> Verdict:
    """Grade `text`, which ends in `completion`, against the reference `answer`. A sample that failed is unknown."""
    if completion.finish_reason == "error":
        return Verdict("unknown", "engine_error")
    if completion.finish_reason == "length" and truncated != "graded":
        return Verdict(truncated, "truncated")
    return counted(await grader(text, answer), ungradable)


def counted(verdict: Verdict, ungradable: Ungradable) -> Verdict:
    """A grader's verdict under the policy for finished texts without an answer that can be read."""
    if verdict.reason in _TEXTS_FAULT and ungradable == "wrong":
        return Verdict("wrong", verdict.reason, verdict.answer)
    return verdict
