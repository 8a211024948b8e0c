"""What a run of reinforcement learning says before and after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from openr_data.cli.console import out as console
from openr_data.cli.console import warn

if TYPE_CHECKING:
    from openr_data.pipelines.loop.manifest import RoundManifest
    from openr_data.pipelines.rl.config import RLConfig
    from openr_data.pipelines.rl.outcome import Result
    from openr_data.prm.intervals import Interval


def warn_of(config: RLConfig) -> None:
    from openr_data.pipelines.rl.config import Grpo, Play

    summed = isinstance(config.teaching, Grpo) and config.teaching.credit.kind == "sum"
    if summed or (isinstance(config.teaching, Play) and config.teaching.ppo.rewards.kind in {"prm", "mixed"}):
        better = "--credit process or min do" if summed else "--rewards shaped does"
        warn(f"summed scores pay for steps, good or not; {better} not (PURE, arXiv 2504.15275)")


def show_round(found: RoundManifest) -> None:
    """What one round of the loop brought, on questions that nobody chose by."""
    auroc = "" if found.auroc is None else f", AUROC {found.auroc:.3f}"
    console.print(f"round {found.round}: {found.labelled:,} labelled solutions{auroc}; {sum(found.tokens.values()):,} tokens")
    for name, before, after, gain in (
        ("greedily", found.greedy_before, found.greedy_after, found.greedy_gain),
        ("sampled", found.sampled_before, found.sampled_after, found.sampled_gain),
    ):
        console.print(f"  {name:9} {_range(before)} -> {_range(after)}: {_points(gain)}")
    if found.stopped:
        warn(f"a guard ended the learning: {found.stopped}")
    if not found.gained:
        warn("the round brought no gain whose interval is above 0")


def show_result(result: Result, out: Path) -> None:
    console.print(
        f"held-out accuracy, greedy   {_range(result.before)} before, {_range(result.best)} at update {result.best_update}"
    )
    console.print(f"paired difference           {_points(result.gain)}")
    if result.best_update < result.updates:
        console.print(f"after the last update       {_range(result.last)} (the model that is kept is the best one)")
    console.print(f"generated to learn from     {result.tokens:,} tokens in {result.updates:,} updates, {result.seconds:,.0f} s")
    console.print(f"model                       {escape(str(out))}", soft_wrap=True)
    if result.stopped:
        warn(f"a guard ended the run after {result.updates} updates: {result.stopped}")
    if result.best_update == 0:
        warn("no update was better on the held-out questions than the policy that came in: the model is that one")


def _range(found: Interval) -> str:
    bounds = "" if found.low is None or found.high is None else f" [{100 * found.low:.1f}, {100 * found.high:.1f}]"
    return f"{100 * found.value:.1f} %{bounds}"


def _points(found: Interval) -> str:
    bounds = "" if found.low is None or found.high is None else f" [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    return f"{100 * found.value:+.1f} points{bounds}"
