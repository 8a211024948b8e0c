"""Real published files: every row comes back as it was, and every solution has its place in every other layout."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from openr_data.errors import InputError
from openr_data.layouts import LAYOUTS
from openr_data.pipelines.exporting.config import ExportConfig
from openr_data.pipelines.exporting.export import export
from openr_data.pipelines.importing.run import ImportConfig, import_file
from openr_data.problems import ProblemSource

DATA = Path(os.environ.get("OPENR_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")
FILES = {
    "prm800k": "samples_prm800k.jsonl",
    "math-shepherd": "samples_math-shepherd.jsonl",
    "math-aps": "samples_math-aps.jsonl",
    "math-aps-tree": "samples_math-aps-tree.jsonl",
    "processbench": "processbench_gsm8k.json",
}
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")


def published(name: str) -> list[dict[str, Any]]:
    text = (DATA / name).read_text(encoding="utf-8")
    return list(json.loads(text)) if name.endswith(".json") else [json.loads(line) for line in text.split("\n") if line.strip()]


def written(out: Path) -> list[dict[str, Any]]:
    files = sorted((out / "data").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").split("\n") if line]


@pytest.fixture(scope="module", params=FILES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    path = tmp_path_factory.mktemp("real") / "run"
    import_file(ImportConfig(ProblemSource(str(DATA / FILES[request.param])), request.param), path)
    return request.param, path


def test_the_rows_come_back_as_they_were(run: tuple[str, Path], tmp_path: Path) -> None:
    layout, path = run
    summary = export(path, ExportConfig(layout), tmp_path / "out")
    rejected = [json.loads(line)["row"] for line in (path / "rejects.jsonl").read_text(encoding="utf-8").split("\n") if line]
    rows = published(FILES[layout])
    kept = [row for number, row in enumerate(rows) if number not in rejected]
    assert (summary.faithful, len(kept) + len(rejected)) == (True, len(rows))
    again = written(tmp_path / "out")
    assert [json.dumps(row, sort_keys=True) for row in again] == [json.dumps(row, sort_keys=True) for row in kept]


@pytest.mark.parametrize("other", LAYOUTS)
def test_every_solution_is_accounted_for_in_every_other_layout(run: tuple[str, Path], tmp_path: Path, other: str) -> None:
    layout, path = run
    if other == layout:
        return
    try:
        summary = export(path, ExportConfig(other), tmp_path / "out")
    except InputError as fault:  # such as published labels without a verdict as ProcessBench rows
        nothing = str(fault)
    else:
        assert summary.solutions == summary.used + sum(summary.dropped.values())
        assert summary.rows > 0
        return
    total, *reasons = [int(number.replace(",", "")) for number in re.findall(r" ([\d,]+)(?= solutions|, |\))", nothing)]
    assert (total, "all are left out" in nothing) == (sum(reasons), True)
