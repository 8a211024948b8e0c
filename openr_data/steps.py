"""How a text becomes steps and back. Knows separators and token pieces, not models or graders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openr_data.types import OpenStep, Steps


@dataclass(frozen=True, slots=True)
class StepFormat:
    r"""Semantic steps: a text is cut at `separator`, and joining gives back the same text, byte for byte.

    A blank piece (a run of separators) is no step of its own: it stays, with its separator, at the end of the step before it,
    or at the start of the first one.

    >>> StepFormat("\n").split("a\n\nb\n")
    ('a\n', 'b\n')
    >>> StepFormat("\n").join(('a\n', 'b\n'))
    'a\n\nb\n'
    """

    separator: str

    def split(self, text: str) -> Steps:
        steps: list[str] = []
        lead = ""
        for piece in text.split(self.separator) if self.separator else [text]:
            if piece.strip():
                steps.append(lead + piece)
                lead = ""
            elif steps:
                steps[-1] += self.separator + piece
            else:
                lead += piece + self.separator
        return tuple(steps)

    def join(self, steps: Sequence[str]) -> str:
        return self.separator.join(steps)

    def open(self, steps: Sequence[str]) -> str:
        r"""The text of a prefix that is to be continued: with the separator after its last step, unless that is an `OpenStep`.

        >>> StepFormat("\n").open(("a", "b")), StepFormat("\n").open(("a", OpenStep("b, ")))
        ('a\nb\n', 'a\nb, ')
        """
        end = () if not steps or isinstance(steps[-1], OpenStep) else ("",)
        return self.separator.join((*steps, *end))


def token_spans(pieces: Sequence[str], target: int) -> Steps:
    """OmegaPRM's flexible steps: any run of consecutive tokens is a step; about `target` of equal size (2406.06592, section 3.2).

    `pieces` are the token texts in order; the steps join with the empty separator to the same text.

    >>> token_spans(list("abcdefg"), 3)
    ('abc', 'def', 'g')
    """
    size = max(1, -(-len(pieces) // target))
    return tuple("".join(pieces[i : i + size]) for i in range(0, len(pieces), size))
