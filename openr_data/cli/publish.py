"""`openr-data publish`: a data set goes to the Hub, or to a folder, as one version."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from openr_data.cli import options
from openr_data.cli.console import err, print_json, warn
from openr_data.cli.console import out as console
from openr_data.cli.options.publishing import HUB, Branch, Message, Public, PublishDryRun, To, VersionTag
from openr_data.cli.progress import INTERVAL
from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.pipelines.publishing.folder import FolderTarget
    from openr_data.pipelines.publishing.hub import HubTarget
    from openr_data.pipelines.publishing.types import Published, Sending

_DATA = "Data"
_SIGNS = {"new": "+", "changed": "~", "same": "=", "removed": "-"}


def publish(
    path: Annotated[Path, typer.Argument(help="A finished run, or a folder that `export` wrote.", show_default=False)],
    repo: Annotated[
        str, typer.Option("--repo", help="Data set repository on the Hub, OWNER/NAME.", show_default=False, rich_help_panel=HUB)
    ] = "",
    to: To = "",
    public: Public = False,
    revision: Branch = "main",
    tag: VersionTag = "",
    message: Message = "",
    splits: Annotated[
        str,
        typer.Option("--splits", help="Percent of questions in train/validation/test; 100: all in train.", rich_help_panel=_DATA),
    ] = "90/5/5",
    file_size: Annotated[str, typer.Option("--max-file-size", help="Largest Parquet file.", rich_help_panel=_DATA)] = "500MB",
    into_existing: Annotated[
        bool,
        typer.Option("--into-existing", help="Also where something else is, or our files were changed by hand: add to it."),
    ] = False,
    dry_run: PublishDryRun = False,
    as_json: options.Json = False,
) -> None:
    """Publish a finished run as a data set: split by question, with its card, in one commit.

    The repository is made private unless --public is given. The token is that of HF_TOKEN or of `hf auth login`; it needs
    permission to write. Whatever goes wrong, readers see the old version or the new one, and the same command continues: what has
    arrived is not sent again. Publishing the same data again changes nothing.

    Text that people have written into the README.md of the repository stays. Exits with 8 where the Hub refuses.
    """
    from openr_data.hub.retry import Patience
    from openr_data.pipelines.publishing.publish import PublishOptions, publish
    from openr_data.pipelines.publishing.source import Cut, parse_size
    from openr_data.pipelines.splits import parse_splits

    target = _target(repo, to, public=public, revision=revision, tag=tag, into_existing=into_existing)
    cut = Cut(parse_splits(splits), parse_size(file_size))
    with sending_shown(quiet=dry_run) as sending:
        attempts = 2 if dry_run else 6
        how = PublishOptions(cut, message, dry_run, patience=Patience(attempts, note=warn), sending=sending)
        published = publish(path, target, how)
    if as_json:
        print_json(published.plain())
    else:
        show_published(published)


def _target(repo: str, to: str, *, public: bool, revision: str, tag: str, into_existing: bool) -> HubTarget | FolderTarget:
    from openr_data.pipelines.publishing.folder import FolderTarget
    from openr_data.pipelines.publishing.hub import HubTarget

    if bool(repo) == bool(to):
        raise UsageError("say where to publish: --repo OWNER/NAME for the Hub, or --to FOLDER")
    if to and (public or tag or revision != "main"):
        raise UsageError("--public, --revision and --tag are for --repo; a folder has none of them")
    return HubTarget(repo, public, revision, tag, into_existing).checked() if repo else FolderTarget(to, into_existing)


def show_published(published: Published) -> None:
    """Every file of a dry run, then what went where."""
    counts = {kind: sum(change.kind == kind for change in published.changes) for kind in _SIGNS}
    if published.status == "dry run":
        for change in published.changes:
            console.print(f"{_SIGNS[change.kind]} {_size(change.size):>10}  {change.path}", markup=False, soft_wrap=True)
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    rows = ", ".join(f"{name} {sum(parts.values()):,} ({_parts(parts)})" for name, parts in published.rows.items() if parts)
    lines = [("place", published.place), ("status", published.status), ("files", f"{told}; {_size(published.sent)} to send")]
    lines += [("rows", rows)] if rows else []
    lines += [("seen by", "those you let in (private)" if published.private else "everyone (public)")] * (
        published.private is not None
    )
    lines += [(name, value) for name, value in (("commit", published.commit), ("tag", published.tag)) if value]
    for name, value in lines:
        console.print(f"{name:<10} {value}", markup=False, soft_wrap=True)
    for note in published.notes:
        warn(note)


def _parts(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {rows:,}" for split, rows in parts.items())


def _size(size: int) -> str:
    """A size as a person reads it.

    >>> _size(999), _size(14_257), _size(500_000_000)
    ('999 B', '14.3 kB', '500.0 MB')
    """
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


@contextmanager
def sending_shown(*, quiet: bool) -> Iterator[Sending]:
    """How bytes travel: a bar on a terminal, JSON lines for programs, both on standard error."""
    if quiet:
        yield lambda *_: None
    elif err.is_terminal:
        with _bar() as sending:
            yield sending
    else:
        yield _json_lines()


@contextmanager
def _bar() -> Iterator[Sending]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=err, expand=True) as bar:

        def sending(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for task in tasks.values():
                    bar.remove_task(task)
                tasks.clear()
                tasks[what] = bar.add_task(what, total=None)
            bar.update(tasks[what], completed=done, total=total or None)

        yield sending


def _json_lines() -> Sending:
    last = 0.0

    def sending(what: str, done: int, total: int) -> None:
        nonlocal last
        if done < total and time.monotonic() - last < INTERVAL:
            return
        last = time.monotonic()
        sys.stderr.write(json.dumps({"event": "progress", "stage": what, "bytes": done, "total": total}) + "\n")
        sys.stderr.flush()

    return sending
