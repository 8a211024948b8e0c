"""Advantages of steps: process-supervised GRPO (DeepSeekMath, arXiv 2402.03300, section 4.1.3), and sums of rewards to go."""

from __future__ import annotations

from collections.abc import Sequence

from openr_data.rl.advantages.grouped import standard

Group = Sequence[Sequence[float | None]]


def process_grpo(rewards: Group, *, scale: bool = True) -> list[list[float]]:
    """The rewards of all steps of the group are brought to mean 0 and deviation 1 together; a step's advantage is the sum of
    what it and the steps behind it have. One entry per step.

    Taking the mean away is what keeps a policy from writing more steps for more reward.

    >>> process_grpo([[1.0, 0.0], [1.0, 1.0]], scale=False)
    [[-0.5, -0.75], [0.5, 0.25]]
    """
    centre, width = standard([each for solution in rewards for each in solution if each is not None], scale=scale)
    return [to_go([None if each is None else (each - centre) / width for each in solution]) for solution in rewards]


def to_go(rewards: Sequence[float | None], discount: float = 1.0) -> list[float]:
    """G_k = r_k + discount * G_{k+1}: the sum form (OpenR, arXiv 2410.09671). A reward that is not known adds nothing.

    The sum grows with the number of steps: a policy that maximises it learns to write many.

    >>> to_go([1.0, None, 0.5], discount=0.5)
    [1.125, 0.25, 0.5]
    """
    found, total = [0.0] * len(rewards), 0.0
    for place in range(len(rewards) - 1, -1, -1):
        total = (rewards[place] or 0.0) + discount * total
        found[place] = total
    return found
