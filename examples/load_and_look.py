"""Look at labelled solutions from Python: records, frames and numbers of one run.

    python examples/load_and_look.py [RUN]

Without a run, the built-in model solves a few generated problems and labels its own steps first. In a notebook, `data` shows
itself as a table.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

import openr_data
from openr_data.engines import EngineSpec
from openr_data.labelers import LabelConfig
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.problems import ProblemSource
from openr_data.types import Sampling


def make_run(folder: Path) -> Path:
    sampling = Sampling(temperature=1.0, max_tokens=128, seed=0)
    problems = ProblemSource("builtin", count=6)
    generate(GenerateConfig(problems, EngineSpec("builtin"), sampling), RunOptions(folder / "solutions"))
    method = LabelConfig(method="math-shepherd", rollouts=8)
    solutions = ProblemSource(str(folder / "solutions"))
    label(LabelRunConfig(solutions, EngineSpec("builtin"), sampling, method), RunOptions(folder / "labels"))
    return folder / "labels"


def look(run: Path) -> None:
    data = openr_data.load(run)
    print(data)

    print("\nA record: the first solution with a wrong step")
    for one in data.labeled():
        if one.first_error is not None and one.first_error >= 0:
            print(f"  {one.solution.steps[one.first_error]}   (step {one.first_error + 1} of {len(one.solution.steps)})")
            break

    print("\nA frame: the value of the steps before, at and after the first wrong one")
    place = pl.when(pl.col("is_first_error")).then(pl.lit("at")).when(pl.col("hard")).then(pl.lit("before"))
    steps = data.steps().filter(pl.col("mc").is_not_null(), pl.col("hard").is_not_null())
    means = steps.group_by(place.otherwise(pl.lit("after")).alias("place")).agg(pl.len().alias("steps"), pl.col("mc").mean())
    for name, count, mean in means.sort("mc", descending=True).iter_rows():
        print(f"  {name:<7}{count:>4} steps   mean value {mean:.2f}")

    counted = data.statistics()
    print(f"\nNumbers: {counted.balance.right} right and {counted.balance.wrong} wrong steps, {counted.cost.tokens:,} tokens")


def main() -> None:
    if len(sys.argv) > 1:
        look(Path(sys.argv[1]))
        return
    with TemporaryDirectory() as folder:
        look(make_run(Path(folder)))


if __name__ == "__main__":
    main()
