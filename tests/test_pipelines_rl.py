"""A run of reinforcement learning on the built-in policy: what it keeps, that it goes on exactly, and what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.local import render_only
from openr_data.errors import EngineError, InputError, Interrupted, RunDirError, UsageError
from openr_data.models.files import BUILTIN, policy_prompt
from openr_data.pipelines.builtin_solutions import write_solutions
from openr_data.pipelines.config import GenerateConfig, RunOptions
from openr_data.pipelines.generate import generate_stage
from openr_data.pipelines.rl import reference
from openr_data.pipelines.rl.config import Grpo, Play, Rft, RLConfig, Sft
from openr_data.pipelines.rl.outcome import Result
from openr_data.pipelines.rl.prepared import Asked, Listeners
from openr_data.pipelines.rl.questions import read_questions
from openr_data.pipelines.rl.rollouts import Rollouts
from openr_data.pipelines.rl.state import Evaluation, State, Writer, newest
from openr_data.pipelines.rl.training import train_policy
from openr_data.pipelines.stage import run_stage
from openr_data.prm.score.base import ScorerSpec
from openr_data.problems import ProblemSource
from openr_data.rl.credit import Credit
from openr_data.rl.curriculum import Curriculum
from openr_data.rl.guards import Guards
from openr_data.rl.learner import LearnConfig
from openr_data.rl.models import load_policy
from openr_data.rl.ppo import Ppo
from openr_data.rl.rewards import Rewards
from openr_data.rl.trajectory import Group
from openr_data.types import Sampling

SOURCE = ProblemSource("builtin", count=40, difficulty=3, seed=1, split="train")
HELD_OUT = ProblemSource("builtin", count=12, difficulty=3, seed=2)
SAMPLING = Sampling(1.2, 80, 0)


def config(**changes: Any) -> RLConfig:
    base = RLConfig(
        SOURCE,
        HELD_OUT,
        EngineSpec("builtin"),
        Grpo(questions=4, group=4),
        learn=LearnConfig(temperature=1.2, length=80, batch_tokens=2000),
        updates=4,
        evaluate_every=2,
        save_every=1,
    )
    return replace(base, **changes)


QUIET = Listeners()


def run(out: Path, chosen: RLConfig, listeners: Listeners = QUIET, **options: Any) -> Result:
    prm = ScorerSpec("builtin") if chosen.prm else None
    return train_policy(Asked(chosen, SAMPLING, out, EngineLimits(slots=16), prm, threads=1, **options), listeners)


def metrics(out: Path) -> list[dict[str, Any]]:
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if not name.startswith("seconds")} for line in lines]


def weights(folder: Path) -> torch.Tensor:
    return torch.cat([each.detach().flatten() for each in load_policy(folder, torch.device("cpu")).parameters()])


PROCESS = config(teaching=Grpo(Credit("process"), questions=4, group=4), prm="builtin")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rl") / "run"
    run(out, PROCESS)
    return out


def test_a_run_keeps_its_measurements_and_a_model(whole: Path) -> None:
    told = metrics(whole)
    assert [each["update"] for each in told] == [1, 2, 3, 4]
    for each in told:
        assert 0 <= each["right"] <= 1
        assert 0 < each["lowest"] <= each["score"] <= 1
        assert each["sampled_tokens"] > 0
    result = json.loads((whole / "rl_result.json").read_text())
    assert result["updates"] == 4
    assert result["tokens"] == sum(each["sampled_tokens"] for each in told)
    assert policy_prompt(whole) == ("builtin", "\n")
    assert weights(whole).shape == weights(BUILTIN).shape


def test_the_policy_has_changed(whole: Path) -> None:
    last = whole / ".checkpoints" / "000004"
    assert not torch.equal(weights(last), weights(BUILTIN))


class Killed(BaseException):
    """Nothing may catch it."""


@pytest.mark.parametrize("at", [1, 3])
def test_a_run_that_was_killed_goes_on_to_the_same_bits(whole: Path, tmp_path: Path, at: int) -> None:
    def kill(done: int, *_: object) -> None:
        if done == at:
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path / "run", PROCESS, Listeners(on_update=kill))
    run(tmp_path / "run", PROCESS, resume=True)
    assert metrics(tmp_path / "run") == metrics(whole)
    ends = [folder / ".checkpoints" / "000004" for folder in (tmp_path / "run", whole)]
    assert torch.equal(*map(weights, ends))


def test_half_a_checkpoint_is_none(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "rl_result.json").unlink()
    (tmp_path / "run" / ".checkpoints" / "000005.partial").mkdir()
    assert run(tmp_path / "run", PROCESS, resume=True).updates == 4


def test_a_finished_run_is_told_again(whole: Path) -> None:
    heard: list[int] = []
    found = run(whole, PROCESS, Listeners(on_update=lambda done, *_: heard.append(done)), resume=True)
    assert (found.updates, heard) == (4, [])


def test_a_directory_of_another_run_is_refused(whole: Path) -> None:
    with pytest.raises(UsageError, match="--resume goes on"):
        run(whole, PROCESS)
    with pytest.raises(RunDirError, match=r"config\.teaching\.group \(4, now 8\)"):
        run(whole, replace(PROCESS, teaching=Grpo(Credit("process"), questions=4, group=8)), resume=True)


def test_a_directory_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UsageError, match="not empty"):
        run(tmp_path, config())
    with pytest.raises(UsageError, match="no run that could go on"):
        run(tmp_path / "new", config(), resume=True)


def test_the_best_model_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements in which the second of three is the best."""
    found = iter([0.25, 0.75, 0.5])

    async def measured(self: Any, rollouts: Any) -> None:
        right = next(found)
        self.state.evaluations.append(Evaluation(self.state.updates, (1.0,) * int(right * 4) + (0.0,) * int(4 - right * 4), 1))

    monkeypatch.setattr(reference.ReferenceRun, "_evaluate", measured)
    result = run(tmp_path / "run", config())
    assert (result.best_update, result.best.value, result.gain.value, result.last.value) == (2, 0.75, 0.5, 0.5)
    assert torch.equal(weights(tmp_path / "run"), weights(tmp_path / "run" / ".checkpoints" / "000002"))
    assert not torch.equal(weights(tmp_path / "run"), weights(tmp_path / "run" / ".checkpoints" / "000004"))


