"""The run directory and how the run goes: nothing here but shard size and format touches what is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.engines import EngineLimits
    from openr_data.pipelines.config import Mode, RunOptions

_PANEL = "Run"


@dataclass(frozen=True, slots=True)
class RunningOptions:
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.", rich_help_panel=_PANEL)] = False
    fork: Annotated[
        Path | None,
        typer.Option("--fork", help="Start from a copy of this run: its completions are reused.", rich_help_panel=_PANEL),
    ] = None
    reuse: Annotated[
        list[Path] | None,
        typer.Option("--reuse", help="Another run whose completions answer equal requests (repeatable).", rich_help_panel=_PANEL),
    ] = None
    shard_size: Annotated[int, typer.Option("--shard-size", min=1, help="Problems per shard.", rich_help_panel=_PANEL)] = 500
    format: Annotated[
        str, typer.Option("--format", help="parquet, or arrow to add `load_from_disk` data sets.", rich_help_panel=_PANEL)
    ] = "parquet"
    in_flight: Annotated[
        int,
        typer.Option("--in-flight", min=0, help="Most problems at work (0: as the engine needs).", rich_help_panel=_PANEL),
    ] = 0
    max_failures: Annotated[
        int, typer.Option("--max-failures", min=0, help="Problems that may fail before the run stops.", rich_help_panel=_PANEL)
    ] = 20
    shard: Annotated[
        str,
        typer.Option(
            "--shard",
            help="i/n: do every n-th problem, from the i-th on, into a part at --out; see merge.",
            rich_help_panel=_PANEL,
        ),
    ] = ""
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first row that cannot be used.", rich_help_panel=_PANEL)
    ] = False

    def options(self, out: Path, limits: EngineLimits) -> RunOptions:
        from openr_data.pipelines.config import RunOptions
        from openr_data.pipelines.parts import Share

        share = Share.parse(self.shard) if self.shard else None
        return RunOptions(
            out=out,
            mode=self._mode(),
            fork_of=self.fork,
            limits=limits,
            reuse=tuple(self.reuse or ()),
            window=self.in_flight,
            max_failures=self.max_failures,
            strict=self.strict,
            part=str(share or ""),
            share=share,
        )

    def _mode(self) -> Mode:
        if self.resume and self.fork:
            raise UsageError("use --resume to continue a run or --fork to start from a copy of one, not both")
        return "resume" if self.resume else "fork" if self.fork else "new"
