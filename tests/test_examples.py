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
