"""Which of a question's right solutions are worth imitating. Knows no models."""

from __future__ import annotations

from openr_data.rl.trajectory import Group, Trajectory


def kept(group: Group, most: int, least: float = 0.0) -> list[Trajectory]:
    """Right solutions that ended and whose steps differ (white space aside), at most `most` (0: all).

    Those with the highest lowest score come first where steps were scored, and one with a step below `least` is right by luck:
    it is left out. An unknown score is no low one.
    """
    right = [each for each in group.trajectories if each.outcome == 1.0 and not each.cut]
    different = {tuple(" ".join(step.split()) for step in each.steps): each for each in reversed(right)}
    sound = [each for each in reversed(different.values()) if _lowest(each) >= least]
    best = sorted(sound, key=_lowest, reverse=True)
    return best[: most or None]


def _lowest(each: Trajectory) -> float:
    return min((score for score in each.scores if score is not None), default=1.0)
