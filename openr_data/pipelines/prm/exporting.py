"""Models with another head, and adapters merged: each a new folder, which stands there finished or not at all."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from openr_data.errors import StorageError, UsageError
from openr_data.models.files import model_folder
from openr_data.pipelines.prm.record import NAME as RUN
from openr_data.store.atomic import partial_name, storage_errors, sync_directory, sync_file
from openr_data.store.lock import DirectoryLock

_AGAIN = "do it again"
_RECORDS = ("training.json", RUN, "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt")
"""They go along: how the weights came about is as true of the new folder. A card would describe the old head."""


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """`difference` is the largest change of a step's logit difference on a fixed solution."""

    model: str
    out: str
    layout: str
    head: str
    architecture: str
    dtype: str
    difference: float
    notes: tuple[str, ...]
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class MergeSummary:
    """`weights` is how many matrices the adapter changed."""

    adapter: str
    base: str
    out: str
    head: str
    dtype: str
    weights: int
    bytes: int
    seconds: float


def export_model(model: str, layout: str, out: Path, *, revision: str = "", style: str = "") -> ExportSummary:
    """Raises `UsageError` where `out` is there or the layout cannot hold the model exactly, `InputError` for no PRM."""
    from openr_data.prm.export import export, refuse_unknown
    from openr_data.prm.load import load_prm
    from openr_data.prm.merge import refuse_adapter
    from openr_data.prm.weights import read_model_config

    begun = time.monotonic()
    refuse_unknown(layout)
    refuse_present(out)
    refuse_adapter(Path(model))
    folder = model_folder(model, revision)
    dtype = str(read_model_config(folder).dtype or "float32").removeprefix("torch.")
    prm = load_prm(folder, device="cpu", dtype=dtype, style=style)
    with new_folder(out) as partial:
        done = export(prm, layout, partial)
        _carry(folder, partial)
        size = _bytes(partial)
    seconds = time.monotonic() - begun
    return ExportSummary(model, str(out), layout, done.head, done.architecture, dtype, done.difference, done.notes, size, seconds)


def merge_adapter(adapter: Path, out: Path, *, base: str = "", dtype: str = "float32") -> MergeSummary:
    """Raises `UsageError` where `out` is there, `InputError` for what is no adapter or one of another base."""
    import torch

    from openr_data.models.devices import choose_dtype
    from openr_data.prm.merge import merge

    begun = time.monotonic()
    number_format = choose_dtype(dtype, torch.device("cpu"))
    with new_folder(out) as partial:
        done = merge(adapter, partial, base=base, dtype=number_format)
        _carry(done.record, partial)
        size = _bytes(partial)
    seconds = time.monotonic() - begun
    return MergeSummary(str(adapter), done.base, str(out), done.config.head, dtype, done.weights, size, seconds)


def refuse_present(out: Path) -> None:
    """Raises `UsageError` where there is something at `out`; an empty directory is nothing."""
    if out.is_symlink() or out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UsageError(f"{out} is there already; choose another --out")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder that takes its place at `out` at the end; whatever goes wrong, nothing stays.

    It grows inside a hidden one beside `out`, which what was killed leaves to the next attempt. Raises `UsageError` where there
    is something at `out`, `RunDirError` for a second process, and `StorageError` for a disk that refuses.
    """
    refuse_present(out)
    work = partial_name(out.absolute())
    with storage_errors(out, _AGAIN):
        work.mkdir(parents=True, exist_ok=True)
    with DirectoryLock(work):
        try:
            with storage_errors(out, _AGAIN):
                folder = work / "model"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                yield folder
                _settle(folder, out.absolute())
        except SafetensorError as fault:
            raise StorageError(f"{out} could not be written ({fault}); free the disk and {_AGAIN}") from fault
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _settle(folder: Path, out: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    for path in (*folder.rglob("*"), folder):
        if path.is_file():
            path.chmod(0o666 & ~mask)  # safetensors writes files that only their owner reads
        (sync_directory if path.is_dir() else sync_file)(path)
    folder.rename(out)
    sync_directory(out.parent)


def _carry(source: Path, out: Path) -> None:
    for name in _RECORDS:
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
