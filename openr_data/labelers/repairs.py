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
    r"(?:^|(?<=[.!?:]\s))wait[,.!:;]|hold on\b|on second thought\b"
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
    """The continuation matches `pattern`. A group `step` names the step that is revised, by its number in the text.

    Where it does, only a step that the prefix has already counts: a policy that corrects what it wrote itself after the prefix
    proves the prefix all the same. Without a number that cannot be told, and every match counts.
    """

    pattern: str = EXPLICIT_REVISION

    def __call__(self, prefix: str, continuation: str, /) -> bool:
        written = _last_number(prefix)
        return bool(prefix) and any(_revises(match, written) for match in _compiled(self.pattern).finditer(continuation))


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


def _revises(match: re.Match[str], written: int | None) -> bool:
    step = match.groupdict().get("step")
    return step is None or written is None or int(step) <= written


def _last_number(prefix: str) -> int | None:
    """The step that the prefix wrote last, by number: a revision in the prefix goes back to an earlier one."""
    last = None
    for match in _NUMBERED.finditer(prefix):
        last = int(match[1])
    return last
