"""The disk fails at every single step in turn: the run ends with one sentence, and resuming it gives the same bytes."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from store_runs import data_digests, write_run

from openr_data.errors import StorageError
from openr_data.store.run_record import RunRecord
from openr_data.store.verify import verify_run

ITEMS = 6


@contextmanager
def failing_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The `step`-th sync, rename or removal of a file raises ENOSPC, and every later one too: a full disk stays full."""
    calls = [0]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] >= step:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", counted(os.fsync))
        patch.setattr(Path, "replace", counted(Path.replace))
        yield calls


def test_a_disk_that_fills_up_at_any_step_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path / "whole", range(ITEMS), total=ITEMS)
    with failing_at(10**9, monkeypatch) as calls:
        write_run(tmp_path / "counted", range(ITEMS), total=ITEMS)
    assert calls[0] > 30
    for step in range(1, calls[0] + 1, 5):
        path = tmp_path / str(step)
        with failing_at(step, monkeypatch), pytest.raises(StorageError, match="--resume"):
            write_run(path, range(ITEMS), total=ITEMS)
        write_run(path, range(ITEMS), total=ITEMS, mode="resume")
        assert data_digests(path) == data_digests(tmp_path / "whole"), step
        assert RunRecord.load(path).status == "finished"
        assert verify_run(path).whole
