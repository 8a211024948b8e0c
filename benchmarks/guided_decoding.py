"""Does guided decoding pay? `python benchmarks/guided_decoding.py --work DIR`: from the first rollout to the figure.

A process reward model is trained on labelled rollouts of the built-in model (`generate`, `label`, `prm train`), and other
questions are then answered by every strategy: `evaluate --sweep`. Policy and labels are sampled at --temperature, above 1: at 1
the model's own frequencies already say what its likelihood says, and a likelihood head has nothing to add to the majority
(docs/log.md).
A step that is done is not done again: the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def main() -> None:
    options = _options()
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    policy = ("--temperature", options.temperature, "--max-tokens", 400)
    task = ("builtin", "--difficulty", options.difficulty)
    if not options.prm:
        _run(work / "solutions", "generate", *task, "--count", options.train, "-n", 8, "--seed", 11, *policy)
        labels = ("--method", "adaptive", "--searches", 0, "--filter-rollouts", 8)
        _run(work / "labels", "label", work / "solutions", *labels)
        recipe = ("--head", "likelihood", "--rate", "3e-4", "--splits", "80/10/10", "--positive-weight", 0)
        _run(work / "prm", "prm", "train", work / "labels", *recipe)
    search = ("--sweep", options.sweep, "--budgets", options.budgets, "--rank-by", options.rank_by, "--width", options.width)
    shown = [part for each in options.selector for part in ("--selector", each)]
    held_out = (*task, "--count", options.questions, "--seed", 901, *policy)
    scores = ("--prm", options.prm or work / "prm")
    _run(work / "evaluation", "evaluate", *held_out, *search, *shown, *scores)
    print(json.dumps(_told(json.loads((work / "evaluation" / "report" / "summary.json").read_text())), indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--difficulty", type=int, default=8)
    parser.add_argument("--temperature", type=float, default=1.3)
    parser.add_argument("--train", type=int, default=2000, help="questions of the training data")
    parser.add_argument("--questions", type=int, default=500, help="held-out questions")
    parser.add_argument("--prm", default="", help="a model that is there, such as builtin; default: train one")
    parser.add_argument("--sweep", default="greedy,beam,dvts,mcts")
    parser.add_argument("--budgets", default="1,2,4,8,16")
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--rank-by", default="min")
    parser.add_argument("--selector", nargs="*", default=["prm_mean_vote"])
    return parser.parse_args()


def _run(out: Path, *arguments: object) -> None:
    """A command of the toolkit into `out`; one that was stopped goes on."""
    done = out.with_suffix(".done")
    if done.exists():
        return
    again = ("--resume",) if (out / "run.json").exists() else ()
    subprocess.run([sys.executable, "-m", "openr_data", *map(str, (*arguments, "--out", out, *again))], check=True)
    done.touch()


def _told(summary: Mapping[str, Any]) -> dict[str, object]:
    shown = set(summary["selectors"])
    points = [each for each in summary["points"] if each["selector"] in {"majority_vote", "pass@n", *shown}]
    return {
        "questions": summary["questions"],
        "points": {_name(each): [_percent(each["accuracy"]), round(each["tokens"]["value"])] for each in points},
        "best of the largest n minus majority": {
            each["selector"]: _percent(each["above_majority"])
            for each in summary["points"]
            if each["strategy"] == "best_of_n" and each["n"] == max(other["n"] for other in summary["points"])
        },
        "at equal tokens, minus best of n": {
            _name(each): _percent(each["difference"]) for each in summary["at_equal_tokens"] if each["selector"] in shown
        },
        "compute-optimal": {
            f"{each['difficulty']} {each['budget']}": [_percent(each["accuracy"]), round(each["tokens"]["value"])]
            for each in summary["compute_optimal"]
        },
    }


def _name(point: Mapping[str, Any]) -> str:
    return f"{point['strategy']}-{point['n']} {point['selector']}"


def _percent(found: Mapping[str, float | None]) -> Sequence[float | None]:
    return [None if value is None else round(100 * value, 1) for value in (found["value"], found["low"], found["high"])]


if __name__ == "__main__":
    main()
