"""From labelled data sets to a trained process reward model: puts sources, rows, model and trainer together."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from openr_data.errors import OpenRDataError
from openr_data.models.processes import processes
from openr_data.pipelines.prm.collecting import REJECTS, Collected, DataReport, check, collect
from openr_data.pipelines.prm.config import PRMRunConfig
from openr_data.pipelines.prm.contamination import Guard
from openr_data.pipelines.prm.mixing import TRAIN, VALIDATION, Mixture
from openr_data.pipelines.prm.record import NAME as RECORD
from openr_data.pipelines.prm.record import ROWS, PRMRunRecord, check_out
from openr_data.pipelines.prm.sources import LabelledSource, open_source
from openr_data.problems import ProblemSource, input_hash
from openr_data.store.atomic import publish, storage_errors
from openr_data.store.lock import DirectoryLock

if TYPE_CHECKING:
    from openr_data.prm.prepare import Prepared
    from openr_data.prm.progress import Progress
    from openr_data.prm.train import TrainResult

WORK = ".checkpoints"
"""Where the trainer keeps what it needs to go on (`prm.checkpoints`, which loads torch)."""
_PATIENCE = timedelta(hours=24)
"""How long the other processes of a distributed run wait for the rows."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who hears of what: `on_row` of every solution that was read, `on_data` of the data before anything is trained, `warn` of
    what a person should know.
    """

    on_row: Callable[[int], None] = lambda _: None
    on_data: Callable[[DataReport], None] = lambda _: None
    on_progress: Callable[[Progress], None] = lambda _: None
    warn: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Opened:
    """Everything that is known before a row is read. `inputs` are digests by name."""

    sources: Sequence[LabelledSource]
    guard: Guard
    prepared: Prepared
    inputs: Mapping[str, str]


def open_all(config: PRMRunConfig, warn: Callable[[str], None]) -> Opened:
    """Data sets, evaluation sets and the base's tokenizer; raises what they do."""
    from openr_data.models.files import model_digest
    from openr_data.prm.prepare import prepare

    config = config.checked()
    sources = [open_source(spec, config.neutral) for spec in config.sources]
    for source in sources:
        if not source.complete:
            warn(f"{source.spec.shown} is not finished: what is trained on is what it holds so far")
    if not config.against:
        warn("nothing was compared with evaluation sets; --against FILE (repeatable) leaves their questions out")
    guard = Guard(config.against, config.ngram, config.overlap)
    prepared = prepare(config.train.model, config.train.labels)
    inputs = {
        **{source.spec.shown: source.digest for source in sources},
        **{f"against {name}": input_hash(ProblemSource(name)) for name in config.against},
        "base": model_digest(prepared.folder),
    }
    return Opened(sources, guard, prepared, inputs)


def rows_of(config: PRMRunConfig, opened: Opened, folder: Path, on_row: Callable[[int], None]) -> Collected:
    mixture = Mixture(opened.sources, config, opened.guard)
    return collect(mixture, config, opened.prepared.encoder, folder, opened.guard.sizes, on_row)


@contextmanager
def previewed(config: PRMRunConfig, listeners: Listeners = Listeners()) -> Iterator[tuple[Opened, Collected]]:
    """The rows of a training that is not started, in a place that is gone afterwards. Loads no weights and checks nothing."""
    opened = open_all(config, listeners.warn)
    with TemporaryDirectory(prefix="openr-data-") as folder:
        yield opened, rows_of(config, opened, Path(folder), listeners.on_row)


def train_prm(
    config: PRMRunConfig,
    out: Path,
    *,
    resume: bool = False,
    allow_dropped: bool = False,
    listeners: Listeners = Listeners(),
) -> TrainResult:
    """Trains into `out`: the model with its `prm_config.json`, `training.json`, `prm_run.json` and `rejects.jsonl`.

    `resume` goes on exactly where this same training stopped. Rows that do not fit are left out up to one in a hundred, and any
    number of them with `allow_dropped`. In a distributed run every process calls this; the first one reads and writes. Raises
    `UsageError`, `InputError`, `RunDirError` (another configuration, or another process), `EngineError` and `StorageError`, one
    sentence each; what fails before the first checkpoint of a new training leaves nothing in `out`.
    """
    config = config.checked()
    if not is_first():
        return _follow(config, out, resume=resume)
    opened = open_all(config, listeners.warn)
    record = PRMRunRecord.of(config, opened.inputs)
    check_out(out, record, resume=resume)
    made = not out.exists()
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with DirectoryLock(out):
        check_out(out, record, resume=resume)
        try:
            collected = rows_of(config, opened, out / ROWS, listeners.on_row)
            listeners.on_data(collected.report)
            check(collected.report, allow_dropped=allow_dropped)
        except BaseException:
            _withdraw(out, ROWS, made=made)
            raise
        replace(record, data=collected.report.plain()).save(out)
        publish(out / ROWS / REJECTS, out / REJECTS)
        _meet(config)
        rows = (collected.train, collected.validation)
        try:
            found = _trained(config, opened.prepared, rows, out, resume=resume, on_progress=listeners.on_progress)
        except OpenRDataError:
            if not resume and not any((out / WORK).glob("checkpoint-*")):
                _withdraw(out, ROWS, WORK, RECORD, REJECTS, made=made)
            raise
        shutil.rmtree(out / ROWS, ignore_errors=True)
    return found


def is_first() -> bool:
    """Whether this process is the only one of the run, or the one that reads, writes and reports."""
    return processes()[0] == 0


def _withdraw(out: Path, *names: str, made: bool) -> None:
    """Take back what was written, so that the same directory can be asked for again with other options."""
    for path in (out / name for name in names):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if made:
        (out / "lock").unlink(missing_ok=True)
        out.rmdir()


def _follow(config: PRMRunConfig, out: Path, *, resume: bool) -> TrainResult:
    """Another process of a distributed run: the rows are those that the first one wrote."""
    from openr_data.prm.prepare import prepare
    from openr_data.prm.rows import opened as opened_rows

    prepared = prepare(config.train.model, config.train.labels)
    _meet(config)
    train_rows, held_out = (opened_rows(out / ROWS / split) for split in (TRAIN, VALIDATION))
    return _trained(config, prepared, (train_rows, held_out if len(held_out) else None), out, resume=resume)


def _meet(config: PRMRunConfig) -> None:
    """Waits until every process of a distributed run is here; alone, nobody is waited for."""
    if processes()[1] < 2:
        return
    from accelerate import PartialState

    from openr_data.models.devices import choose_device

    on_cpu = choose_device(config.train.device).type == "cpu"
    PartialState(cpu=on_cpu, timeout=_PATIENCE).wait_for_everyone()


def _trained(
    config: PRMRunConfig,
    prepared: Prepared,
    rows: tuple[Any, Any | None],
    out: Path,
    *,
    resume: bool,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> TrainResult:
    import torch

    from openr_data.prm.build import build
    from openr_data.prm.train import train

    torch.manual_seed(config.train.seed)  # of a new head
    model = build(prepared, dtype=torch.float32)
    return train(model, prepared.tokenizer, prepared.config, config.train, *rows, out, resume=resume, on_progress=on_progress)
