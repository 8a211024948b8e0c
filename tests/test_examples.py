"""The examples are executed, and say what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.checkout
def test_labelling_from_python_finds_the_wrong_line() -> None:
    said = subprocess.run(
        [sys.executable, str(EXAMPLES / "label_in_python.py")], capture_output=True, text=True, check=True
    ).stdout
    marked = [line for line in said.splitlines() if "first wrong step" in line]
    assert len(marked) == 1
    assert "Step 3: 84 - 9 = 65" in marked[0]


@pytest.mark.checkout
def test_an_episode_of_the_step_environment_ends_with_the_right_answer() -> None:
    said = subprocess.run([sys.executable, str(EXAMPLES / "step_env.py")], capture_output=True, text=True, check=True).stdout
    *steps, end = said.splitlines()
    assert steps[-1].endswith("The answer is 80")
    assert end.startswith("terminated after")
    rewards = [float(line.split()[0]) for line in steps]
    assert all(0 <= reward <= 0.25 for reward in rewards[:-1])
    assert 1 <= rewards[-1] <= 1.25
