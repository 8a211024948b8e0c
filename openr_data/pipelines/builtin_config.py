"""What a training run of the built-in policy is: one frozen value. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlipRates:
    """Chances per line of a training solution. What follows a slip always continues from what was written.

    `masked` slips carry no loss: the policy learns to go on after them, and to revise them, but not to make them. `arithmetic`,
    `operand` and `skipped` slips are learnt like any other line: the share of such errors that the policy is to show.
    `revise` is the chance that the next line takes a slip back, `revise_skipped` the same for a skipped step, the one slip that a
    small model sees at a glance, and `revise_own` the same for the first wrong line of a solution that the model sampled.
    """

    masked: float = 0.06
    arithmetic: float = 0.005
    operand: float = 0.005
    skipped: float = 0.007
    revise: float = 0.3
    revise_skipped: float = 0.3
    revise_own: float = 0.3


@dataclass(frozen=True, slots=True)
class BuiltinTraining:
    """The model, its data and its optimisation. Lengths are in training steps, so that a run does not depend on the clock.

    `curriculum` is the share of the steps over which the number of operations grows to its maximum, `decay` the share at the
    end over which the rates fall to zero. From the share `own_from` of the steps on, `own_share` of every batch are solutions
    that the model itself sampled, with its first wrong line revised or carried on from. After these steps come
    `finish_steps` more, with fresh optimisers, at `finish_rate` of the rates falling to zero, and with `finish_slips`.
    """

    seed: int = 1
    steps: int = 3000
    batch: int = 64
    hidden: int = 192
    layers: int = 2
    heads: int = 6
    intermediate: int = 448
    rope_theta: float = 100.0
    muon_rate: float = 0.01
    adamw_rate: float = 0.005
    warmup: int = 50
    curriculum: float = 0.3
    decay: float = 0.4
    slips: SlipRates = SlipRates()
    finish_steps: int = 500
    finish_rate: float = 0.4
    finish_slips: SlipRates = SlipRates(skipped=0.02, revise=0.0, revise_skipped=0.5, revise_own=0.5)
    own_from: float = 0.5
    own_share: float = 0.25
    own_refresh: int = 40
    checkpoint_every: int = 200
    threads: int = 1
    device: str = "cpu"

    @property
    def all_steps(self) -> int:
        return self.steps + self.finish_steps

    def slips_at(self, step: int) -> SlipRates:
        return self.slips if step < self.steps else self.finish_slips
