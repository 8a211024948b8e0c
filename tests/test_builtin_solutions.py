"""Exact solutions in every style: what is discarded is nothing that the oracle needs, and `rl sft` learns them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openr_data.cli import main
from openr_data.errors import UsageError
from openr_data.pipelines.builtin_solutions import write_solutions
from openr_data.problems.arithmetic import draw_question, write_solution
from openr_data.problems.oracle import judge
from openr_data.problems.styles import MARKS, STYLES, styled
from openr_data.rl.reasoning import Reasoning


@pytest.mark.parametrize("style", STYLES)
def test_without_reasoning_every_style_is_the_plain_solution(style: str) -> None:
    marks = Reasoning.of(MARKS)
    assert marks is not None
    for index in range(20):
        program = draw_question(0, index, 9, "test")
        steps = styled(program, style)
        shown, tokens = marks.apart(steps, [1] * len(steps))
        assert shown == write_solution(program)
        assert tokens == (1,) * len(steps)
        assert judge(program.question, shown).kind is None


def test_reasoning_names_the_operands() -> None:
    program = draw_question(0, 3, 12, "test")
    for line, operation in zip(styled(program, "reasoned"), program.operations, strict=False):
        assert f"({operation}" in line
        if operation.refers:
            value = line.split("= ")[1].split(")")[0]
            assert line.split(") ")[1].split(" = ")[0].endswith(f" {value}")


def test_rows_are_imitated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.jsonl"
    words = [
        f"builtin write --style reasoned --count 16 --difficulty 3 --out {file}",
        f"rl sft {file} --epochs 1 --batch 8 --held-out-count 4 --difficulty 3 --threads 1 --json --out {tmp_path / 'policy'}",
    ]
    for line in words:
        monkeypatch.setattr("sys.argv", ["openr-data", *line.split()])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len({row["prompt"] for row in rows}) == 16
    assert all("Step 3: (" in row["completion"] for row in rows)
    assert '"updates": 2' in capsys.readouterr().out


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no style 'verse'"):
        write_solutions(tmp_path / "a", 1, 3, style="verse", split="train", seed=0)
    (tmp_path / "b").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        write_solutions(tmp_path / "b", 1, 3, style="plain", split="train", seed=0)
    assert (tmp_path / "b").read_text() == "mine"
