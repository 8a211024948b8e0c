"""`generate` and `label` over MATH problems, through vLLM in process and through a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openr_data.engines.builtin import WEIGHTS

pytestmark = pytest.mark.vllm

ROOT = Path(__file__).resolve().parents[2]
MATH_500 = Path(os.environ.get("OPENR_SHARED_DATA") or ROOT.parent / "shared" / "data") / "math500.jsonl"
HAND_MADE = [
    {"problem": "What is $12 \\cdot 7 + 19$?", "solution": "It is $\\boxed{103}$.", "answer": "103"},
    {
        "problem": "Compute $\\frac{1}{2} + \\frac{1}{4}$.",
        "solution": "We get $\\boxed{\\frac{3}{4}}$.",
        "answer": "\\frac{3}{4}",
    },
    {"problem": "Start with 12. Step 1: multiply by 7. What is the result?", "solution": "\\boxed{84}", "answer": "84"},
]
PROBLEMS = 4


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first MATH-500 problems where the data set is at hand, and three in its form."""
    rows = [json.dumps(row) for row in HAND_MADE]
    if MATH_500.is_file():
        rows = [*MATH_500.read_text("utf-8").splitlines()[: PROBLEMS - 1], *rows]
    path = tmp_path_factory.mktemp("math") / "problems.jsonl"
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return path


def openr_data(*words: str) -> Any:
    done = subprocess.run([sys.executable, "-m", "openr_data", *words, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def rows(run: Path, table: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = [
        row for file in sorted((run / "data" / table).glob("*.parquet")) for row in pq.read_table(file).to_pylist()
    ]
    return found


@pytest.mark.parametrize("engine", ["vllm", "openai"])
def test_generate_and_label(engine: str, request: pytest.FixtureRequest, problems: Path, tmp_path: Path) -> None:
    chosen = ["--engine", engine, "--model", str(WEIGHTS), "--template", "builtin"]
    if engine == "openai":
        chosen += ["--base-url", request.getfixturevalue("server")]
    generated, labeled = tmp_path / "generated", tmp_path / "labeled"
    openr_data("generate", str(problems), *chosen, "--out", str(generated), "--limit", "6", "-n", "2", "--max-tokens", "60")
    solutions = rows(generated, "solutions")
    count = len(problems.read_text("utf-8").splitlines())
    assert len(solutions) == 2 * count
    assert all(solution["tokens"] > 0 for solution in solutions)
    openr_data("label", str(generated), *chosen, "--out", str(labeled), "--method", "math-shepherd", "-k", "2")
    found = rows(labeled, "labeled")
    assert len(found) == len(solutions)
    assert {row["method"] for row in found} == {"math-shepherd"}
