"""The success filter: which right rollouts are no evidence for their prefix, having taken back a step of it. Knows no counts.

After NAIT (arXiv 2601.12748): a rollout that explicitly corrects a step of the prefix says that the policy can repair it, not
that the prefix is right. The paper asks a language model; here it is a rule on the text, and any callable of this shape will do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from openr_data.errors import UsageError
from openr_data.types import Outcome, Rollout

EXPLICIT_REVISION = (
    r"(?im)(?:\bstep (?P<step>\d{1,4}):\s*)?\b(?:"
    r"(?:^|(?<=[.!?:,]\s))(?:(?:but|so|oh|hmm|no|and|then|thus|ok|okay|actually)[,.]?\s+){0,2}wait[,.!:;]"
    r"|hold on\b|on second thought\b"
    r"|let me (?:correct|fix|re-?check|re-?do|reconsider|re-?think|go back)\b"
    r"|(?:i|we) (?:made|have made|may have made) (?:a|an) (?:\w+ )?(?:mistake|error)\b"
    r"|(?:that|this) (?:is|was) (?:a mistake|an error|wrong|incorrect|not (?:right|correct))\b)"
)
"""Words in which a writer takes something back, and before them, where the steps are numbered, the step that is written anew."""

_NUMBERED = re.compile(r"(?i)\bstep (\d{1,4}):")


class Repairs(Protocol):
    def __call__(self, prefix: str, continuation: str, /) -> bool:
        """Does the continuation take back a step of this prefix (which ends where the continuation begins)?"""
        ...


@dataclass(frozen=True, slots=True)
class RevisionPattern:
    """The continuation matches `pattern`. A group `step` is the number under which the revision is written.

    A number that was first written after the prefix is no repair of it: a policy that corrects its own step proves the prefix all
    the same. A number of the prefix is one; under a new number, or without any, what is taken back cannot be told, and it counts.
    """

    pattern: str = EXPLICIT_REVISION

    def __call__(self, prefix: str, continuation: str, /) -> bool:
        if not prefix:
            return False
        written = _last_number(prefix)
        matches = _compiled(self.pattern).finditer(continuation)
        return any(not _of_its_own(match, written, continuation) for match in matches)


def outcome_for(rollout: Rollout, prefix: str, rest: str, repairs: Repairs | None) -> Outcome:
    """What a rollout says of a prefix after which it went on with `rest`: a right one that repaired the prefix is a failure."""
    right = rollout.verdict.outcome == "right"
    return "wrong" if right and repairs is not None and repairs(prefix, rest) else rollout.verdict.outcome


def checked_pattern(pattern: str) -> str:
    """Itself; raises `UsageError` where it is not a regular expression."""
    try:
        _compiled(pattern)
    except re.error as error:
        raise UsageError(f"the repair pattern is not a regular expression ({error})") from None
    return pattern


@lru_cache(maxsize=16)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _of_its_own(match: re.Match[str], written: int, continuation: str) -> bool:
    """Does the match revise a step that the continuation itself wrote before, after the step `written` of the prefix?"""
    step = match.groupdict().get("step")
    return step is not None and written < int(step) <= _last_number(continuation[: match.start()])


def _last_number(text: str) -> int:
    """The step that was written last, by number (0: none): a revision goes back to an earlier one."""
    last = 0
    for match in _NUMBERED.finditer(text):
        last = int(match[1])
    return last