def test_a_guard_ends_a_run_with_its_reason(tmp_path: Path) -> None:
    result = run(tmp_path / "run", config(updates=9, guards=Guards(window=1, tokens=1e-6)))
    assert result.updates == 2
    assert "times as many tokens" in result.stopped


def test_an_engine_that_loses_everything_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = Rollouts.groups
    calls = iter(range(100))

    async def lost(self: Rollouts, *asked: Any) -> list[Group]:
        found = await groups(self, *asked)
        return [replace(each, trajectories=()) for each in found] if next(calls) == 4 else found

    monkeypatch.setattr(Rollouts, "groups", lost)  # measurement, two updates, measurement, and the third update
    with pytest.raises(EngineError, match="nothing to learn from"):
        run(tmp_path / "run", config())
    assert (tmp_path / "run" / ".checkpoints" / "000002" / "state.json").is_file()


def test_evaluation_sets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="math500 is an evaluation set"):
        run(tmp_path / "run", config(source=ProblemSource("HuggingFaceH4/MATH-500", split="test")))
    question = "Convert the point $(0,3)$ in rectangular coordinates to polar coordinates.  Enter your answer in the form "
    question += "$(r,\\theta),$ where $r > 0$ and $0 \\le \\theta < 2 \\pi.$"
    (tmp_path / "mine.jsonl").write_text(json.dumps({"question": question, "answer": "3"}) + "\n")
    with pytest.raises(UsageError, match=r"holds questions of MATH-500"):
        run(tmp_path / "run", config(source=ProblemSource(str(tmp_path / "mine.jsonl"))))
    assert not (tmp_path / "run").exists()


