"""`openr-data prm critic`: a language model judges ProcessBench, for comparison with process reward models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json, warn

if TYPE_CHECKING:
    from openr_data.engines import EngineSpec
    from openr_data.pipelines.prm.evaluation.processbench_report import ProcessBenchReport
    from openr_data.types import Sampling

_FILES = "Files of ProcessBench (processbench_gsm8k.json, ...), or Qwen/ProcessBench on the Hub."
_ENGINE, _SAMPLING, _RUN = "Engine", "Sampling", "Run"
_SMALL = frozenset({"builtin", "scripted"})


@dataclass(frozen=True, slots=True)
class CriticEngine(options.EngineOptions):
    """A critic speaks in a chat, and its prompt is the whole of what it is asked."""

    template: Annotated[
        str, typer.Option("--template", help="Prompt template around the critique's.", rich_help_panel=_ENGINE)
    ] = "bare"
    api: Annotated[str, typer.Option("--api", help="chat or completions (openai engine).", rich_help_panel=_ENGINE)] = "chat"

    def critic(self) -> EngineSpec:
        """Small and scripted engines know one prompt only."""
        spec = self.spec()
        return replace(spec, template="auto") if spec.engine in _SMALL and self.template == "bare" else spec


@dataclass(frozen=True, slots=True)
class CriticSampling:
    """What is not said is the authors'."""

    temperature: Annotated[
        float | None,
        typer.Option("--temperature", "-t", min=0.0, help="Default: 0; of votes 1.", rich_help_panel=_SAMPLING),
    ] = None
    top_p: Annotated[
        float | None, typer.Option("--top-p", min=0.0, max=1.0, help="Default: 1; of votes 0.9.", rich_help_panel=_SAMPLING)
    ] = None
    top_k: Annotated[int, typer.Option("--top-k", min=0, help="0 switches it off.", rich_help_panel=_SAMPLING)] = 0
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Tokens per answer.", rich_help_panel=_SAMPLING)] = 8192
    seed: Annotated[int, typer.Option("--seed", help="Seed of the answers.", rich_help_panel=_SAMPLING)] = 42

    def sampling(self, votes: int) -> Sampling:
        from openr_data.pipelines.prm.evaluation.critics import published_sampling

        base = published_sampling(votes, self.seed)
        return replace(
            base,
            temperature=base.temperature if self.temperature is None else self.temperature,
            top_p=base.top_p if self.top_p is None else self.top_p,
            top_k=self.top_k,
            max_tokens=self.max_tokens,
        )


@options.grouped
def critic(
    files: Annotated[list[str], typer.Argument(help=_FILES, show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.", show_default=False, rich_help_panel=_RUN)],
    *,
    votes: Annotated[
        int, typer.Option("--votes", min=1, help="Answers per case; the most frequent one counts.", rich_help_panel=_SAMPLING)
    ] = 1,
    engine: CriticEngine,
    sampling: CriticSampling,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the one in --out.", rich_help_panel=_RUN)] = False,
    in_flight: Annotated[
        int, typer.Option("--in-flight", min=0, help="Most cases at work (0: as the engine needs).", rich_help_panel=_RUN)
    ] = 0,
    max_failures: Annotated[
        int, typer.Option("--max-failures", min=0, help="Cases that the engine may lose before it stops.", rich_help_panel=_RUN)
    ] = 20,
    beside: Annotated[
        list[Path] | None,
        typer.Option("--beside", help="processbench.json of others, for one table (repeatable).", rich_help_panel=_RUN),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Judge ProcessBench with a language model as a critic, exactly as its authors do: their prompt, their reading of answers.

    One greedy answer per case, or a vote of --votes answers. Answers are kept as they come, so that --resume pays nothing twice.

    openr-data prm critic processbench_*.json --engine openai --base-url http://127.0.0.1:8000/v1 --votes 8 --out critics/qwen
    """
    from openr_data.cli.progress import progress
    from openr_data.pipelines.prm.evaluation.critics import CriticConfig, CriticOptions, processbench_critic
    from openr_data.pipelines.prm.evaluation.processbench import read_report

    config = CriticConfig(tuple(files), engine.critic(), sampling.sampling(votes), votes).checked()
    others = [read_report(path) for path in beside or ()]
    with progress() as report:
        running = CriticOptions(out, resume, engine.limits(), in_flight, max_failures, report, warn)
        found = processbench_critic(config, running)
    if as_json:
        print_json({"out": str(out), **found.as_json(), "beside": [each.as_json() for each in others]})
    else:
        _show(found, others)


def _show(found: ProcessBenchReport, others: list[ProcessBenchReport]) -> None:
    from openr_data.cli.report import section_table
    from openr_data.pipelines.prm.evaluation.processbench_report import side_by_side

    for section in [*found.sections(), *([side_by_side([found, *others])] if others else [])]:
        console.print(section_table(section))
        if section.note:
            console.print(section.note, style="dim", markup=False)
        console.print()
