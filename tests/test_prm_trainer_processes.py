"""Two processes take the steps of one: data parallelism over gloo, on the CPU."""

from __future__ import annotations

import multiprocessing
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from prm_training import furthest, losses, rows, run, weights

from openr_data.prm.checkpoints import WORK
from openr_data.prm.train_config import TrainConfig

CONFIG = TrainConfig(batch=8, epochs=2, rate=1e-2, positive_weight=0, batch_tokens=40, evaluate_every=3, device="cpu")
"""Of 21 rows: three steps an epoch, the last of five rows, cut into parts of which one process has more than the other."""


def _process(rank: int, port: int, folder: Path) -> None:
    settings = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in settings.items()})
    run(folder / "two", Dataset.from_file(str(folder / "rows.arrow")), CONFIG)


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    found = rows(tmp_path, 21)
    one = run(tmp_path / "one", found, CONFIG)
    _start(tmp_path)
    two = run(tmp_path / "two", found, CONFIG, resume=True)
    assert losses(two) == pytest.approx(losses(one), abs=1e-6)
    assert (two.steps, two.tokens) == (one.steps, one.tokens)
    assert (two.auroc, two.ece) == pytest.approx((one.auroc, one.ece), abs=1e-6)
    assert furthest(weights(tmp_path / "one"), weights(tmp_path / "two")) < 1e-4
    assert not (tmp_path / "two" / WORK).exists()


def _start(folder: Path) -> None:
    """One server imports the libraries, and both processes are its forks."""
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["prm_training"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = [context.Process(target=_process, args=(rank, port, folder)) for rank in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join(300)
    assert [each.exitcode for each in both] == [0, 0]
