"""How often the ranges of `estimate` hold what the runs then used: really run, `generate` and every labelling method.

    .venv/bin/python benchmarks/estimate_check.py [--engine scripted] [--script ...] [--seeds 10] [--problems 200] [--pilot 20]

For each seed a data set is generated and labelled by every method for its bill, and one estimate is made from a pilot of it.
`held`: how many ranges hold the bill; `over`, `under`: how many bills lie above or below. `time`: median ratio of the estimated
to the used seconds. The engine is deterministic and `estimate` exact on the questions that it saw, so further pilots are drawn
from one trial of all questions of the first seed, for a finer count (`more`); `ratio`, the mean of estimate / bill, and `width`,
the median of a range's width / bill, are of those.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import fmean, median

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.chain import chain_problems
from openr_data.labelers import LabelConfig
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.estimate import METHODS, Amount, Estimate, Range, estimate, extrapolated
from openr_data.pipelines.estimate_pilot import sampled, trial
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.pipelines.stage import Summary
from openr_data.problems import ProblemSource
from openr_data.types import Sampling

SCRIPT = "vary=1,uneven=1"
LIMITS = EngineLimits()
Checks = defaultdict[str, list[tuple[Range, float]]]


def config_of(engine: str, script: str, source: ProblemSource, seed: int) -> GenerateConfig:
    spec = EngineSpec(engine, script=script if engine == "scripted" else "")
    return GenerateConfig(source, spec, Sampling(1.0, 256, seed))


def bills(config: GenerateConfig, labels: Mapping[str, LabelConfig], folder: Path) -> dict[str, Summary]:
    solved = folder / "generate"
    runs = {"generate": generate(config, RunOptions(solved, limits=LIMITS))}
    for method, settings in labels.items():
        run = LabelRunConfig(ProblemSource(str(solved)), config.engine, config.sampling, settings)
        runs[method] = label(run, RunOptions(folder / method, limits=LIMITS))
    return runs


def amounts(said: Estimate) -> dict[str, Amount]:
    return {"generate": said.generate, **said.label}


def more_pilots(
    config: GenerateConfig, labels: Mapping[str, LabelConfig], runs: Mapping[str, Summary], pilot: int, pilots: int
) -> Checks:
    problems, total = sampled(config.source, 10**9, 0)
    everything = asyncio.run(trial(config, labels, LIMITS, problems))
    checks: Checks = defaultdict(list)
    random = Random(0)
    for _ in range(pilots):
        part = replace(everything, observed=tuple(random.sample(everything.observed, pilot)))
        for stage, amount in amounts(extrapolated(part, total)).items():
            checks[stage].append((amount.tokens, runs[stage].tokens))
    return checks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="scripted")
    parser.add_argument("--script", default=SCRIPT)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--pilot", type=int, default=20)
    parser.add_argument("--pilots", type=int, default=200)
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--method", action="append")
    asked = parser.parse_args()
    labels = {m: LabelConfig(m, asked.rollouts, filter_rollouts=16, searches=2) for m in asked.method or METHODS}
    tokens: Checks = defaultdict(list)
    seconds: Checks = defaultdict(list)
    finer: Checks = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(asked.seeds):
            config = config_of(asked.engine, asked.script, source_of(asked.engine, asked.problems, seed, Path(folder)), seed)
            said = estimate(config, labels, LIMITS, pilot=asked.pilot)
            runs = bills(config, labels, Path(folder) / str(seed))
            for stage, amount in amounts(said).items():
                tokens[stage].append((amount.tokens, runs[stage].tokens))
                if amount.hours:
                    seconds[stage].append((amount.hours.times(3600), runs[stage].seconds))
            if not seed:
                show_first(said, runs)
                finer = more_pilots(config, labels, runs, asked.pilot, asked.pilots)
    print("\n" + row("stage", "held", "over", "under", "time", "more", "ratio", "width"))
    for stage, checks in tokens.items():
        more, bill = finer[stage], finer[stage][0][1] or 1
        wide = [(r.high - r.low) / bill for r, _ in more if r.high is not None]
        over, under = sum(r.high is not None and b > r.high for r, b in checks), sum(b < r.low for r, b in checks)
        pace = median(r.expected / used for r, used in seconds[stage])
        ratio = fmean(r.expected for r, _ in more) / bill
        print(row(stage, held(checks), over, under, f"{pace:.2f}", held(more), f"{ratio:.2f}", f"{median(wide or [0]):.2f}"))


def row(*cells: object) -> str:
    return "".join(f"{cell:<16}" if not place else f"{cell:>9}" for place, cell in enumerate(cells))


def source_of(engine: str, problems: int, seed: int, folder: Path) -> ProblemSource:
    if engine == "builtin":
        return ProblemSource("builtin", count=problems, seed=seed)
    file = folder / f"{seed}.jsonl"
    rows = ({"id": p.id, "question": p.question, "answer": p.answer} for p in chain_problems(problems, seed=seed))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return ProblemSource(str(file))


def show_first(said: Estimate, runs: Mapping[str, Summary]) -> None:
    pilot = said.pilot
    print(
        f"{said.problems} problems, pilot {pilot.problems}: {pilot.right:.0%} right, the pilot took {pilot.paid.tokens:,} tokens"
    )
    for stage, amount in amounts(said).items():
        end = "?" if amount.tokens.high is None else f"{amount.tokens.high:,.0f}"
        tokens = f"{amount.tokens.expected:>12,.0f} tokens ({amount.tokens.low:,.0f} - {end})"
        print(f"{stage:<16}{tokens}, {amount.calls.expected:,.0f} calls; used {runs[stage].tokens:,}", flush=True)


def held(checks: list[tuple[Range, float]]) -> str:
    return f"{sum(r.low <= bill <= (bill if r.high is None else r.high) for r, bill in checks)}/{len(checks)}"


if __name__ == "__main__":
    main()
