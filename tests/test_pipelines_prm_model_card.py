"""The card of a model's folder: its records, an evaluation that is taken over, and lines that work."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prm_folders import add_records, tiny_prm
from prm_publishing import copied
from prm_reports import write_evaluation

from openr_data.data_cards.blocks import block_texts
from openr_data.data_cards.metadata import split_card
from openr_data.errors import InputError, UsageError
from openr_data.pipelines.prm.model_card import ModelCardOptions, write_model_card
from openr_data.prm.config import PRMConfig


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_records(tiny_prm(tmp_path_factory.mktemp("model") / "my-prm"))


def test_the_lines_of_the_card_work(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = copied(model, tmp_path / "my-prm")
    write_model_card(mine)
    told = block_texts(split_card((mine / "README.md").read_text())[1])["use"]
    (tmp_path / "lines.py").write_text(told.split("```python\n")[1].split("\n```")[0])
    monkeypatch.chdir(tmp_path)
    scores = runpy.run_path("lines.py")["step_scores"]
    from openr_data.prm.score.base import ScorerSpec
    from openr_data.prm.score.open import open_scorer

    request = ("What is 2 + 3 * 4?", ("3 * 4 = 12", "2 + 12 = 14"))
    wanted = open_scorer(ScorerSpec(str(mine), device="cpu")).score([request])[0].probabilities
    assert scores == pytest.approx(wanted, abs=1e-6)


def test_an_evaluation_is_taken_over_once_and_bound_to_the_weights(model: Path, tmp_path: Path) -> None:
    mine = copied(model, tmp_path / "my-prm")
    made = write_model_card(mine, ModelCardOptions(write_evaluation(tmp_path / "evaluation", mine)))
    assert set(made.files) == {"evaluation/report.json", "evaluation/figures/steps-reliability.png"}
    assert write_model_card(mine).text == made.text
    told = block_texts(split_card(made.text)[1])
    assert "is not shown to name first errors better than raw MC" in told["weak"]
    assert "| min | 62.0% | +2.0" in told["evaluation"]
    assert "could not be checked" not in told["weak"]
    assert "are of all questions, also of those that it may have been trained on" in told["weak"]
    replace(PRMConfig.load(mine), scale=2.0).save(mine)
    with pytest.raises(InputError, match=r"is of other weights or another prm_config.json than .* has; evaluate anew"):
        write_model_card(mine)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda out: (out / "report.json").unlink(), "holds no evaluation"),
        (lambda out: (out / "report.json").write_text("{"), "cannot be read"),
        (lambda out: (out / "report.json").write_text("[]"), "cannot be read"),
        (lambda out: (out / "report.json").write_text('{"settings": {"scorer": {"backend": "http"}}}'), "it has no part"),
        (lambda out: edit(out, steps={"quality": 1}), "is no evaluation that openr-data wrote"),
        (lambda out: edit(out, template="qwen"), "evaluates another model than"),
        (lambda out: edit(out, identity="0123"), "evaluates another model than"),
    ],
)
def test_evaluations_that_are_none_or_of_another_model(model: Path, tmp_path: Path, harm: Any, sentence: str) -> None:
    mine, out = copied(model, tmp_path / "my-prm"), write_evaluation(tmp_path / "evaluation", model)
    harm(out)
    with pytest.raises(InputError, match=sentence):
        write_model_card(mine, ModelCardOptions(out))
    assert not (mine / "README.md").exists()
    assert not (mine / "evaluation").exists()


def edit(out: Path, **changes: object) -> None:
    body = json.loads((out / "report.json").read_text())
    (out / "report.json").write_text(json.dumps({**body, **changes}))


def test_scores_of_a_server_are_told_to_be_unproven(model: Path, tmp_path: Path) -> None:
    mine = copied(model, tmp_path / "my-prm")
    made = write_model_card(mine, ModelCardOptions(write_evaluation(tmp_path / "e", mine, backend="http", identity="f00")))
    assert "could not be checked" in block_texts(split_card(made.text)[1])["weak"]


def test_a_result_of_processbench_alone_is_an_evaluation(model: Path, tmp_path: Path) -> None:
    mine, out = copied(model, tmp_path / "my-prm"), write_evaluation(tmp_path / "evaluation", model)
    body = json.loads((out / "report.json").read_text())
    (out / "processbench.json").write_text(json.dumps({**body["processbench"], "settings": {"model": body["identity"]}}))
    (out / "report.json").unlink()
    told = block_texts(split_card(write_model_card(mine, ModelCardOptions(out)).text)[1])
    assert "F1 33.0" in told["weak"]
    assert "could not be checked" not in told["weak"]


def test_a_model_without_any_record_says_so(tmp_path: Path) -> None:
    told = block_texts(split_card(write_model_card(tiny_prm(tmp_path / "bare")).text)[1])
    assert "It was not evaluated" in told["weak"]
    assert "not recorded" in told["data"]
    with pytest.raises(InputError, match="holds no process reward model"):
        write_model_card(tmp_path)
    with pytest.raises(UsageError, match="is no licence as a card names it"):
        write_model_card(tmp_path / "bare", ModelCardOptions(license="MIT License"))
