"""Peak resident memory and seconds of `openr-data report` on a large labelled run.

    .venv/bin/python benchmarks/statistics_report.py [--steps 1000000] [--benchmark 10000]

The runs are made first (not measured): eight steps a solution, five solutions a problem, texts of random words. Each report is a
process of its own; its peak is what the operating system counted (`ru_maxrss`).
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from memory import measured

from openr_data.store.bulk import open_bulk
from openr_data.store.codecs import labeling_tables
from openr_data.store.run_record import RunIdentity
from openr_data.types import (
    Completion,
    Cost,
    Estimate,
    LabeledSolution,
    Labeling,
    Node,
    Problem,
    Rollout,
    Solution,
    StepLabel,
    Verdict,
)

TABLES = ("labeled", "problems", "nodes", "rollouts")
STEPS, SOLUTIONS, ROLLOUTS = 8, 5, 16
VOCABULARY = [f"word{number}" for number in range(20_000)]
WRONG = Verdict("wrong", "different", "0")


def text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(VOCABULARY, k=words))


def item(number: int, seed: int) -> tuple[Problem, Labeling]:
    """One problem; another seed gives the same solutions with other labels."""
    rng, labels = random.Random(number), random.Random(seed * 1_000_003 + number)
    problem = Problem(f"p{number}", text(rng, 40), "1", "random")
    solutions = tuple(labelled(rng, labels, f"p{number}", k) for k in range(SOLUTIONS))
    rollouts = tuple(
        Rollout(Completion(text(rng, 60), 80, "stop", k, rng.getrandbits(62)), Verdict(rng.choice(("right", "wrong")), "exact"))
        for k in range(ROLLOUTS)
    )
    return problem, Labeling(problem.id, solutions, (Node(f"n{number}", problem.id, "", (), rollouts),))


def labelled(rng: random.Random, labels: random.Random, problem: str, index: int) -> LabeledSolution:
    steps = tuple(text(rng, 14) for _ in range(STEPS))
    counts = tuple(StepLabel(labels.randint(0, 8), 8) for _ in steps)
    estimates = tuple(Estimate(count.value, "mean") for count in counts)
    solution = Solution(f"{problem}/{index}", problem, steps, WRONG, 150, "random", index=index, seed=rng.getrandbits(62))
    return LabeledSolution(solution, counts, labels.randint(0, STEPS - 1), "mips", Cost(64, 5000), "search", estimates=estimates)


def write_run(path: Path, problems: int, seed: int) -> None:
    identity = RunIdentity("label", {"seed": seed}, "random", {"random": "0"}, TABLES, 500)
    with open_bulk(path, identity) as run:
        for number in range(problems):
            run.add(labeling_tables(*item(number, seed)))
        run.complete()
        run.finish(None)


def questions(count: int) -> Iterator[str]:
    rng = random.Random(-1)
    yield item(0, 0)[0].question
    for _ in range(count - 1):
        yield text(rng, 40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--benchmark", type=int, default=10_000, help="Questions of the benchmark.")
    arguments = parser.parse_args()
    print(f"{'steps':>9} {'report':<28} {'peak MB':>8} {'seconds':>8}")
    for steps in arguments.steps:
        with tempfile.TemporaryDirectory() as folder:
            base, problems = Path(folder), steps // (STEPS * SOLUTIONS)
            began = time.perf_counter()
            write_run(base / "run", problems, 0)
            write_run(base / "other", problems, 1)
            lines = (json.dumps({"question": question}) + "\n" for question in questions(arguments.benchmark))
            (base / "benchmark.jsonl").write_text("".join(lines))
            print(f"{steps:>9,} (made in {time.perf_counter() - began:.0f} s)", flush=True)
            against = ["--against", str(base / "benchmark.jsonl")]
            for name, options in (("alone", []), ("with another run", [str(base / "other")]), ("against a benchmark", against)):
                peak, seconds = measured(["report", str(base / "run"), *options, "--json"])
                print(f"{steps:>9,} {name:<28} {peak:>8.0f} {seconds:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
