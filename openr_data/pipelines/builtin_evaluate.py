"""Measures a policy on the built-in task against the oracle: accuracy, where and how it goes wrong, and whether it recovers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openr_data.errors import UsageError
from openr_data.problems.arithmetic import DEFAULT_DIFFICULTY, DIFFICULTIES, arithmetic_problems
from openr_data.problems.oracle import Judgement, judge
from openr_data.steps import StepFormat
from openr_data.types import Problem

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_BATCH = 256
_LINES = StepFormat("\n")


@dataclass(frozen=True, slots=True)
class BuiltinEvaluation:
    """`problems` per difficulty, each solved `samples` times at `temperature` and once greedily."""

    problems: int = 100
    samples: int = 8
    difficulties: tuple[int, ...] = (DEFAULT_DIFFICULTY,)
    temperature: float = 1.0
    seed: int = 20_000
    dtype: str = "float32"
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        if outside := [difficulty for difficulty in self.difficulties if difficulty not in DIFFICULTIES]:
            raise UsageError(f"difficulty {outside[0]} does not lie between {DIFFICULTIES[0]} and {DIFFICULTIES[-1]}")
        if self.dtype not in {"float32", "bfloat16"}:
            raise UsageError(f"the dtype must be float32 or bfloat16, not '{self.dtype}'")


@dataclass(frozen=True, slots=True)
class DifficultyReport:
    """One difficulty. Shares lie between 0 and 1, and are `None` where nothing could be counted.

    `pass_at` is the share of problems with a right answer among all samples. `lines`, `first_errors` and `kinds` count sampled
    solutions by their number of lines, by the 0-based line of the first local error (-1: none) and by its kind. `recovered` is
    the share of sampled solutions that were off track and end right, `recovered_of_wrong` the same among those that were off
    track, `answer_despite_error` the share with a local error that end right, whether it mattered or not. `wait_after_wrong`
    and `wait_after_right` are the shares of such lines that are followed by a revision; `waits` holds the counts behind them,
    by kind of the line before (`right` or an error): revisions, and lines that something follows.
    """

    difficulty: int
    solutions: int
    accuracy: float
    pass_at: float
    greedy: float
    lines: Mapping[int, int]
    first_errors: Mapping[int, int]
    kinds: Mapping[str, int]
    step_accuracy: float
    recovered: float
    recovered_of_wrong: float | None
    wait_after_wrong: float | None
    wait_after_right: float | None
    answer_despite_error: float
    waits: Mapping[str, tuple[int, int]]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def evaluate_builtin(
    config: BuiltinEvaluation, model_dir: Path, on_progress: Callable[[DifficultyReport], None] = lambda _: None
) -> tuple[DifficultyReport, ...]:
    """One report per difficulty, in the order asked for. `on_progress` is called with each as it is done."""
    import torch

    torch.set_num_threads(config.threads)
    model, tokenizer = _load(config, model_dir)
    reports = []
    for difficulty in config.difficulties:
        problems = list(arithmetic_problems(config.problems, difficulty, config.seed))
        reports.append(_evaluate(config, model, tokenizer, difficulty, problems))
        on_progress(reports[-1])
    return tuple(reports)


def _load(config: BuiltinEvaluation, model_dir: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    if not (model_dir / "config.json").is_file():
        raise UsageError(f"there is no model in {model_dir}; name a folder with config.json and model.safetensors")
    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=getattr(torch, config.dtype)).eval()
    torch.nn.Module.to(model, config.device)  # the method of transformers is typed as a plain function
    return model, AutoTokenizer.from_pretrained(model_dir)


def _evaluate(
    config: BuiltinEvaluation,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    difficulty: int,
    problems: Sequence[Problem],
) -> DifficultyReport:
    repeated = [problem for problem in problems for _ in range(config.samples)]
    sampled = _solve(config, model, tokenizer, repeated, config.temperature)
    greedy = _solve(config, model, tokenizer, problems, 0.0)
    groups = [sampled[start : start + config.samples] for start in range(0, len(sampled), config.samples)]
    return report(difficulty, groups, greedy)


def _solve(
    config: BuiltinEvaluation,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    problems: Sequence[Problem],
    temperature: float,
) -> list[Judgement]:
    import torch

    from openr_data.pipelines.builtin_sample import sample_texts

    generator = torch.Generator(config.device).manual_seed(config.seed)
    judged = []
    for start in range(0, len(problems), _BATCH):
        part = problems[start : start + _BATCH]
        prompts = [problem.question + "\n" for problem in part]
        drawn = sample_texts(model, tokenizer, prompts, temperature=temperature, generator=generator)
        judged += [judge(problem.question, _LINES.split(each.text)) for problem, each in zip(part, drawn, strict=True)]
    return judged


def report(difficulty: int, groups: Sequence[Sequence[Judgement]], greedy: Sequence[Judgement]) -> DifficultyReport:
    """The figures of one difficulty; `groups` holds the sampled solutions of one problem each."""
    sampled = [judged for group in groups for judged in group]
    off_track = [judged for judged in sampled if False in judged.states]
    waits = _waits(sampled)
    wrong = [count for kind, count in waits.items() if kind != "right"]
    return DifficultyReport(
        difficulty=difficulty,
        solutions=len(sampled),
        accuracy=_share([judged.right for judged in sampled]) or 0.0,
        pass_at=_share([any(judged.right for judged in group) for group in groups]) or 0.0,
        greedy=_share([judged.right for judged in greedy]) or 0.0,
        lines=_counts(len(judged.kinds) for judged in sampled),
        first_errors=_counts(judged.first_error for judged in sampled),
        kinds=dict(Counter(judged.kind for judged in sampled if judged.kind).most_common()),
        step_accuracy=_share([kind is None for judged in sampled for kind in judged.kinds]) or 0.0,
        recovered=_share([judged.recovered for judged in sampled]) or 0.0,
        recovered_of_wrong=_share([judged.right for judged in off_track]),
        wait_after_wrong=_ratio(wrong),
        wait_after_right=_ratio([waits["right"]] if "right" in waits else []),
        answer_despite_error=_share([judged.right and judged.kind is not None for judged in sampled]) or 0.0,
        waits=waits,
    )


def _waits(sampled: Sequence[Judgement]) -> dict[str, tuple[int, int]]:
    """By kind of a line that something follows: how often that is a revision, out of how many."""
    lines: Counter[str] = Counter()
    revised: Counter[str] = Counter()
    for judged in sampled:
        for kind, revision in zip(judged.kinds, judged.revisions[1:], strict=False):
            lines[kind or "right"] += 1
            revised[kind or "right"] += revision
    return {kind: (revised[kind], count) for kind, count in lines.most_common()}


def _ratio(counts: Sequence[tuple[int, int]]) -> float | None:
    total = sum(count for _, count in counts)
    return sum(part for part, _ in counts) / total if total else None


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _counts(values: Iterable[int]) -> dict[int, int]:
    return dict(sorted(Counter(values).items()))


def markdown_table(reports: Sequence[DifficultyReport]) -> str:
    """The reports as a table, one row per difficulty."""
    head = (
        "operations",
        "right at T",
        "pass@n",
        "greedy",
        "right lines",
        "recovered",
        "P(wait given wrong)",
        "P(wait given right)",
    )
    rows = [
        (r.difficulty, r.accuracy, r.pass_at, r.greedy, r.step_accuracy, r.recovered, r.wait_after_wrong, r.wait_after_right)
        for r in reports
    ]
    lines = [head, tuple("---" for _ in head), *(tuple(_cell(value) for value in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: float | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"