def test_held_out_questions_are_never_learnt_from(tmp_path: Path) -> None:
    rows = [{"question": f"What is {number} + 1?", "answer": str(number + 1)} for number in range(20)]
    held = [row | {"question": row["question"].upper().replace("?", " ?!")} for row in rows[:5]]
    for name, part in (("train", rows), ("held", held), ("against", rows[5:8])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    heard: list[str] = []
    sources = {name: ProblemSource(str(tmp_path / f"{name}.jsonl")) for name in ("train", "held")}
    chosen = config(source=sources["train"], held_out=sources["held"], against=(str(tmp_path / "against.jsonl"),))
    found = read_questions(chosen, heard.append)
    assert {each.question for each in found.train} == {row["question"] for row in rows[8:]}
    assert heard == ["8 questions are left out: they are among the held-out ones, or in an evaluation set"]
    with pytest.raises(InputError, match="no question"):
        read_questions(replace(chosen, source=sources["held"]), heard.append)
    with pytest.raises(UsageError, match="--group"):
        Grpo(group=1)


def test_every_question_once_before_any_of_them_twice() -> None:
    found = read_questions(config(), print)
    drawn = [each.id for update in range(20) for each in found.of_update(update, 4, seed=3)]
    size = len(found.train)
    assert len(set(drawn[:size])) == len(set(drawn[size : 2 * size])) == size
    assert drawn[:size] != drawn[size : 2 * size]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine": EngineSpec("openai", "m")}, "--engine builtin or transformers"),
        ({"teaching": Grpo(Credit("min"))}, "--prm"),
        ({"teaching": Rft(rounds=9)}, "--rounds"),
        ({"overlong": "long"}, "--overlong"),
        ({"updates": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run(tmp_path / "run", config(**changes))
    assert not (tmp_path / "run").exists()


def test_the_best_of_equals_is_the_first() -> None:
    state = State(evaluations=[Evaluation(0, (1.0, 0.0), 1), Evaluation(2, (0.0, 1.0), 1), Evaluation(4, (None, 0.0), 1)])
    assert state.best is not None
    assert state.best.update == 0


def test_interrupted_means_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ctrl-C: the update is finished, saved, and the sentence says how to go on."""
    import os
    import signal

    def press(done: int, *_: object) -> None:
        if done == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match=r"stopped after [12] of 4 updates; --resume continues"):
        run(tmp_path / "run", config(save_every=4, evaluate_every=4), Listeners(on_update=press))
    assert run(tmp_path / "run", config(save_every=4, evaluate_every=4), resume=True).updates == 4


RFT = config(teaching=Rft(rounds=2, questions=10, group=4, batch=8), source=replace(SOURCE, count=60))


def test_rejection_sampling_imitates_what_is_right_and_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def kill(done: int, *_: object) -> None:
        if done == 3:
            raise Killed

    whole = run(tmp_path / "whole", RFT)
    rounds = [json.loads((tmp_path / "whole" / ".checkpoints" / f"round-00{number}.json").read_text()) for number in range(2)]
    assert whole.tokens == sum(each["tokens"] for each in rounds)
    assert all(2 < len(each["kept"]) <= 40 for each in rounds)
    with pytest.raises(Killed):
        run(tmp_path / "cut", RFT, Listeners(on_update=kill))
    assert run(tmp_path / "cut", RFT, resume=True).tokens == whole.tokens
    ends = [tmp_path / name / ".checkpoints" / "000004" for name in ("whole", "cut")]
    assert torch.equal(*map(weights, ends))


def test_nothing_right_is_nothing_to_imitate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wrong(self: Rollouts, *_: Any) -> float:
        return 0.0

    monkeypatch.setattr(Rollouts, "_outcome", wrong)
    with pytest.raises(EngineError, match="nothing to imitate"):
        run(tmp_path / "run", RFT)


def test_solutions_of_a_run_are_imitated(tmp_path: Path) -> None:
    chosen = GenerateConfig(replace(SOURCE, count=16), EngineSpec("builtin"), Sampling(1.6, 80, 0), 4)
    run_stage(generate_stage(chosen), RunOptions(tmp_path / "generated"))
    sft = Sft((str(tmp_path / "generated"),), batch=64, epochs=30)
    result = run(
        tmp_path / "run", config(source=None, teaching=sft, updates=0, learn=LearnConfig(rate=1e-4, warmup=0, length=80))
    )
    told = metrics(tmp_path / "run")
    assert (result.updates, result.tokens) == (len(told), 0)
    assert told[-1]["nll"] < told[0]["nll"]
    assert all(each["learnt"] == 1 for each in told)


def test_data_without_a_right_solution_is_refused(tmp_path: Path) -> None:
    row = {"id": "p1", "generator": "m", "problem": "2 + 2?", "steps": ["2 + 2 = 5"], "final_answer_correct": False, "label": 0}
    (tmp_path / "errors.jsonl").write_text(json.dumps(row) + "\n")
    chosen = config(source=None, teaching=Sft((str(tmp_path / "errors.jsonl"),)))
    with pytest.raises(InputError, match="no right solution"):
        run(tmp_path / "run", chosen)


def test_a_value_head_goes_on_with_its_run(tmp_path: Path) -> None:
    def kill(done: int, *_: object) -> None:
        if done == 3:
            raise Killed

    play = config(teaching=Play(Ppo(Rewards("shaped"), "step"), questions=4, group=2), prm="builtin")
    run(tmp_path / "whole", play)
    with pytest.raises(Killed):
        run(tmp_path / "cut", play, Listeners(on_update=kill))
    run(tmp_path / "cut", play, resume=True)
    assert metrics(tmp_path / "cut") == metrics(tmp_path / "whole")
    assert all("value_error" in each for each in metrics(tmp_path / "whole"))


def test_a_curriculum_asks_one_difficulty_at_a_time(tmp_path: Path) -> None:
    """Easy questions are all right, so the level rises after each update; the run goes on at the level where it was killed."""

    def kill(done: int, *_: object) -> None:
        if done == 3:
            raise Killed

    teaching = Grpo(questions=4, group=4, curriculum=Curriculum(0.0, 0.01, window=1))
    rising = config(source=replace(SOURCE, difficulty=4), easiest=2, teaching=teaching)
    run(tmp_path / "whole", rising)
    assert [each["level"] for each in metrics(tmp_path / "whole")] == [0, 1, 2, 2]
    with pytest.raises(Killed):
        run(tmp_path / "cut", rising, Listeners(on_update=kill))
    run(tmp_path / "cut", rising, resume=True)
    assert metrics(tmp_path / "cut") == metrics(tmp_path / "whole")
    found = read_questions(rising, print)
    assert [{each.difficulty for each in level} for level in found.levels] == [{"2"}, {"3"}, {"4"}]
    with pytest.raises(UsageError, match="--easiest"):
        config(easiest=5).checked()


def questions(file: Path, rows: list[tuple[str, str]]) -> ProblemSource:
    file.write_text("".join(json.dumps({"question": question, "answer": answer}) + "\n" for question, answer in rows))
    return ProblemSource(str(file))


def test_a_question_that_does_not_fit_is_left_out_and_the_others_are_learnt_from(tmp_path: Path) -> None:
    short = [(each.question, each.answer) for each in read_questions(config(), print).train[:3]]
    source = questions(tmp_path / "long.jsonl", [*short, ("What is " + "1 + " * 2000 + "1?", "2001")])
    assert run(tmp_path / "run", config(source=source)).updates == 4


def test_other_content_of_a_file_is_another_run(tmp_path: Path) -> None:
    rows = [(each.question, each.answer) for each in read_questions(config(), print).held_out]
    chosen = config(held_out=questions(tmp_path / "held.jsonl", rows))
    run(tmp_path / "run", chosen)
    questions(tmp_path / "held.jsonl", rows[1:])
    with pytest.raises(RunDirError, match="was written by a different run: inputs"):
        run(tmp_path / "run", chosen, resume=True)


def test_weights_that_are_missing_are_not_drawn_at_random(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(BUILTIN, tmp_path / "model")
    kept = load_file(tmp_path / "model" / "model.safetensors")
    kept.pop(next(name for name in kept if "mlp" in name))
    save_file(kept, tmp_path / "model" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match="1 weights are missing"):
        load_policy(tmp_path / "model", torch.device("cpu"))


def test_memory_that_is_too_small_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(reference, "load_policy", none)
    with pytest.raises(EngineError, match="too little memory"):
        run(tmp_path / "run", config())


def checkpoints(out: Path) -> list[str]:
    return sorted(each.name for each in (out / ".checkpoints").iterdir())


def test_a_checkpoint_that_is_replaced_is_never_away(tmp_path: Path) -> None:
    """A kill between the two renames leaves the old one aside, and a kill while others are removed leaves half a folder."""
    state = State(metrics=[{}] * 3, evaluations=[Evaluation(0, (1.0,), 1)])
    for _ in range(2):  # the second one replaces the first
        with Writer(tmp_path, state) as folder:
            (folder / "weights").write_text("whole")
    assert checkpoints(tmp_path) == ["000003"]
    work = tmp_path / ".checkpoints"
    (work / "000003").rename(work / "old-000003")
    (work / "000003.partial").mkdir()
    (work / "gone-000001").mkdir()
    assert newest(tmp_path) == work / "000003"
    assert checkpoints(tmp_path) == ["000003"]
    assert (work / "000003" / "weights").read_text() == "whole"


def test_few_known_answers_are_not_the_best_evaluation() -> None:
    state = State(evaluations=[Evaluation(0, (1.0, 1.0, 0.0), 1), Evaluation(2, (1.0, None, None), 1)])
    assert state.best is not None
    assert state.best.update == 0


def test_a_masked_solution_has_neither_outcome_nor_scores(tmp_path: Path) -> None:
    """All are cut after a few tokens: nothing can be learnt from them, by whatever credit."""
    short = config(teaching=Grpo(Credit("process"), questions=4, group=4), prm="builtin", overlong="masked")
    asked = Asked(short, Sampling(1.2, 4, 0), tmp_path / "run", EngineLimits(slots=16), ScorerSpec("builtin"), threads=1)
    with pytest.raises(EngineError, match=r"nothing (to learn from|can be measured)"):
        train_policy(asked)


def test_a_policy_keeps_the_separator_of_its_steps(tmp_path: Path) -> None:
    """What follows reads its solutions as they were learnt, unless it is told otherwise."""
    run(tmp_path / "run", config(engine=EngineSpec("builtin", separator=" = "), updates=1, evaluate_every=1))
    spec = EngineSpec("transformers", str(tmp_path / "run"))
    assert render_only(spec).template.separator == " = "
    assert render_only(replace(spec, separator="\n")).template.separator == "\n"
    assert render_only(replace(spec, template="builtin")).template.separator == "\n"


def test_other_solutions_under_the_same_name_are_another_run(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    write_solutions(file, 8, 3, style="plain", split="train", seed=0)
    cloning = config(teaching=Sft((str(file),), batch=4), source=None, updates=2)
    run(tmp_path / "run", replace(cloning, updates=2))
    file.unlink()
    write_solutions(file, 8, 3, style="plain", split="train", seed=1)
    with pytest.raises(RunDirError, match="taught"):
        run(tmp_path / "run", cloning, resume=True)
