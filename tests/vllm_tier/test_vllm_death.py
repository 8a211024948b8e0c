"""When vLLM dies, every waiting request hears of it; when the program is killed, vLLM's processes do not stay behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.vllm


def test_nobody_waits_for_the_dead_and_nobody_outlives_the_program() -> None:
    program = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "dying_program.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout is not None
    try:
        said = [program.stdout.readline().strip() for _ in range(6)]
    finally:
        program.kill()
        program.wait()
    assert [line.split()[0] for line in said[:5]] == ["EngineError"] * 5
    assert all("the vLLM engine died" in line for line in said[:5])
    word, *numbers = said[5].split()
    assert word == "ready"
    assert len(numbers) >= 2
    left = [psutil.Process(int(number)) for number in numbers if psutil.pid_exists(int(number))]
    _, alive = psutil.wait_procs(left, timeout=30)
    assert alive == []
