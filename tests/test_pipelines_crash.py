"""kill -9 at random moments, on a real process: the resumed data set is the uninterrupted one, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from crashes import crash_and_resume
from test_pipelines_stage import write_problems


@pytest.mark.slow
def test_killed_and_resumed_is_byte_identical_and_nothing_durable_is_paid_twice(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 30)
    spec = {
        "problems": source.location,
        "engine": "scripted",
        "script": "error=0.1,recovery=0.02,latency=0.02,slow=0.1,slow_seconds=0.05,slots=64",
        "method": "omegaprm",
        "rollouts": 4,
    }
    report = crash_and_resume(spec, tmp_path, kills=4)
    assert report.kills == 4
    assert report.identical
    assert report.paid_twice == 0
    assert report.completions > 200
