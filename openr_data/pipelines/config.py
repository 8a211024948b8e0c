"""One frozen value per run: what its records depend on (saved, compared on resume) and, apart from it, how it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.errors import UsageError
from openr_data.labelers import NEEDED_ENGINE, SECOND_ENGINE, LabelConfig, checked
from openr_data.labelers.verdicts import Truncated, Ungradable
from openr_data.pipelines.parts import Share
from openr_data.pipelines.progress import Report, silent
from openr_data.problems import ProblemSource
from openr_data.types import Sampling

Mode = Literal["new", "resume", "fork"]
GRADER_NAMES = ("math", "exact")
FORMATS = ("parquet", "arrow")


@dataclass(frozen=True, slots=True)
class GenerateConfig:
    """`openr-data generate`: `solutions` samples per problem. `shard_size` counts problems."""

    source: ProblemSource
    engine: EngineSpec
    sampling: Sampling
    solutions: int = 4
    grader: str = "math"
    truncated: Truncated = "unknown"
    ungradable: Ungradable = "unknown"
    shard_size: int = 500
    format: str = "parquet"

    def checked(self) -> GenerateConfig:
        if self.solutions < 1:
            raise UsageError(f"--solutions must be at least 1, not {self.solutions}")
        _check(self.grader, self.truncated, self.ungradable, self.shard_size, self.format, self.sampling)
        return self


@dataclass(frozen=True, slots=True)
class SecondEngine:
    """An engine beside the one that solves, and how it is sampled: a judge, a prover."""

    spec: EngineSpec
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class LabelRunConfig:
    """`openr-data label`: the solutions of a run (`source.location` is its directory) or of a file, labelled by one method.

    `answers` names a second file with the reference answers of questions whose rows have none (`None`: not used). `engines` holds
    the second engine of a method that has one, by its name.
    """

    source: ProblemSource
    engine: EngineSpec
    sampling: Sampling
    label: LabelConfig = field(default_factory=LabelConfig)
    answers: ProblemSource | None = None
    grader: str = "math"
    shard_size: int = 500
    format: str = "parquet"
    engines: Mapping[str, SecondEngine] = field(default_factory=dict)

    def checked(self) -> LabelRunConfig:
        checked(self.label)
        _check(self.grader, self.label.truncated, self.label.ungradable, self.shard_size, self.format, self.sampling)
        self._check_engines()
        return self

    def _check_engines(self) -> None:
        method = self.label.method
        methods = (method, self.label.agree_with) if method == "consensus" else (method,)
        for name, second in self.engines.items():
            if name not in {SECOND_ENGINE.get(each) for each in methods}:
                raise UsageError(f"--{name} says nothing to --method {method}: it has no {name}")
            check_sampling(second.sampling)
        if "pav" in methods and "prover" not in self.engines:
            self.label.check_best_of()
        needed = NEEDED_ENGINE.get(method, "")
        if needed and needed not in self.engines:
            raise UsageError(f"--method {method} needs a {needed}: say with --{needed} or --{needed}-model which engine that is")
        if needed == "judge" and self.label.votes > 1 and self.engines["judge"].sampling.temperature == 0:
            raise UsageError("a judge at temperature 0 votes the same each time: use --votes 1, or a --judge-temperature above 0")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where and how fast: nothing here changes a record. `window` caps the problems at work (0: as the engine needs).

    `second_limits` are the limits of second engines by name (none given: those that an engine has by default). `part` names the
    part of the run that is kept in `out` ("": the whole run), and `share` the items that it is to do (`None`: those it is given).
    """

    out: Path
    mode: Mode = "new"
    fork_of: Path | None = None
    limits: EngineLimits = field(default_factory=EngineLimits)
    second_limits: Mapping[str, EngineLimits] = field(default_factory=dict)
    reuse: tuple[Path, ...] = ()
    window: int = 0
    max_failures: int = 20
    strict: bool = False
    part: str = ""
    share: Share | None = None
    report: Report = silent
    warn: Callable[[str], None] = lambda _: None


def _check(grader: str, truncated: str, ungradable: str, shard_size: int, layout: str, sampling: Sampling) -> None:
    choices = (("--grader", grader, GRADER_NAMES), ("--truncated", truncated, ("unknown", "wrong", "graded")))
    others = (("--ungradable", ungradable, ("unknown", "wrong")), ("--format", layout, FORMATS))
    for name, value, allowed in (*choices, *others):
        if value not in allowed:
            raise UsageError(f"{name} is one of {', '.join(allowed)}, not '{value}'")
    if shard_size < 1:
        raise UsageError(f"--shard-size must be at least 1, not {shard_size}")
    check_sampling(sampling)


def check_sampling(sampling: Sampling) -> None:
    if sampling.temperature < 0 or not 0 < sampling.top_p <= 1 or sampling.top_k < 0 or sampling.max_tokens < 1:
        raise UsageError("sampling needs --temperature >= 0, 0 < --top-p <= 1, --top-k >= 0 and --max-tokens >= 1")
