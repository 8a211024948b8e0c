"""OmegaPRM's flexible steps: any run of consecutive tokens is a step (arXiv 2406.06592). Knows pieces, no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from openr_data.steps import StepFormat, token_spans
from openr_data.types import Steps


@dataclass(frozen=True, slots=True)
class TokenSpans:
    """Cuts a text into equal spans of at most `unit` tokens; the spans join with the empty separator.

    `pieces` cuts a text at token boundaries, `source` joins the solutions that come in with semantic steps. The unit is the
    average length of the question's solutions / `target` (16 in the paper); until it is fitted (0), each text is cut into about
    `target` spans of its own.
    """

    pieces: Callable[[str], Sequence[str]]
    source: StepFormat
    target: int = 16
    unit: int = 0

    def split(self, text: str) -> Steps:
        pieces = self.pieces(text)
        return token_spans(pieces, max(1, -(-len(pieces) // self.unit)) if self.unit else self.target)

    def join(self, steps: Sequence[str]) -> str:
        return "".join(steps)

    def open(self, steps: Sequence[str]) -> str:
        return self.join(steps)

    def fitted(self, texts: Sequence[str]) -> TokenSpans:
        """With the unit that cuts a text of average length into `target` spans. Empty texts do not count."""
        lengths = [length for text in texts if (length := len(self.pieces(text)))]
        return replace(self, unit=max(1, round(sum(lengths) / len(lengths) / self.target))) if lengths else self
