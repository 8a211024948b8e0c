"""The built-in process reward model: right steps and wrong ones, alike in any company, and what it refuses in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from test_cli_prm_score import score
from test_prm_score_data import bench

from openr_data.errors import UsageError
from openr_data.models.files import BUILTIN
from openr_data.prm.builtin import LINE, Line, builtin_identity, load_builtin
from openr_data.prm.score.base import ScoreRequest, ScorerSpec
from openr_data.prm.score.open import open_scorer
from openr_data.prm.score.scorer import ModelScorer
from openr_data.problems.arithmetic import make_problem, parse_question, write_solution

QUESTION = "Start with 37. Step 1: add 48. Step 2: multiply by 6. What is the result?"
RIGHT = ("Step 1: 37 + 48 = 85", "Step 2: 85 * 6 = 510", "The answer is 510")


@pytest.fixture(scope="module")
def scorer() -> ModelScorer:
    return open_scorer(ScorerSpec("builtin", device="cpu"))


def requests(count: int) -> list[ScoreRequest]:
    """Right solutions of every length, one digit of some step changed in every other one."""
    found = []
    for number in range(count):
        question = make_problem(11, number, difficulty=2 + number % 8).question
        steps = list(write_solution(parse_question(question)))
        if number % 2:
            at = number % (len(steps) - 1)
            steps[at] = steps[at][:-1] + str((int(steps[at][-1]) + 3) % 10)
        found.append((question, tuple(steps)))
    return found


@pytest.mark.parametrize(
    ("wrong", "at"),
    [
        (("Step 1: 37 + 48 = 75", *RIGHT[1:]), 0),
        ((RIGHT[0], "Step 2: 85 * 6 = 610", "The answer is 610"), 1),
        ((RIGHT[0], "Step 2: 85 + 6 = 91", "The answer is 91"), 1),
        ((*RIGHT[:2], "The answer is 85"), 2),
    ],
)
def test_a_right_step_is_above_one_half_and_a_wrong_one_below(scorer: ModelScorer, wrong: tuple[str, ...], at: int) -> None:
    right, other = scorer.score([(QUESTION, RIGHT), (QUESTION, wrong)])
    assert min(right.probabilities) > 0.9
    assert other.probabilities[at] < 0.1
    assert other.margins[:at] == right.margins[:at]


def test_it_tells_a_changed_digit_in_solutions_of_every_length(scorer: ModelScorer) -> None:
    asked = requests(60)
    lowest = [min(each.margins) for each in scorer.score(asked)]
    pairs = [(right, wrong) for right in lowest[::2] for wrong in lowest[1::2]]
    assert sum(right > wrong for right, wrong in pairs) > 0.97 * len(pairs)


def test_a_solution_has_the_same_scores_in_any_company(scorer: ModelScorer) -> None:
    asked = requests(24)
    together = scorer.score(asked)
    for others in ([scorer.score([each])[0] for each in asked], scorer.score(asked[::-1])[::-1]):
        for one, other in zip(others, together, strict=True):  # to rounding: processors sum batches differently
            assert one.margins == pytest.approx(other.margins, rel=1e-5, abs=1e-5)
            assert one.tokens == other.tokens
    assert all(each.tokens > len(steps) for each, (_, steps) in zip(together, asked, strict=True))


def test_a_margin_is_the_line_over_the_two_numbers_of_the_step(scorer: ModelScorer) -> None:
    request = (QUESTION, ("Step 1: 37 + 48 = 75", "Step 2: 75 * 6 = 450"))
    least, total = (_margins(Line(*weights, 0.0), request) for weights in ((1.0, 0.0), (0.0, 1.0)))
    assert all(whole <= one <= 0 for one, whole in zip(least, total, strict=True))
    expected = [LINE.least * one + LINE.total * whole + LINE.bias for one, whole in zip(least, total, strict=True)]
    assert scorer.score([request])[0].margins == pytest.approx(expected, abs=1e-4)


def _margins(line: Line, request: ScoreRequest) -> tuple[float, ...]:
    from openr_data.prm.score.transformers import TransformersBackend

    prm = load_builtin(device="cpu", line=line)
    return TransformersBackend(prm).margins([prm.encoder.encode(*request)])[0]


def test_the_identity_says_whose_it_is_and_follows_the_numbers(scorer: ModelScorer) -> None:
    prm = load_builtin(device="cpu")
    assert scorer.identity == builtin_identity(prm) == open_scorer(ScorerSpec("builtin", device="cpu")).identity
    assert scorer.identity.startswith("builtin:")
    others = {
        builtin_identity(prm, Line(LINE.least, LINE.total, 0.0)),
        builtin_identity(load_builtin(device="cpu", dtype="float32")),
    }
    assert len({scorer.identity, *others}) == 3
    assert (scorer.config.base_model, scorer.config.head) == ("builtin", "likelihood")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            ScorerSpec("builtin", backend="vllm"),
            "the built-in process reward model has no vllm backend; use --backend transformers",
        ),
        (ScorerSpec("builtin", backend="tpu"), "there is no scoring backend 'tpu'"),
        (ScorerSpec("builtin", style="qwen"), "the built-in process reward model has no style; leave it out"),
        (ScorerSpec("builtin", revision="v1"), "the built-in process reward model has no revision; leave it out"),
        (ScorerSpec("builtin", dtype="int8"), "there is no dtype 'int8'"),
        (ScorerSpec("builtin", device="tpu9"), "there is no device 'tpu9'"),
    ],
)
def test_what_it_has_not_is_told_in_one_sentence(spec: ScorerSpec, says: str) -> None:
    with pytest.raises(UsageError) as told:
        open_scorer(spec)
    assert says in str(told.value)


def test_a_step_that_cannot_be_scored_says_why(scorer: ModelScorer) -> None:
    broken, empty = scorer.score([(QUESTION, ("two\nlines",)), (QUESTION, ())])
    assert (broken.margins, broken.reason) == ((), "its step 1 holds the tag '\\n', which ends a step")
    assert empty.reason == "it has no steps"


def test_a_few_steps_on_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    steps = ["--step", "Step 1: 37 + 48 = 75", "--step", "Step 2: 75 * 6 = 450"]
    assert score(monkeypatch, "--prm", "builtin", "--question", QUESTION, *steps, "--json") == 0
    first, second = json.loads(capsys.readouterr().out)["probabilities"]
    assert first < 0.1 < 0.9 < second
    assert score(monkeypatch, "--prm", "builtin", "--style", "qwen", "--question", QUESTION, *steps) == 2
    assert capsys.readouterr().err == "error: the built-in process reward model has no style; leave it out\n"


def test_a_file_is_scored_and_the_table_names_the_model(
    scorer: ModelScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in BUILTIN.iterdir())
    source, out = bench(tmp_path / "bench.jsonl", problems=2), tmp_path / "scores.parquet"
    assert score(monkeypatch, source, "--prm", "builtin", "--device", "cpu", "--out", out, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["solutions"], summary["scored"]) == (6, 6)
    assert set(pq.read_table(out)["model"].to_pylist()) == {scorer.identity}
    assert sorted(path.name for path in BUILTIN.iterdir()) == before, "nothing is written beside the policy"
