"""Language models as critics on ProcessBench: any engine, asked and read as the benchmark's authors do (`openr_data.prm.critic`).

Every answer is in a journal before it counts, so a killed evaluation pays nothing twice, and `--resume` asks for what is missing.
A case that the engine could not do is none that the critic got wrong: it is asked again by the next attempt, and until then it
has no prediction, with its reason.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from openr_data.engines import EngineLimits, EngineSpec, LoadedEngine
from openr_data.engines.open import open_engine
from openr_data.errors import ContextOverflow, EngineError, Interrupted, RunDirError, TooManyFailures, UsageError
from openr_data.pipelines.prm.evaluation.processbench import results, write_report
from openr_data.pipelines.prm.evaluation.processbench_files import (
    Case,
    digests,
    prepare_folder,
    read_cases,
    write_predictions,
)
from openr_data.pipelines.prm.evaluation.processbench_report import ProcessBenchReport
from openr_data.pipelines.progress import Report, Snapshot, silent
from openr_data.pipelines.recording import RecordingEngine
from openr_data.pipelines.runner import interruptible, run_each
from openr_data.pipelines.scheduler import Gate
from openr_data.prm.critic import critique, critique_prompt
from openr_data.store.atomic import read_checked_json, storage_errors, write_checked_json
from openr_data.store.journal import Journal
from openr_data.store.lock import DirectoryLock
from openr_data.store.opening import JOURNAL
from openr_data.store.run_record import differences
from openr_data.types import Completion, Sampling

NAME = "critic.json"
"""What the answers in the folder's journal were asked with."""

STAGE = "critic"
TICK = 0.5
_STOPPING = "stopping: what is in flight is finished first; press Ctrl-C again to stop at once"


@dataclass(frozen=True, slots=True)
class CriticConfig:
    """Everything that the predictions depend on. One vote is an answer; several are counted."""

    files: tuple[str, ...]
    engine: EngineSpec
    sampling: Sampling
    votes: int = 1

    def checked(self) -> CriticConfig:
        sampling = self.sampling
        if self.votes < 1:
            raise UsageError(f"--votes must be at least 1, not {self.votes}")
        if self.votes > 1 and sampling.temperature == 0:
            raise UsageError("a critic at temperature 0 votes the same each time: use --votes 1, or a --temperature above 0")
        if sampling.temperature < 0 or not 0 < sampling.top_p <= 1 or sampling.top_k < 0 or sampling.max_tokens < 1:
            raise UsageError("sampling needs --temperature >= 0, 0 < --top-p <= 1, --top-k >= 0 and --max-tokens >= 1")
        return self


@dataclass(frozen=True, slots=True)
class CriticOptions:
    """Where and how fast. `window` caps the cases at work (0: as the engine needs); so many cases may fail in the engine."""

    out: Path
    resume: bool = False
    limits: EngineLimits = field(default_factory=EngineLimits)
    window: int = 0
    max_failures: int = 20
    report: Report = silent
    warn: Callable[[str], None] = lambda _: None


def published_sampling(votes: int, seed: int = 42) -> Sampling:
    """How the authors' `run_eval.py` samples: greedily, or for a vote at temperature 1 with top-p 0.9; 8,192 tokens, seed 42.

    (Qwen2.5-Math models voted at temperature 0.7, top-p 0.8 and top-k 20, and QwQ had 32,768 tokens.)
    """
    return Sampling(0.0, 8192, seed) if votes == 1 else Sampling(1.0, 8192, seed, top_p=0.9)


def processbench_critic(config: CriticConfig, options: CriticOptions) -> ProcessBenchReport:
    """Judges every case and writes the authors' files and `processbench.json` when all are done.

    Raises an `OpenRDataError` for whatever a user can act on; answers that were paid for stay in the folder.
    """
    try:
        return asyncio.run(_run(config.checked(), options))
    except asyncio.CancelledError:
        raise Interrupted("stopped; the answers so far are on disk, run again with --resume to go on") from None


async def _run(config: CriticConfig, options: CriticOptions) -> ProcessBenchReport:
    cases = read_cases(config.files)
    _check_folder(options)
    async with (
        interruptible(partial(options.warn, _STOPPING)) as stop,
        open_engine(config.engine, options.limits) as engine,
        _open_journal(options.out, _identity(config, engine, cases)) as journal,
    ):
        critics = _Critics(config, options, cases, RecordingEngine(engine, journal))
        await critics.go(stop)
        totals = await journal.totals()
        paid = {"answers": f"{totals.completions:,}", "tokens": f"{totals.tokens:,}"}
        return critics.finish({**_settings(config, engine), **paid})


def _check_folder(options: CriticOptions) -> None:
    """Before an engine is opened."""
    if not options.resume:
        if (options.out / NAME).exists():
            raise RunDirError(f"{options.out} already holds answers of a critic; --resume continues, or choose another folder")
        prepare_folder(options.out)
    with storage_errors(options.out):
        options.out.mkdir(parents=True, exist_ok=True)


def _identity(config: CriticConfig, engine: LoadedEngine, cases: Sequence[Case]) -> dict[str, Any]:
    sampling = {**asdict(config.sampling), "stop": list(config.sampling.stop)}
    return {"engine": engine.identity, "template": engine.template.name, "votes": config.votes, "sampling": sampling} | {
        "cases": digests(cases)
    }


