"""The figures of the built-in policy: counted by hand on solutions written here, and measured once on a small model."""

from pathlib import Path

import pytest

from openr_data.errors import UsageError
from openr_data.pipelines.builtin_config import BuiltinTraining
from openr_data.pipelines.builtin_evaluate import BuiltinEvaluation, DifficultyReport, evaluate_builtin, markdown_table, report
from openr_data.pipelines.builtin_recipe import add_evaluation, read_recipe
from openr_data.pipelines.builtin_train import train_builtin
from openr_data.problems.oracle import judge

QUESTION = "Start with 3. Step 1: add 4. Step 2: multiply by 2. What is the result?"
RIGHT = ("Step 1: 3 + 4 = 7", "Step 2: 7 * 2 = 14", "The answer is 14")
WRONG = ("Step 1: 3 + 4 = 8", "Step 2: 8 * 2 = 16", "The answer is 16")
TAKEN_BACK = ("Step 1: 3 + 4 = 8", "Step 1: wait, 3 + 4 = 7", "Step 2: 7 * 2 = 14", "The answer is 14")


def test_the_figures_of_four_solutions_counted_by_hand() -> None:
    right, wrong, taken_back = (judge(QUESTION, steps) for steps in (RIGHT, WRONG, TAKEN_BACK))
    figures = report(2, [[right, wrong], [wrong, wrong], [taken_back, wrong]], [right, wrong, wrong])
    assert figures == DifficultyReport(
        difficulty=2,
        solutions=6,
        accuracy=2 / 6,
        pass_at=2 / 3,
        greedy=1 / 3,
        lines={3: 5, 4: 1},
        first_errors={-1: 1, 0: 5},
        kinds={"arithmetic": 5},
        step_accuracy=14 / 19,
        recovered=1 / 6,
        recovered_of_wrong=1 / 5,
        wait_after_wrong=1 / 5,
        wait_after_right=0.0,
        answer_despite_error=1 / 6,
        waits={"right": (0, 8), "arithmetic": (1, 5)},
    )
    assert markdown_table([figures]).splitlines()[2] == "| 2 | 0.333 | 0.667 | 0.333 | 0.737 | 0.167 | 0.200 | 0.000 |"


def test_a_model_is_measured_repeatably_and_the_recipe_keeps_it(tmp_path: Path) -> None:
    tiny = BuiltinTraining(steps=1, finish_steps=0, batch=2, hidden=32, layers=1, heads=2, intermediate=32, own_share=0.0)
    folder, config = train_builtin(tiny, tmp_path), BuiltinEvaluation(problems=3, samples=2, difficulties=(1, 2))
    seen: list[DifficultyReport] = []
    reports = evaluate_builtin(config, folder, seen.append)
    assert reports == tuple(seen) == evaluate_builtin(config, folder)
    assert [r.solutions for r in reports] == [6, 6]
    add_evaluation(folder, config, reports)
    assert len(read_recipe(folder)["evaluation"]["difficulties"]) == 2


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="difficulty 13"):
        BuiltinEvaluation(difficulties=(13,))
    with pytest.raises(UsageError, match="dtype"):
        BuiltinEvaluation(dtype="int8")
    with pytest.raises(UsageError, match="no model"):
        evaluate_builtin(BuiltinEvaluation(), tmp_path)
