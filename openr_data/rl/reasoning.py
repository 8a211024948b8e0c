"""Reasoning that is discarded: text between two marks, which the policy learns to write and nobody else reads.

Models that think aloud (`<think> ... </think>`) and then answer are judged by what stands outside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from openr_data.errors import UsageError
from openr_data.types import Steps


@dataclass(frozen=True, slots=True)
class Reasoning:
    """From `opening` to `closing`, both included, and a blank behind it. Where the opening mark stands in the prompt, a text
    begins inside; where the closing one never comes, the rest of the text is reasoning. Raises `UsageError` for marks that are
    no two.
    """

    opening: str
    closing: str

    def __post_init__(self) -> None:
        if not self.opening.strip() or not self.closing.strip() or self.opening == self.closing:
            raise UsageError("reasoning needs two marks that differ, such as '<think> </think>'")

    @classmethod
    def of(cls, marks: str) -> Reasoning | None:
        """Of two marks with white space between them; `None` of nothing."""
        words = marks.split()
        if words and len(words) != 2:
            raise UsageError(f"--reasoning takes two marks with a blank between them, such as '<think> </think>', not '{marks}'")
        return cls(*words) if words else None

    def shown(self, text: str) -> str:
        """The text without reasoning.

        >>> Reasoning("(", ")").shown("Step 1: (add 2) 3 + 2 = 5")
        'Step 1: 3 + 2 = 5'
        >>> Reasoning("<think>", "</think>").shown("so it is 4</think> 4"), Reasoning("(", ")").shown("5 (and so")
        ('4', '5 ')
        """
        return "".join(self._pieces([text]))

    def apart(self, steps: Steps, lengths: Sequence[int]) -> tuple[Steps, tuple[int, ...]]:
        """The steps without reasoning, and how many tokens each has, its reasoning included.

        A step that is nothing but reasoning belongs to the next one that is shown: it led there. Behind the last one, it belongs
        to that. A solution without anything to show has one blank step.

        >>> Reasoning("(", ")").apart(("(2", "or 3)", "(3) 3", "4"), (1, 1, 2, 1))
        (('3', '4'), (4, 1))
        """
        shown: list[str] = []
        tokens: list[int] = []
        before = 0
        for text, length in zip(self._pieces(steps), lengths, strict=True):
            before += length
            if text.strip():
                shown.append(text)
                tokens.append(before)
                before = 0
        if not shown:
            return ("",), (before,)
        tokens[-1] += before
        return tuple(shown), tuple(tokens)

    def _pieces(self, texts: Sequence[str]) -> list[str]:
        """What is shown of each of the texts, which follow one another."""
        inside = self._begins_inside(texts)
        found = []
        for text in texts:
            piece, inside = self._piece(text, inside)
            found.append(piece)
        return found

    def _begins_inside(self, texts: Sequence[str]) -> bool:
        whole = "\n".join(texts)
        end, start = whole.find(self.closing), whole.find(self.opening)
        return end >= 0 and (start < 0 or end < start)

    def _piece(self, text: str, inside: bool) -> tuple[str, bool]:
        kept = ""
        while text:
            mark = self.closing if inside else self.opening
            before, found, text = text.partition(mark)
            kept += "" if inside else before
            if found:
                text = re.sub(r"^[ \t]", "", text) if inside else text
                inside = not inside
        return kept, inside
