"""The oracle of the built-in task as the truth, and one rollout per prefix as the baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from prm_evaluations import FIRST, QUESTION, RIGHT, SECOND, StandIn, builtin_solutions, candidates, one_rollout_run

from openr_data.errors import InputError
from openr_data.pipelines.prm.evaluation.config import EvaluationConfig
from openr_data.pipelines.prm.evaluation.oracle import OneRollout, one_rollout_baseline, read_oracle
from openr_data.pipelines.prm.evaluation.quality import ONE_ROLLOUT
from openr_data.pipelines.prm.evaluation.steps import StepsReport, judged
from openr_data.pipelines.progress import silent
from openr_data.problems.digests import normal_question

KEY = normal_question(QUESTION)
OUTCOMES = {
    (): ("right", "right"),
    RIGHT[:1]: ("wrong", "right"),  # also the first step of SECOND: the only rollout that is looked at misses
    FIRST[:1]: ("wrong", "wrong"),
    FIRST[:2]: ("right", "wrong"),
    SECOND[:2]: ("unknown", "wrong"),
}


def evaluated(config: EvaluationConfig, good: set[str]) -> StepsReport:
    """With a scorer that says 3 of these steps and -3 of all others."""
    scorer = StandIn(judge=lambda step: 3.0 if step in good else -3.0)
    return judged(scorer, read_oracle(config), config, silent, "oracle")[0]


def test_the_truth_is_the_state_of_the_work(tmp_path: Path) -> None:
    config = EvaluationConfig(oracle=builtin_solutions(tmp_path / "run"), split="all", draws=50)
    data = read_oracle(config)
    assert [one.first_error for one in data.known] == [-1, 0, 1]
    assert [one.good for one in data.known] == [(True, True, True), (False, None, None), (True, False, None)]
    kept = read_oracle(replace(config, after_error="keep"))
    assert [one.good for one in kept.known] == [(True, True, True), (False, False, False), (True, False, False)]


def test_one_rollout_is_the_first_of_every_prefix(tmp_path: Path) -> None:
    found = one_rollout_baseline(one_rollout_run(tmp_path / "run", OUTCOMES))  # type: ignore[arg-type]
    assert found[KEY, FIRST] == OneRollout((0.0, 1.0, 0.0), 0)
    assert found[KEY, SECOND] == OneRollout((0.0, None, 0.0), 0)
    # Prefixes of a right solution are not measured by hard estimates; this run happens to know its first one.
    assert found[KEY, RIGHT] == OneRollout((0.0, None, 1.0), 0)
    assert one_rollout_baseline(builtin_solutions(tmp_path / "solutions")) == {}


def test_the_model_against_one_rollout_by_hand(tmp_path: Path) -> None:
    solutions = builtin_solutions(tmp_path / "solutions")
    labels = one_rollout_run(tmp_path / "labels", OUTCOMES)  # type: ignore[arg-type]
    config = EvaluationConfig(oracle=solutions, one_rollout=labels, split="all", draws=50)
    found = evaluated(config, {*RIGHT}).quality
    # The model names both errors; one rollout names that at step 0, and calls the good first step of the other wrong.
    (rival,) = found.rivals
    assert (rival.name, rival.errors) == (ONE_ROLLOUT, 2)
    assert (rival.model.value, rival.rival.value, rival.ahead.value) == (1.0, 0.5, 0.5)
    # Steps with a rollout that count: RIGHT 1 and 3 (0, 1), FIRST 1 (0), SECOND 1 (0); its step 2 was not decided. Good: 0, 1, 0.
    assert rival.steps == 4
    assert rival.rival_auroc is not None
    assert rival.model_auroc is not None
    assert rival.ahead_auroc is not None
    # Good ones score 0, 1, 0 against a wrong one with 0: (1/2 + 1 + 1/2) / 3.
    assert rival.rival_auroc.value == pytest.approx(2 / 3)
    assert rival.model_auroc.value == 1.0
    assert rival.ahead_auroc.value == pytest.approx(1 / 3)


def test_a_labelled_run_brings_its_own_rivals(tmp_path: Path) -> None:
    labels = one_rollout_run(tmp_path / "labels", OUTCOMES)  # type: ignore[arg-type]
    found = evaluated(EvaluationConfig(oracle=labels, split="all", draws=50), {*RIGHT}).quality
    assert found.solutions == 3
    shares = {each.name: (each.errors, each.rival.value) for each in found.rivals}
    # Counts of two rollouts: RIGHT 1/2, FIRST 0/2 and 1/2, SECOND 1/2 and 0/2; the run's labels say step 0 of both.
    assert shares == {
        ONE_ROLLOUT: (2, 0.5),
        "raw MC > 0": (2, 1.0),
        "raw MC > 0.5": (2, 0.5),
        "labels (math-shepherd)": (2, 0.5),
    }


def test_another_task_has_no_oracle(tmp_path: Path) -> None:
    run = candidates(tmp_path / "run", [[(("1 a",), "right", "1")]])
    with pytest.raises(InputError, match="is not of the built-in task"):
        read_oracle(EvaluationConfig(oracle=run, split="all"))
