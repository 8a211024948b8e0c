"""Carries out a loop, round by round, stage by stage. Every stage goes on where it was stopped; a finished round is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.local_files import model_folder
from openr_data.errors import UsageError
from openr_data.graders import grades_itself
from openr_data.models.files import model_digest
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.pipelines.loop.config import LoopConfig
from openr_data.pipelines.loop.figure import FIGURE, figure_of
from openr_data.pipelines.loop.manifest import NAME as MANIFEST
from openr_data.pipelines.loop.manifest import RoundManifest
from openr_data.pipelines.prm.config import PRMRunConfig, SourceSpec
from openr_data.pipelines.prm.record import NAME as PRM_RECORD
from openr_data.pipelines.prm.training import Listeners as PRMListeners
from openr_data.pipelines.prm.training import train_prm
from openr_data.pipelines.rl.config import RLConfig
from openr_data.pipelines.rl.measuring import Measured, accuracy, measure, paired_gain
from openr_data.pipelines.rl.outcome import Result
from openr_data.pipelines.rl.prepared import Asked
from openr_data.pipelines.rl.prepared import Listeners as RLListeners
from openr_data.pipelines.rl.record import NAME as RL_RECORD
from openr_data.pipelines.rl.record import begin
from openr_data.pipelines.rl.training import train_policy
from openr_data.pipelines.splits import Splits
from openr_data.pipelines.stage import Summary
from openr_data.prm.score.base import ScorerSpec
from openr_data.problems import ProblemSource, usable_problems
from openr_data.store.atomic import write_bytes
from openr_data.store.lock import DirectoryLock
from openr_data.store.run_record import NAME as RUN

if TYPE_CHECKING:
    from openr_data.prm.train import TrainResult


_LATER = frozenset({"rounds", "go_on"})
"""What may change when a loop goes on: how long it does."""


@dataclass(frozen=True, slots=True)
class LoopListeners:
    """`on_stage` is told the round and the name of what begins; the others hear of what goes on within."""

    on_stage: Callable[[int, str], None] = lambda *_: None
    on_round: Callable[[RoundManifest], None] = lambda _: None
    prm: PRMListeners = field(default_factory=PRMListeners)
    rl: RLListeners = field(default_factory=RLListeners)


def run_loop(
    config: LoopConfig, out: Path, limits: EngineLimits, listeners: LoopListeners, *, resume: bool = False, threads: int = 0
) -> list[RoundManifest]:
    """The manifests of all rounds. The policy of round r is `out/round-r/policy`, its process reward model `out/round-r/prm`;
    `out/rounds.png` shows all of them.

    Raises what its stages do, and `UsageError` and `RunDirError` for a directory of something else.
    """
    config = config.checked()
    told = {name: value for name, value in config.plain().items() if name not in _LATER}
    body = {"loop": told, "policy": model_digest(model_folder(config.engine))}
    loop = _Loop(config, out, limits, listeners, threads)  # reads the questions, before anything is written
    begin(out, body, resume=resume)
    with DirectoryLock(out):
        return loop.go()


_LEARNING = 500
"""Added to the number of a round: the questions that the policy learns from are not those whose solutions were labelled."""


class _Loop:
    def __init__(self, config: LoopConfig, out: Path, limits: EngineLimits, listeners: LoopListeners, threads: int) -> None:
        self.config, self.out, self.limits, self.listeners, self.threads = config, out, limits, listeners, threads
        chosen_by = {each.question for each in usable_problems(config.held_out, grades_itself)}
        self._problems = [each for each in usable_problems(config.confirming, grades_itself) if each.question not in chosen_by]
        if not self._problems:
            raise UsageError("--confirming has no question that --held-out has not: what chooses a policy cannot confirm it")

    def go(self) -> list[RoundManifest]:
        found: list[RoundManifest] = []
        policy, before = self.config.engine, None
        for number in range(1, self.config.rounds + 1):
            folder = self.out / f"round-{number}"
            if (folder / MANIFEST).is_file():
                found.append(RoundManifest.load(folder))
            else:
                before = before or self._measured(number, policy)
                manifest, before = self._round(number, folder, policy, before)
                found.append(manifest)
            write_bytes(self.out / FIGURE, figure_of(found).png)
            self.listeners.on_round(found[-1])
            policy = replace(policy, engine="transformers", model=str(folder / "policy"), revision="")
            if not found[-1].gained and not self.config.go_on:
                break
        return found

    def _round(self, number: int, folder: Path, policy: EngineSpec, before: Measured) -> tuple[RoundManifest, Measured]:
        folder.mkdir(exist_ok=True)
        solutions, labels = self._solutions(number, folder, policy), self._labels(number, folder, policy)
        trained = self._prm(number, folder, policy)
        learnt = self._policy(number, folder, policy)
        after = self._measured(number, replace(policy, engine="transformers", model=str(folder / "policy"), revision=""))
        seed = self.config.seed
        manifest = RoundManifest(
            round=number,
            policy_in=model_digest(model_folder(policy)),
            policy_out=model_digest(folder / "policy"),
            prm=model_digest(folder / "prm"),
            tokens={
                "solutions": int(solutions.totals["tokens"]),
                "labels": int(labels.totals["tokens"]),
                "learning": learnt.tokens,
                "measuring": (before.tokens if number == 1 else 0) + learnt.evaluation_tokens + after.tokens,
            },
            seconds={
                "data": solutions.totals["seconds"] + labels.totals["seconds"],
                "prm": trained.seconds,
                "learning": learnt.seconds,
            },
            labelled=labels.rows.get("labeled", 0),
            auroc=trained.auroc,
            ece=trained.ece,
            greedy_before=accuracy(before.greedy, seed),
            greedy_after=accuracy(after.greedy, seed),
            greedy_gain=paired_gain(before.greedy, after.greedy, seed),
            sampled_before=accuracy(before.sampled, seed),
            sampled_after=accuracy(after.sampled, seed),
            sampled_gain=paired_gain(before.sampled, after.sampled, seed),
            stopped=learnt.stopped,
        )
        manifest.save(folder)
        return manifest, after

    def _source(self, number: int, count: int) -> ProblemSource:
        """Of this round: other questions of the built-in task, the first ones of any other source."""
        source = self.config.source
        if source.location != "builtin":
            return replace(source, limit=min(count, source.limit or count))
        return replace(source, count=count, seed=self.config.seed * 1000 + number, limit=0)

    def _options(self, out: Path) -> RunOptions:
        return RunOptions(out, mode="resume" if (out / RUN).is_file() else "new", limits=self.limits, warn=self.listeners.rl.warn)

    def _solutions(self, number: int, folder: Path, policy: EngineSpec) -> Summary:
        self.listeners.on_stage(number, "solutions")
        source = self._source(number, self.config.questions)
        config = GenerateConfig(source, policy, self.config.sampling, self.config.solutions, self.config.grader)
        return generate(config, self._options(folder / "solutions"))

    def _labels(self, number: int, folder: Path, policy: EngineSpec) -> Summary:
        self.listeners.on_stage(number, "labels")
        source = ProblemSource(str(folder / "solutions"))
        config = LabelRunConfig(source, policy, self.config.sampling, self.config.label, grader=self.config.grader)
        return label(config, self._options(folder / "labels"))

    def _prm(self, number: int, folder: Path, policy: EngineSpec) -> TrainResult:
        self.listeners.on_stage(number, "process reward model")
        base = "builtin" if policy.engine == "builtin" else policy.model
        train = replace(self.config.prm, model=replace(self.config.prm.model, base=base))
        config = PRMRunConfig((SourceSpec(str(folder / "labels")),), train, Splits(0.9, 0.1, 0.0), against=self.config.banned)
        resume = (folder / "prm" / PRM_RECORD).is_file()
        return train_prm(config, folder / "prm", resume=resume, allow_dropped=True, listeners=self.listeners.prm)

    def _policy(self, number: int, folder: Path, policy: EngineSpec) -> Result:
        self.listeners.on_stage(number, "policy")
        loop = self.config
        config = RLConfig(
            source=self._source(_LEARNING + number, loop.teaching.questions * loop.updates),
            held_out=loop.held_out,
            engine=policy,
            teaching=loop.teaching,
            learn=loop.learn,
            guards=loop.guards,
            prm=f"round-{number}/prm",
            grader=loop.grader,
            updates=loop.updates,
            against=loop.banned,
            seed=loop.seed,
        )
        scorer = ScorerSpec(str(folder / "prm"), device=self.limits.device)
        resume = (folder / "policy" / RL_RECORD).is_file()
        asked = Asked(config, loop.sampling, folder / "policy", self.limits, scorer, self.threads, resume)
        return train_policy(asked, self.listeners.rl)

    def _measured(self, number: int, policy: EngineSpec) -> Measured:
        self.listeners.on_stage(number, "measuring")
        loop = self.config
        return asyncio.run(
            measure(
                policy,
                self.limits,
                self._problems,
                grader=loop.grader,
                max_tokens=loop.sampling.max_tokens,
                samples=loop.samples,
                seed=loop.seed,
            )
        )
