"""EpicPRM: binary search for the first step that halves the question's own value (arXiv 2503.02382). Knows no tree search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import exp

from openr_data.labelers.answers import with_labels
from openr_data.labelers.curtailed import AtLeast, Weight, equally
from openr_data.labelers.estimates import Estimator
from openr_data.labelers.monte_carlo import MonteCarlo
from openr_data.labelers.path import Path
from openr_data.labelers.readings import exactly
from openr_data.labelers.rooted import hopeless, label_beside_root
from openr_data.types import LabeledSolution, Labeling, Node, Problem, Rollout, Solution

METHOD = "epicprm"
HARD, EASY = 2, 5
"""Tenths of the root's value, rounded: below the first the error is expected early, from the second on late."""


@dataclass(frozen=True, slots=True)
class EpicPRM:
    """A prefix is bad iff its value is below `root_share` of the question's, not iff no rollout is right.

    `root_rollouts` give the question's value; without a right one the question is dropped. The value is the share of right
    rollouts, each weighed by exp(mean token log-probability) where the engine gives it for all rollouts of the root
    (`perplexity`), else by 1; `notes` say which. Drawing stops when the rule is decided unless `exact`; the labels are the same.
    """

    measure: MonteCarlo
    rollouts: int = 8
    root_rollouts: int = 32
    root_share: float = 0.5
    perplexity: bool = True
    exact: bool = False

    async def __call__(self, problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        root_rollouts = self.root_rollouts or self.rollouts
        return await label_beside_root(
            problem, solutions, self.measure, self._search, method=METHOD, root_rollouts=root_rollouts, skip=hopeless
        )

    async def _search(self, path: Path, solution: Solution, root: Node) -> LabeledSolution:
        weighed = self.perplexity and all(by_perplexity(r) is not None for r in root.rollouts if r.verdict.outcome != "unknown")
        weight = by_perplexity if weighed else equally
        value = value_of(root.rollouts, weight)
        rule = AtLeast(exactly(self.root_share) * value, self.rollouts, weight)
        notes = {"weights": "perplexity" if weighed else "none", "root": f"{float(value):.4f}"}
        left, right = 1, len(path.steps) - 1
        middle = first_probe(right, value)
        while left <= right:
            good = await rule.ask(path, middle, exact=self.exact)
            if good is None:
                return self._label(path, solution, None, f"unknown_rollouts:{path.why_undecided(middle)}", notes)
            left, right = (middle + 1, right) if good else (left, middle - 1)
            middle = (left + right) // 2
        return self._label(path, solution, left - 1, "below_root", notes)

    def _label(self, path: Path, solution: Solution, error: int | None, reason: str, notes: dict[str, str]) -> LabeledSolution:
        counts = [path.label(depth) for depth in range(len(path.steps))]
        estimator: Estimator = "mean" if self.exact else "stopped"
        return with_labels(solution, counts, error, reason, method=METHOD, estimator=estimator, notes=notes)


def first_probe(longest: int, root: Fraction) -> int:
    """The prefix that is measured first, of 1 .. `longest` steps: the middle, earlier for a hard question, later for an easy one.

    The code of the paper adds up two models' values, so its fifths are tenths here; short solutions start in the middle.

    >>> [first_probe(15, Fraction(tenths, 10)) for tenths in (1, 3, 7)], first_probe(4, Fraction(1, 10))
    ([5, 8, 11], 2)
    """
    last = longest - 1
    shift = last // 4 if last >= 4 else 0
    tenths = round(10 * root)
    return 1 + last // 2 + (-shift if tenths < HARD else shift if tenths >= EASY else 0)


def by_perplexity(rollout: Rollout) -> Fraction | None:
    """exp(mean log-probability of the tokens), the inverse of the perplexity; `None` where the engine does not tell."""
    completion = rollout.completion
    if completion.logprob is None or completion.token_count < 1:
        return None
    return Fraction(min(1.0, exp(completion.logprob / completion.token_count))) or None


def value_of(rollouts: Sequence[Rollout], weight: Weight) -> Fraction:
    """The weighted share of right among the decided rollouts; 0 without any."""
    weighed = [(weight(r) or Fraction(0), r.verdict.outcome == "right") for r in rollouts if r.verdict.outcome != "unknown"]
    whole = sum((each for each, _ in weighed), Fraction(0))
    return sum((each for each, right in weighed if right), Fraction(0)) / whole if whole else whole
