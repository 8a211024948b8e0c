"""What scoring cost: tokens, and the floating point operations that the model needs for them. Knows no device but by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PEAKS: Mapping[str, float] = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
"""Dense bfloat16 operations per second by part of a device's name, from the makers' data sheets (SXM where there are several)."""


def peak_of(device: str) -> float | None:
    """`None` where it is not known.

    >>> peak_of("NVIDIA H100 80GB HBM3"), peak_of("cpu")
    (989000000000000.0, None)
    """
    return next((peak for name, peak in PEAKS.items() if name in device), None)


@dataclass(slots=True)
class Meter:
    """Grows as solutions are scored. `tokens` are those of the solutions, shared questions counted for each; `flops` is what
    the forward passes needed, padding left out and shared questions once (0: not known). `peak` is the device's, per second.
    """

    tokens: int = 0
    flops: float = 0.0
    peak: float | None = None

    def utilisation(self, seconds: float) -> float | None:
        """Model FLOPs utilisation (arXiv 2204.02311, appendix B) over that time; `None` where the peak is not known.

        >>> Meter(flops=500.0, peak=100.0).utilisation(10.0)
        0.5
        """
        return self.flops / (seconds * self.peak) if self.peak and self.flops and seconds > 0 else None


@dataclass(frozen=True, slots=True)
class Size:
    """Of a decoder: `weights` take part in the product of every token (embeddings are looked up, and the head has two rows)."""

    weights: int
    layers: int
    width: int
    """Query heads times the size of a head."""

    @classmethod
    def of(cls, model: Any) -> Size:
        settings = model.config.get_text_config(decoder=True)
        unused = {id(each.weight) for each in (model.get_input_embeddings(), model.get_output_embeddings()) if each is not None}
        heads: int = settings.num_attention_heads
        size = getattr(settings, "head_dim", None) or settings.hidden_size // heads
        weights = sum(each.numel() for each in model.parameters() if id(each) not in unused)
        return cls(weights, settings.num_hidden_layers, heads * size)

    def flops(self, start: int, stop: int) -> float:
        """Of the tokens from `start` to `stop` of a sequence: two per weight and token, and 4 width per layer and key looked at.

        >>> Size(weights=10, layers=1, width=2).flops(0, 2), Size(10, 1, 2).flops(0, 1) + Size(10, 1, 2).flops(1, 2)
        (64.0, 64.0)
        """
        keys = (stop * (stop + 1) - start * (start + 1)) / 2
        return 2.0 * self.weights * (stop - start) + 4.0 * self.width * self.layers * keys
