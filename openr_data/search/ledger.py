"""What one question costs: every generated token, where it went, and a cap that holds. Knows no engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Bill:
    """Tokens of one question. `generated` is everything that the policy wrote, as its engine counts it.

    Of these, `forced` are answers behind a cue that was put into its mouth (budget forcing), and `discarded` are in no candidate:
    pruned branches, copies of a step that was drawn before, samples that were lost. `prm` are in the prefixes that the process
    reward model was asked about (it may know some of them) and `summary` were written by the summariser: both are in no other
    number.
    """

    generated: int = 0
    discarded: int = 0
    forced: int = 0
    prm: int = 0
    summary: int = 0
    requests: int = 0

    def __add__(self, other: Bill) -> Bill:
        return Bill(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Bill)))


class Ledger:
    """Counts, and says how many tokens the next samples may have. `cap` of `None`: no cap. `reserve` is kept for forced answers.

    The cap holds whatever the samples do: a batch shares what is left, and the next one is asked for when it has ended.

    >>> ledger = Ledger(cap=100, reserve=20)
    >>> ledger.share(4)
    20
    >>> ledger.charge(30); ledger.share(4), ledger.left
    (12, 70)
    """

    def __init__(self, cap: int | None = None, reserve: int = 0) -> None:
        self.cap = cap
        self.reserve = 0 if cap is None else min(reserve, cap)
        self.generated = self.forced = self.prm = self.summary = self.requests = 0

    @property
    def left(self) -> int | None:
        """`None` without a cap."""
        return None if self.cap is None else self.cap - self.generated

    def share(self, samples: int, *, forced: bool = False) -> int | None:
        """The most tokens that each of so many samples may have; 0 or less where there are none left, `None` without a cap."""
        if self.left is None:
            return None
        return (self.left - (0 if forced else self.reserve)) // max(1, samples)

    def charge(self, tokens: int, *, forced: bool = False) -> None:
        self.requests += 1
        self.generated += tokens
        self.forced += tokens if forced else 0

    def bill(self, kept: int) -> Bill:
        """`kept`: those of the generated tokens that are part of a candidate."""
        return Bill(self.generated, self.generated - kept, self.forced, self.prm, self.summary, self.requests)

    def split(self, parts: int) -> list[Ledger]:
        """Ledgers for independent parts of a search, which share what is left beside the reserve; `join` them at the end."""
        free = self.share(1)
        if free is None:
            return [Ledger() for _ in range(parts)]
        return [Ledger(max(0, free) // parts + (part < max(0, free) % parts)) for part in range(parts)]

    def join(self, parts: Iterable[Ledger]) -> None:
        """Adds what the parts were charged."""
        for part in parts:
            self.generated += part.generated
            self.forced += part.forced
            self.prm += part.prm
            self.summary += part.summary
            self.requests += part.requests
