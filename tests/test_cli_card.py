"""`openr-data card` as a person or a program meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import Run, generate, run
from test_pipelines_stage import write_problems

from openr_data.data_cards.metadata import read_head, split_card

__all__ = ["run"]


@pytest.fixture
def made(run: Run, tmp_path: Path) -> Path:
    assert generate(run, write_problems(tmp_path / "problems.jsonl", 6).path, tmp_path / "run").code == 0
    return tmp_path / "run"


def test_the_card_is_written_and_said_to_be(run: Run, made: Path) -> None:
    said = run("card", made, "--license", "mit", "--title", "My  data")
    assert said.code == 0, said.err
    assert f"{made / 'README.md'}" in said.out.replace("\n", "")
    assert "figures/label-balance.png" in said.out
    head = read_head(split_card((made / "README.md").read_text(encoding="utf-8"))[0])
    assert (head["license"], head["pretty_name"]) == ("mit", "My data")


def test_the_result_as_json(run: Run, made: Path) -> None:
    said = json.loads(run("card", made, "--json").out)
    assert said["bytes"] == (made / "README.md").stat().st_size
    assert all(Path(name).is_file() for name in said["figures"])
    assert said["figures"]


def test_help_says_what_stays(run: Run) -> None:
    said = " ".join(run("card", "--help").out.split())
    assert "a block that you delete stays deleted" in said


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("nowhere",), 4, "is not a run directory"),
        (("RUN", "--license", "MIT License"), 2, "is no licence as a card names it"),
        (("RUN", "--cite", "nowhere.bib"), 3, "nowhere.bib cannot be read"),
        (("RUN", "--against", "nowhere.jsonl"), 3, "nowhere.jsonl"),
    ],
)
def test_each_mistake_is_one_sentence_and_writes_nothing(
    run: Run, made: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    before = (made / "README.md").read_bytes()
    said = run("card", *(made if each == "RUN" else each for each in arguments))
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert (said.code, len(errors)) == (code, 1), said
    assert sentence in errors[0]
    assert (made / "README.md").read_bytes() == before
    assert not (made / "figures").exists()


@pytest.mark.parametrize(
    ("readme", "sentence"),
    [
        ("---\nlicense: mit\n", "there is no second line of ---"),
        ("---\na: 1\n\tb: 2\n---\n", "is no YAML (line 3"),
        ("text\n<!-- openr-data: begin title -->\n", "has no end"),
    ],
)
def test_a_broken_card_is_refused_and_left_alone(run: Run, made: Path, readme: str, sentence: str) -> None:
    (made / "README.md").write_text(readme, encoding="utf-8")
    said = run("card", made)
    assert (said.code, sentence in said.err, "Traceback" in said.err) == (3, True, False), said
    assert (made / "README.md").read_text(encoding="utf-8") == readme
    assert not (made / "figures").exists()


def test_importing_the_command_loads_nothing_heavy() -> None:
    probe = "import sys, openr_data.cli.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    assert {"matplotlib", "yaml", "polars", "pyarrow", "huggingface_hub", "numpy"}.isdisjoint(loaded)
