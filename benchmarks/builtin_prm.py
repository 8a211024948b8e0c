"""The three numbers of the built-in process reward model, and how good they are.

    python benchmarks/builtin_prm.py --work DIR [--problems 300] [--solutions 4] [--difficulty 10]

The built-in policy writes solutions twice, of seed 7 to fit and of seed 8 to judge. The exact oracle says of every step whether
the right answer can still be reached; steps behind the first wrong one are left out, as `prm evaluate` does. A logistic
regression on the least and the total log-probability of a step gives the numbers of `openr_data/prm/builtin.py`. What is in DIR
already is not made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.pipelines.config import GenerateConfig, RunOptions
from openr_data.pipelines.generate import generate
from openr_data.prm.builtin import LINE, Line, load_builtin
from openr_data.prm.encode import Encoded
from openr_data.prm.metrics import Bools, Floats, Ints, StepMetrics, step_metrics
from openr_data.prm.score.transformers import TransformersBackend
from openr_data.problems import ProblemSource
from openr_data.problems.oracle import judge
from openr_data.store.read import RunReader
from openr_data.types import NO_ERROR, Sampling

FIT, JUDGE = 7, 8
"""Seeds."""


@dataclass(frozen=True, slots=True)
class Steps:
    """`features`: [steps, 2], least and total log-probability; `good` and `problems`: [steps]."""

    features: Floats
    good: Bools
    problems: Ints

    def judged(self, line: Line) -> StepMetrics:
        return step_metrics(self.features @ [line.least, line.total] + line.bias, self.good, self.problems)


def rollouts(out: Path, args: argparse.Namespace, seed: int) -> RunReader:
    source = ProblemSource("builtin", count=args.problems, seed=seed, difficulty=args.difficulty)
    sampling = Sampling(temperature=1.0, max_tokens=256, seed=seed)
    generate(
        GenerateConfig(source, EngineSpec("builtin"), sampling, args.solutions),
        RunOptions(out, mode="resume", limits=EngineLimits()),
    )
    return RunReader.open(out)


def features(encoded: Sequence[Encoded]) -> Floats:
    """[steps, 2]: each of the two numbers is the margin of a head that looks at nothing else."""
    lines = (Line(1.0, 0.0, 0.0), Line(0.0, 1.0, 0.0))
    found = [TransformersBackend(load_builtin(line=line)).margins(encoded) for line in lines]
    return np.array([[value for row in rows for value in row] for rows in found], dtype=np.float64).T


def labelled(run: RunReader) -> Steps:
    encoder = load_builtin().encoder
    encoded: list[Encoded] = []
    good: list[bool] = []
    problems: list[int] = []
    for number, item in enumerate(run.items()):
        for solution in item.solutions:
            truth = judge(item.problem.question, solution.steps)
            first = truth.first_wrong_state
            steps = solution.steps if first == NO_ERROR else solution.steps[: first + 1]
            encoded.append(encoder.encode(item.problem.question, steps))
            good += truth.states[: len(steps)]
            problems += [number] * len(steps)
    return Steps(features(encoded), np.array(good), np.array(problems))


def fitted(steps: Steps) -> Line:
    """Maximum likelihood, without a penalty."""
    from sklearn.linear_model import LogisticRegression

    model: Any = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    model.fit(steps.features, steps.good)
    least, total = model.coef_[0]
    return Line(float(least), float(total), float(model.intercept_[0]))


def show(name: str, line: Line, steps: Steps) -> None:
    found = steps.judged(line)
    auroc = float("nan") if found.pooled is None else found.pooled.auroc
    print(
        f"{name:<24}{line.least:>9.3f}{line.total:>9.3f}{line.bias:>9.3f}{auroc:>9.4f}{found.brier:>9.4f}{found.prior_brier:>9.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=300)
    parser.add_argument("--solutions", type=int, default=4)
    parser.add_argument("--difficulty", type=int, default=10)
    args = parser.parse_args()
    fit, held_out = (labelled(rollouts(args.work / str(seed), args, seed)) for seed in (FIT, JUDGE))
    line = fitted(fit)
    print(f"{len(fit.good):,} steps to fit, {len(held_out.good):,} to judge, {held_out.good.mean():.1%} good\n")
    print(f"{'on the steps to judge':<24}{'least':>9}{'total':>9}{'bias':>9}{'AUROC':>9}{'Brier':>9}{'prior':>9}")
    show("fitted now", line, held_out)
    show("in the package", LINE, held_out)
    show("the least alone", Line(1.0, 0.0, 0.0), held_out)
    show("the total alone", Line(0.0, 1.0, 0.0), held_out)


if __name__ == "__main__":
    main()
