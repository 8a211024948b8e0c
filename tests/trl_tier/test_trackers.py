"""A run of the reference trainer that tells a real tracker."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from openr_data.cli import main

pytest.importorskip("tensorboardX", reason="it is installed by `make test-trl` only")


def scalars(file: Path) -> dict[tuple[str, int], float]:
    """Of an event file: lengths, checksums and messages in turn."""
    from tensorboardX.proto.event_pb2 import Event

    body, place, found = file.read_bytes(), 0, {}
    while place < len(body):
        (length,) = struct.unpack_from("<Q", body, place)
        event = Event.FromString(body[place + 12 : place + 12 + length])
        found.update({(each.tag, event.step): each.simple_value for each in event.summary.value})
        place += 16 + length
    return found


def test_tensorboard_hears_of_updates_and_measurements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "rl grpo builtin --count 40 --difficulty 3 --held-out-count 8 --max-tokens 80 --questions 4 --group 4 --updates 2"
    more = f"--evaluate-every 2 --threads 1 --report-to tensorboard --out {tmp_path / 'run'}"
    monkeypatch.setattr("sys.argv", ["openr-data", *words.split(), *more.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    (file,) = (tmp_path / "run" / "tensorboard").glob("events*")
    found = scalars(file)
    assert {step for tag, step in found if tag == "held_out"} == {0, 2}
    assert 0 <= found["right", 1] <= 1
    assert found["sampled_tokens", 2] > 0
