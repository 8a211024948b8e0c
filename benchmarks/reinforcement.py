"""What learning from rewards brings on the built-in task: `python benchmarks/reinforcement.py --work DIR --methods grpo process`.

Every method starts from the built-in policy, with every seed; the policy after the last update is measured on questions that
nobody learnt from or chose by, greedily, and by samples at temperature 1. `format` imitates written solutions that reason.
Differences are paired, with 95 % intervals over questions and seeds. `--hacking` shows what summed scores of a weak process
reward model do, and that the guard ends it, against credit that does not pay for steps. Runs that are there already are read
again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.pipelines.builtin_solutions import write_solutions
from openr_data.pipelines.rl.config import Dpo, Grpo, Play, Rft, RLConfig, Sft
from openr_data.pipelines.rl.measuring import Measured, accuracy, measure, paired_gain
from openr_data.pipelines.rl.outcome import Result
from openr_data.pipelines.rl.prepared import Asked, Listeners
from openr_data.pipelines.rl.state import checkpoint
from openr_data.pipelines.rl.training import train_policy
from openr_data.prm.score.base import ScorerSpec
from openr_data.problems import ProblemSource, usable_problems
from openr_data.rl.credit import Credit
from openr_data.rl.learner import LearnConfig
from openr_data.rl.losses import PolicyLoss
from openr_data.rl.ppo import Ppo
from openr_data.types import Sampling

FRESH = 4242
LENGTH = 400
Rights = Sequence[float | None]
METHODS: Mapping[str, Callable[[argparse.Namespace], Any]] = {
    "grpo": lambda o: Grpo(Credit("outcome"), o.questions, o.group),
    "process": lambda o: Grpo(Credit("process", scale=False), o.questions, o.group),
    "progress": lambda o: Grpo(Credit("progress"), o.questions, o.group),
    "min": lambda o: Grpo(Credit("min"), o.questions, o.group),
    "ppo": lambda o: Play(Ppo(), o.questions * 2, o.group // 2),
    "rft": lambda o: Rft(2, o.questions * o.updates // 8, o.group, 4),
    "dpo": lambda o: Dpo((o.labels,)),
    "format": lambda o: Sft((str(o.work / "reasoned.jsonl"),), epochs=1.0),
}


def main() -> None:
    o = _options()
    rows = _hacking(o) if o.hacking else [_method(o, name) for name in o.methods]
    print(json.dumps(rows, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--methods", nargs="*", default=["grpo", "process", "ppo"], choices=sorted(METHODS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--difficulty", type=int, default=10)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1.5e-4)
    parser.add_argument("--prm", default="builtin")
    parser.add_argument("--labels", default="", help="labelled run for dpo")
    parser.add_argument("--fresh", type=int, default=500, help="questions of the final measurement")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--hacking", action="store_true")
    return parser.parse_args()


def _config(o: argparse.Namespace, teaching: Any, seed: int, learn: LearnConfig | None = None) -> RLConfig:
    count = o.questions * o.updates
    passes = 2 if isinstance(teaching, Play) else 1
    usual = LearnConfig(PolicyLoss(), o.rate, length=LENGTH, epochs=passes, minibatches=passes)
    if isinstance(teaching, Sft):
        usual = LearnConfig(rate=1e-2, optimizer="muon", length=LENGTH)
    asked = ProblemSource("builtin", count=count, difficulty=o.difficulty, seed=seed, split="train")
    return RLConfig(
        source=None if isinstance(teaching, Dpo | Sft) else asked,
        held_out=ProblemSource("builtin", count=200, difficulty=o.difficulty, seed=seed),
        engine=EngineSpec("builtin"),
        teaching=teaching,
        prm=o.prm,
        updates=0 if isinstance(teaching, Dpo | Sft) else o.updates,
        seed=seed,
        learn=learn or usual,
    )


def _run(o: argparse.Namespace, config: RLConfig, out: Path) -> Result:
    scorer = ScorerSpec(o.prm) if config.needs_scores else None
    asked = Asked(
        config, Sampling(1.0, LENGTH, config.seed), out, prm=scorer, threads=o.threads, resume=(out / "rl_run.json").exists()
    )
    print(out, file=sys.stderr)
    return train_policy(asked, Listeners(on_evaluation=lambda found: print(found.update, found.accuracy, file=sys.stderr)))


def _method(o: argparse.Namespace, name: str) -> dict[str, Any]:
    rows = o.work / "reasoned.jsonl"
    if name == "format" and not rows.exists():
        rows.parent.mkdir(parents=True, exist_ok=True)
        write_solutions(rows, 19200, o.difficulty, style="reasoned", split="train", seed=0)
    results = {seed: _run(o, _config(o, METHODS[name](o), seed), o.work / f"{name}-{seed}") for seed in o.seeds}
    before = _measured(o, EngineSpec("builtin"))
    lasts = [checkpoint(o.work / f"{name}-{seed}", each.updates) for seed, each in results.items()]
    after = [_measured(o, EngineSpec("transformers", str(last))) for last in lasts]
    return {
        "method": name,
        "tokens": sum(each.tokens for each in results.values()) / len(results),
        "seconds": sum(each.seconds for each in results.values()) / len(results),
        "stopped": [each.stopped for each in results.values()],
        "best": [each.best_update for each in results.values()],
        "greedy": _difference(before.greedy, [each.greedy for each in after]),
        "sampled": _difference(before.sampled, [each.sampled for each in after]),
    }


def _measured(o: argparse.Namespace, spec: EngineSpec) -> Measured:
    problems = list(usable_problems(ProblemSource("builtin", count=o.fresh, difficulty=o.difficulty, seed=FRESH)))
    return asyncio.run(measure(spec, EngineLimits(), problems, grader="math", max_tokens=LENGTH, samples=4, seed=FRESH))


def _difference(before: Rights, after: Sequence[Rights]) -> dict[str, Any]:
    """Paired over questions, each with the mean over the seeds; what is not known of one is in no number."""
    mean = [None if None in each else fmean(value for value in each if value is not None) for each in zip(*after, strict=True)]
    gain = paired_gain(before, mean, seed=0)
    return {
        "before": accuracy(before, seed=0).value,
        "after": [accuracy(each, seed=0).value for each in after],
        "gain": [gain.value, gain.low, gain.high],
    }


def _hacking(o: argparse.Namespace) -> list[dict[str, Any]]:
    """Scores alone, at a rate that shows within tens of updates what a longer run would come to."""
    rows = []
    for kind in ("sum", "process", "min"):
        for seed in o.seeds:
            teaching = Grpo(Credit(kind, outcome_weight=0.0, carry=False, baseline=False), o.questions, o.group)
            learn = LearnConfig(rate=o.rate, schedule="constant", length=LENGTH)
            out = o.work / f"hacking-{kind}-{seed}"
            result = _run(o, _config(o, teaching, seed, learn), out)
            told = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
            rows.append({"credit": kind, "seed": seed, "updates": result.updates, "stopped": result.stopped, **_ends(told)})
    return rows


def _ends(told: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Means of the first and of the last five updates."""
    names = ("steps", "total", "score", "lowest", "right")
    return {name: [float(np.mean([each[name] for each in part])) for part in (told[:5], told[-5:])] for name in names}


if __name__ == "__main__":
    main()
