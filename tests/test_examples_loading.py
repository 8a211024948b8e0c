"""The example of `openr_data.load` is executed, and says what it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from store_runs import write_run

EXAMPLE = Path(__file__).parents[1] / "examples" / "load_and_look.py"


def run(*arguments: str) -> str:
    return subprocess.run([sys.executable, str(EXAMPLE), *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.checkout
def test_the_built_in_model_is_labelled_and_looked_at() -> None:
    said = run()
    assert "Corpus: run of label" in said
    means = dict(re.findall(r"(before|at|after) +\d+ steps   mean value (\d\.\d\d)", said))
    assert float(means["before"]) > 0.5 > float(means["at"])
    assert re.search(r"\d+ right and \d+ wrong steps", said)


@pytest.mark.checkout
def test_a_run_of_ones_own_is_looked_at(tmp_path: Path) -> None:
    write_run(tmp_path / "run", range(6), total=6)
    assert "12 labeled" in run(str(tmp_path / "run")) or "8 labeled" in run(str(tmp_path / "run"))
