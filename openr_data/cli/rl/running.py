"""What the commands of the group share: the questions, the run, and its report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openr_data.cli import options
from openr_data.cli.console import err, print_json, warn
from openr_data.cli.options.rl import WatchOptions
from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.pipelines.rl.config import RLConfig
    from openr_data.pipelines.rl.prepared import Asked, Listeners
    from openr_data.prm.score.base import ScorerSpec
    from openr_data.problems import ProblemSource

PROBLEMS = "Questions to learn from: a file, a directory, a Hub data set (owner/name), or builtin."

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the model.", show_default=False, rich_help_panel="Run")]
Updates = Annotated[int, typer.Option("--updates", min=1, help="Updates of the run.", rich_help_panel="Learning")]
Overlong = Annotated[str, typer.Option("--overlong", help="A solution that is cut: wrong, or masked.", rich_help_panel="Rewards")]
Marks = Annotated[
    str,
    typer.Option(
        "--reasoning",
        help="Two marks, such as '<think> </think>': what stands between is learnt, and neither graded nor scored.",
        rich_help_panel="Rewards",
    ),
]
Threads = Annotated[
    int, typer.Option("--threads", min=0, help="Threads of the learner on a CPU (0: all).", rich_help_panel="Run")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on exactly where the run in --out stopped.", rich_help_panel="Run")]


@dataclass(frozen=True, slots=True)
class Asking:
    """The options that say who learns, what measures it, and where."""

    watch: WatchOptions
    engine: options.EngineOptions
    sampling: options.SamplingOptions
    source: options.ProblemOptions
    scorer: ScorerSpec | None
    grader: str

    def config(self, problems: str, **more: Any) -> RLConfig:
        """`problems` is empty where the policy is asked nothing."""
        from openr_data.pipelines.rl.config import RLConfig

        return RLConfig(
            source=self._train(problems) if problems else None,
            held_out=self._held_out(problems),
            engine=self.engine.spec(),
            prm=self.scorer.model if self.scorer else "",
            grader=self.grader,
            evaluate_every=self.watch.evaluate_every,
            save_every=self.watch.save_every,
            against=tuple(self.watch.against or ()),
            seed=self.sampling.seed,
            **more,
        ).checked()

    def asked(self, config: RLConfig, out: Path, threads: int, *, resume: bool) -> Asked:
        from openr_data.pipelines.rl.prepared import Asked

        trackers = tuple(self.watch.report_to or ())
        return Asked(config, self.sampling.sampling(), out, self.engine.limits(), self.scorer, threads, resume, trackers)

    def _train(self, problems: str) -> ProblemSource:
        return learning_half(self.source.source(problems, self.sampling.seed))

    def _held_out(self, problems: str) -> ProblemSource:
        known = problems == "builtin" or not (problems or self.engine.chosen)
        source = self.source.source("builtin", self.sampling.seed)
        return measuring(source, self.watch.held_out or ("builtin" if known else ""), "--held-out", self.watch.held_out_count)


def learning_half(source: ProblemSource) -> ProblemSource:
    """Of the built-in task the half that no evaluation sees, unless a split is named."""
    return replace(source, split="train") if source.location == "builtin" and not source.split else source


def measuring(source: ProblemSource, location: str, option: str, count: int) -> ProblemSource:
    """At most `count` questions of `location`; `builtin` is the task that `source` describes, its half for evaluations."""
    from openr_data.problems import ProblemSource

    if not location:
        raise UsageError(f"name the questions that measure the policy: {option} FILE (they are never learnt from)")
    if location == "builtin":
        return replace(source, location="builtin", split="", limit=0, count=count)
    return ProblemSource(location, limit=count)


def told(text: str) -> None:
    """What begins: a line for people, an event for programs."""
    if err.is_terminal:
        err.print(text, markup=False)
    else:
        sys.stderr.write(json.dumps({"event": "stage", "stage": text}) + "\n")
        sys.stderr.flush()


def quiet(on_warning: Callable[[str], None]) -> Listeners:
    """Of a run that is a part of another: its measurements and warnings alone."""
    from openr_data.cli.rl.progress import evaluation_line
    from openr_data.pipelines.rl.prepared import Listeners

    return Listeners(on_evaluation=lambda found: told(evaluation_line(found)), warn=on_warning)


def carry_out(asked: Asked, *, as_json: bool) -> None:
    """The run, watched, and what came of it."""
    from openr_data.cli.rl.progress import watching
    from openr_data.cli.rl.report import show_result, warn_of
    from openr_data.models.processes import processes
    from openr_data.pipelines.rl.prepared import Listeners
    from openr_data.pipelines.rl.training import train_policy

    warn_of(asked.config)
    with watching() as (on_update, on_evaluation):
        result = train_policy(asked, Listeners(on_update, on_evaluation, warn))
    if asked.config.scale and processes()[0] > 0:
        return  # the first process tells it
    if as_json:
        print_json({"out": str(asked.out), **result.plain()})
    else:
        show_result(result, asked.out)