@asynccontextmanager
async def _open_journal(out: Path, identity: Mapping[str, Any]) -> AsyncIterator[Journal]:
    """Under the folder's lock. Raises `RunDirError` where its answers were asked for differently, naming the fields."""
    with DirectoryLock(out):
        if (out / NAME).exists():
            changes = [
                f"{name} ({old!r}, now {new!r})" for name, old, new in differences(read_checked_json(out / NAME), identity)
            ]
            if changes:
                raise RunDirError(f"{out} was written by a different critic: {'; '.join(changes)}; choose another folder")
        else:
            write_checked_json(out / NAME, identity)
        journal = Journal(out / JOURNAL).open()
        try:
            yield journal
        finally:
            await journal.close()


def _settings(config: CriticConfig, engine: LoadedEngine) -> dict[str, str]:
    sampling = config.sampling
    drawn = f"temperature {sampling.temperature:g}, top-p {sampling.top_p:g}, top-k {sampling.top_k}"
    return {
        "engine": engine.identity,
        "template": engine.template.name,
        "votes": f"{config.votes}" + (", majority" if config.votes > 1 else ""),
        "sampling": f"{drawn}, {sampling.max_tokens:,} tokens, seed {sampling.seed}",
    }


@dataclass(frozen=True, slots=True)
class _Answer:
    """Of one case: the answers, or why there are none."""

    texts: tuple[str, ...] = ()
    cut: int = 0
    reason: str = ""


class _Critics:
    """The cases at work side by side, and what has come of them."""

    def __init__(self, config: CriticConfig, options: CriticOptions, cases: Sequence[Case], engine: RecordingEngine) -> None:
        self._config, self._options, self._cases, self._engine = config, options, cases, engine
        self._gate = Gate(engine.scheduler, most=options.window)
        self._answers: dict[int, _Answer] = {}
        self._failed = 0
        self._began = time.monotonic()

    async def go(self, stop: asyncio.Event) -> None:
        """Raises what ends the evaluation: an engine that cannot go on, too many failures, `Interrupted`."""
        ticker = asyncio.create_task(self._tick())
        try:
            await run_each(self._opened(), self._one, room=self._gate.room, stop=stop)
        finally:
            ticker.cancel()
        done = len(self._answers)
        self._tell(final=done == len(self._cases), stopped=done < len(self._cases))
        if done < len(self._cases):
            raise Interrupted(f"stopped after {done} of {len(self._cases)} cases; --resume continues")

    def _opened(self) -> Iterator[int]:
        """Each case counts as open before its work begins, which is a little later."""
        for number in range(len(self._cases)):
            self._gate.opened(number)
            yield number

    async def _one(self, number: int) -> None:
        case = self._cases[number]
        try:
            drawn = await self._engine.for_item(number).sample(
                critique_prompt(case.problem, case.steps), (), n=self._config.votes, sampling=self._config.sampling
            )
            self._answers[number] = self._read(drawn)
        except ContextOverflow as error:
            self._answers[number] = _Answer(reason=str(error))
        except EngineError as error:
            if not error.retryable:
                raise
            self._answers[number] = self._failure(str(error))
        finally:
            self._gate.closed(number)

    def _read(self, drawn: Sequence[Completion]) -> _Answer:
        """Answers cut by the token limit are read like all others, as the authors do."""
        if lost := sum(each.finish_reason == "error" for each in drawn):
            return self._failure(f"{lost} of {len(drawn)} answers were lost")
        return _Answer(tuple(each.text for each in drawn), sum(each.finish_reason == "length" for each in drawn))

    def _failure(self, reason: str) -> _Answer:
        self._failed += 1
        if self._failed > self._options.max_failures:
            raise TooManyFailures(f"{self._failed} cases failed, the last one so: {reason}; --resume asks for them again")
        return _Answer(reason=f"engine: {reason}")

    def finish(self, settings: Mapping[str, str]) -> ProcessBenchReport:
        """Counts, and writes the files."""
        answers = [self._answers[number] for number in range(len(self._cases))]
        if self._failed == len(answers):
            raise TooManyFailures(f"no case could be judged: {answers[-1].reason}; --resume asks again")
        found = [critique(answer.texts, len(case.steps)) for case, answer in zip(self._cases, answers, strict=True)]
        reasons = [answer.reason or each.reason for answer, each in zip(answers, found, strict=True)]
        rows = [
            {**self._written(answer), "prediction": each.prediction, "match": each.prediction == case.label, "reason": reason}
            for case, answer, each, reason in zip(self._cases, answers, found, reasons, strict=True)
        ]
        subsets = results(self._cases, [each.step for each in found], reasons)
        told = {**settings, "answers cut by the token limit": f"{sum(each.cut for each in answers):,}"}
        report = ProcessBenchReport.of_subsets(self._name, "critic", subsets, settings=told)
        write_predictions(self._options.out, list(zip(self._cases, rows, strict=True)))
        write_report(self._options.out, report)
        return report

    @property
    def _name(self) -> str:
        spec = self._config.engine
        return (spec.model or spec.engine) + (f", {self._config.votes} votes" if self._config.votes > 1 else "")

    def _written(self, answer: _Answer) -> dict[str, object]:
        """As the authors write it: one text, or a list of votes."""
        texts = list(answer.texts)
        return {"generated_critique": texts if self._config.votes > 1 else "".join(texts)}

    async def _tick(self) -> None:
        while True:
            self._tell()
            await asyncio.sleep(TICK)

    def _tell(self, *, final: bool = False, stopped: bool = False) -> None:
        tally = self._engine.tally
        self._options.report(
            Snapshot(
                stage=STAGE,
                done=len(self._answers) - self._failed,
                total=len(self._cases),
                tokens=tally.tokens,
                completions=tally.completions,
                reused=tally.reused,
                rejected=0,
                failed=self._failed,
                seconds=time.monotonic() - self._began,
                final=final,
                stopped=stopped,
            )
        )
