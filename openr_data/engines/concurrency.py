"""How many requests an endpoint gets at a time, and when it gets none: an adaptive limit and a breaker. Knows no HTTP."""

from __future__ import annotations

from math import inf

_CUT = 0.75
_SUCCESSES_PER_STEP = 25


class AdaptiveLimit:
    """Additive increase, multiplicative decrease.

    It starts low and grows by one per success (doubling per round trip) until the server first asks for less. From then on a
    refusal multiplies it by 0.75, once per burst: refusals of requests that were sent before the last cut say nothing new. It
    grows by one per 25 successes, only while it is used up, and not for `growth_pause` seconds after a fault.
    """

    def __init__(self, ceiling: int, *, growth_pause: float, start: int = 32) -> None:
        self.ceiling = ceiling
        self._limit = float(min(start, ceiling))
        self._growth_pause = growth_pause
        self._refused = False
        self._successes = 0
        self._cut_at = -inf
        self._held_until = -inf

    @property
    def allowed(self) -> int:
        return max(1, int(self._limit))

    def succeeded(self, now: float, in_flight: int) -> None:
        """`in_flight` counts the request that succeeded."""
        if now < self._held_until or in_flight < self.allowed:
            return
        self._successes += 1
        if not self._refused or self._successes >= _SUCCESSES_PER_STEP:
            self._limit = min(float(self.ceiling), self._limit + 1)
            self._successes = 0

    def refused(self, now: float, sent: float) -> bool:
        """A request sent at `sent` was one too many. True for the first of a burst."""
        self._refused = True
        self._successes = 0
        if sent <= self._cut_at:
            return False
        self._limit = max(1.0, self._limit * _CUT)
        self._cut_at = now
        return True

    def failed(self, now: float) -> None:
        self._successes = 0
        self._held_until = now + self._growth_pause


class Breaker:
    """Opens after `failures` faults in a row; then lets one real request at a time through, `wait` to `cap` seconds apart."""

    def __init__(self, failures: int, *, wait: float, cap: float) -> None:
        self._threshold = failures
        self._first_wait = self._wait = wait
        self._cap = cap
        self._failures = 0
        self._probing = False
        self.open_until = -inf

    @property
    def is_open(self) -> bool:
        return self.open_until > -inf

    def allows(self, now: float) -> bool:
        return not self.is_open or (now >= self.open_until and not self._probing)

    def begin(self) -> bool:
        """A request starts; True when it is the probe of an open breaker."""
        self._probing = self.is_open
        return self._probing

    def abandoned(self) -> None:
        """The probe ended without a result."""
        self._probing = False

    def succeeded(self) -> None:
        self._failures, self._probing, self._wait, self.open_until = 0, False, self._first_wait, -inf

    def trip(self, now: float) -> None:
        """It is known to be down, however few requests have failed."""
        if not self.is_open:
            self._failures = max(self._failures, self._threshold - 1)
            self.failed(now, probe=False)

    def failed(self, now: float, *, probe: bool) -> None:
        self._failures += 1
        if probe or (not self.is_open and self._failures >= self._threshold):
            self._probing = False
            self.open_until = now + self._wait
            self._wait = min(self._cap, self._wait * 2)
