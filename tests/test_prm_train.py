"""A training as its caller sees it: the finished folder, resumption, the best checkpoint, adapters and faults."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from prm_training import furthest, losses, prepared, rows, run, tiny, weights

from openr_data.errors import EngineError, InputError, RunDirError, UsageError
from openr_data.prm import checkpoints
from openr_data.prm.config import PRMConfig
from openr_data.prm.load import load_prm
from openr_data.prm.progress import Progress
from openr_data.prm.train_config import Lora, ModelChoice, TrainConfig

BASE = TrainConfig(batch=8, max_steps=6, rate=1e-2, evaluate_every=3, save_every=3)
LORA = replace(BASE, lora=Lora(rank=2, alpha=4, dropout=0.1))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return rows(tmp_path_factory.mktemp("rows"), 24)


class _Killed(Exception):
    """Stands for a kill."""


def killer(step: int) -> Any:
    def on_progress(progress: Progress) -> None:
        if progress.step == step:
            raise _Killed

    return on_progress


def test_a_finished_folder_is_a_model_with_its_record(found: Any, tmp_path: Path) -> None:
    heard: list[Progress] = []
    result = run(tmp_path / "out", found, BASE, on_progress=heard.append)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("config.json", "generation_config.json", "model.safetensors", "prm_config.json"),
        *("tokenizer.json", "tokenizer_config.json", "training.json"),
    ]
    assert PRMConfig.load(tmp_path / "out") == prepared().config
    load_prm(tmp_path / "out", device="cpu")
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["settings"]["batch"] == 8
    assert record["versions"]["torch"] == torch.__version__
    assert record["tokens"] == result.tokens == 2 * sum(found["length"])
    assert [each.step for each in heard if each.auroc is None] == [1, 2, 3]
    assert (heard[-1].step, heard[-1].steps, heard[-1].eta) == (6, 6, 0.0)
    assert heard[-1].tokens == result.tokens
    assert 0 < heard[0].seconds < heard[-1].seconds <= result.seconds


@pytest.mark.parametrize("config", [BASE, LORA, replace(BASE, packing="on", accumulation=2)])
def test_a_killed_run_goes_on_exactly(found: Any, tmp_path: Path, config: TrainConfig) -> None:
    whole = run(tmp_path / "whole", found, config)
    with pytest.raises(_Killed):
        run(tmp_path / "out", found, config, on_progress=killer(5))
    assert not (tmp_path / "out" / "prm_config.json").exists()
    half = tmp_path / "out" / checkpoints.WORK / "checkpoint-5"
    half.mkdir()
    (half / "trainer_state.json").write_text("{")
    resumed = run(tmp_path / "out", found, config, model=tiny(seed=0), resume=True)
    assert furthest(weights(tmp_path / "whole"), weights(tmp_path / "out")) == 0.0
    assert losses(resumed) == losses(whole)
    assert (resumed.auroc, resumed.best_step, resumed.tokens) == (whole.auroc, whole.best_step, whole.tokens)


def test_a_run_killed_before_its_first_checkpoint_starts_again(found: Any, tmp_path: Path) -> None:
    with pytest.raises(_Killed):
        run(tmp_path / "out", found, BASE, on_progress=killer(1))
    assert losses(run(tmp_path / "out", found, BASE, resume=True)) == losses(run(tmp_path / "whole", found, BASE))


def test_a_run_killed_after_its_last_step_only_writes_its_model(
    found: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five steps of an epoch of eight: one more would be taken, were it trained on."""
    config = replace(BASE, batch=3, max_steps=5, evaluate_every=5, save_every=5)
    whole = run(tmp_path / "whole", found, config)

    def refuse(*_: Any) -> None:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "finish", refuse)
        with pytest.raises(_Killed):
            run(tmp_path / "out", found, config)
    resumed = run(tmp_path / "out", found, config, resume=True)
    assert furthest(weights(tmp_path / "whole"), weights(tmp_path / "out")) == 0.0
    assert (resumed.steps, resumed.auroc, losses(resumed)) == (5, whole.auroc, losses(whole))
    assert resumed.seconds > 0


def test_a_killed_move_is_finished_and_a_finished_run_is_told_again(found: Any, tmp_path: Path) -> None:
    result = run(tmp_path / "out", found, BASE)
    again = run(tmp_path / "out", found, replace(BASE, device="cpu", batch_tokens=512), resume=True)
    assert again == replace(result, history=again.history)
    with pytest.raises(UsageError, match="holds a training already"):
        run(tmp_path / "out", found, BASE)
    with pytest.raises(RunDirError, match=r"different training: rate, seed$"):
        run(tmp_path / "out", found, replace(BASE, rate=1e-3, seed=7), resume=True)
    with pytest.raises(RunDirError, match="different training: rows"):
        run(tmp_path / "out", found.select(range(20)), BASE, resume=True, evaluated=found)


def test_another_model_is_not_written_over(found: Any, tmp_path: Path) -> None:
    prepared().config.save(tmp_path)
    with pytest.raises(UsageError, match="holds a process reward model already"):
        run(tmp_path, found, BASE)
    assert [path.name for path in tmp_path.iterdir()] == ["prm_config.json"]


def test_the_best_checkpoint_is_kept_and_patience_ends_the_run(found: Any, tmp_path: Path) -> None:
    """Trained to say the opposite of what it is asked, every evaluation is worse than the first."""
    opposite = found.map(lambda row: {"targets": [1 - target for target in row["targets"]]}, load_from_cache_file=False)
    config = replace(BASE, max_steps=20, evaluate_every=1, save_every=1, patience=2, schedule="constant", warmup=0.0)
    result = run(tmp_path / "out", found, config, evaluated=opposite)
    measured = [each["eval_auroc"] for each in result.history if "eval_auroc" in each]
    assert result.steps == result.best_step + 2 < 20
    assert result.auroc == max(measured)
    assert measured[-1] < result.auroc
    kept = run(tmp_path / "short", found, replace(config, max_steps=20, patience=0), evaluated=None)
    assert kept.best_step == 20
    assert (kept.auroc, kept.ece) == (None, None)


def test_patience_counts_across_a_resumption(found: Any, tmp_path: Path) -> None:
    opposite = found.map(lambda row: {"targets": [1 - target for target in row["targets"]]}, load_from_cache_file=False)
    config = replace(BASE, max_steps=20, evaluate_every=1, save_every=1, patience=3, schedule="constant", warmup=0.0)
    whole = run(tmp_path / "whole", found, config, evaluated=opposite)
    with pytest.raises(_Killed):
        run(tmp_path / "out", found, config, evaluated=opposite, on_progress=killer(whole.steps - 1))
    assert run(tmp_path / "out", found, config, evaluated=opposite, resume=True).steps == whole.steps


def test_one_class_has_no_auroc(found: Any, tmp_path: Path) -> None:
    good = found.map(lambda row: {"targets": [1.0 for _ in row["targets"]]}, load_from_cache_file=False)
    result = run(tmp_path / "out", found, BASE, evaluated=good)
    assert result.auroc is None
    measured = [each["eval_loss"] for each in result.history if "eval_loss" in each]
    assert result.best_step == 3 * (1 + measured.index(min(measured)))


@pytest.mark.parametrize("tied", [True, False])
def test_merging_adapters_is_exact(found: Any, tmp_path: Path, tied: bool) -> None:
    """The merged model scores as base and adapter do; the tag's embedding is trained, the head's rows are not."""
    before = tiny(tied=tied).state_dict()
    run(tmp_path / "out", found, LORA, model=tiny(tied=tied))
    merged = load_prm(tmp_path / "out", device="cpu").model
    adapted = PeftModel.from_pretrained(tiny(tied=tied).eval(), str(tmp_path / "out" / "adapter"))
    ids, config = torch.tensor([found[0]["input_ids"]]), prepared().config
    with torch.no_grad():
        scores = merged(input_ids=ids).logits
        assert torch.allclose(scores, adapted(input_ids=ids).logits[..., [config.negative_id, config.positive_id]], atol=1e-6)
    after = merged.state_dict()
    embeddings = (after["model.embed_tokens.weight"] - before["model.embed_tokens.weight"]).abs().sum(1)
    assert embeddings.nonzero().flatten().tolist() == [config.tag_id]
    rows_of_head = [config.negative_id, config.positive_id]
    assert torch.equal(after["lm_head.weight"][rows_of_head], before["lm_head.weight"][rows_of_head])
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(after[name], before[name])


def test_adapters_train_a_head_of_its_own(found: Any, tmp_path: Path) -> None:
    config = replace(LORA, model=ModelChoice(head="value"))
    run(tmp_path / "out", found, config, model=tiny(head="value"))
    after = load_prm(tmp_path / "out", device="cpu").model.state_dict()
    before = tiny(head="value").state_dict()
    assert not torch.equal(after["score.weight"], before["score.weight"])
    assert after.keys() == before.keys()


def test_adapters_on_layers_that_are_not_there(found: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the adapters do not fit this model"):
        run(tmp_path / "out", found, replace(BASE, lora=Lora(rank=2, targets=("query",))))


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_is_no_number_ends_the_run_with_its_checkpoint(found: Any, tmp_path: Path, what: str) -> None:
    model = tiny()

    def poison(progress: Progress) -> None:
        weight = model.model.norm.weight
        if progress.step == 4 and what == "loss":
            weight.data.fill_(torch.nan)
        elif progress.step == 4:
            weight.register_hook(lambda gradient: gradient * torch.inf)

    with pytest.raises(EngineError, match=rf"the {what} became \w+ in step 5, .* --rate"):
        run(tmp_path / "out", found, BASE, model=model, on_progress=poison)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [checkpoints.WORK]
    assert (
        checkpoints.last_checkpoint(tmp_path / "out" / checkpoints.WORK) == tmp_path / "out" / checkpoints.WORK / "checkpoint-3"
    )
    assert run(tmp_path / "out", found, BASE, resume=True).steps == 6


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate memory: 1")])
def test_out_of_memory_gives_advice(found: Any, tmp_path: Path, error: Exception) -> None:
    def full(progress: Progress) -> None:
        raise error

    with pytest.raises(
        EngineError, match=r"does not fit the memory: try --batch-tokens 1024 .now 2048., --checkpointing or --lora 16"
    ):
        run(tmp_path / "out", found, BASE, on_progress=full)


def test_activation_checkpointing_changes_nothing(found: Any, tmp_path: Path) -> None:
    plain, saving = (run(tmp_path / str(on), found, replace(BASE, checkpointing=on)) for on in (False, True))
    assert losses(saving) == pytest.approx(losses(plain), abs=1e-6)


def test_bfloat16_computes_over_float32_weights(found: Any, tmp_path: Path) -> None:
    result = run(tmp_path / "out", found, replace(BASE, dtype="bfloat16", rate=1e-6))
    assert weights(tmp_path / "out")["model.norm.weight"].dtype == torch.bfloat16
    exact = run(tmp_path / "exact", found, replace(BASE, rate=1e-6))
    assert losses(result) == pytest.approx(losses(exact), abs=0.05)
    assert losses(result) != losses(exact)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"report_to": ("wandb",)}, "'wandb' is not installed here: pip install wandb"),
        ({"report_to": ("paper",)}, "there is no tracker 'paper'"),
        ({"schedule": "sine"}, "there is no schedule 'sine'"),
        ({"dtype": "float16"}, "float32 or bfloat16"),
        ({"device": "meta"}, "cpu or cuda"),
    ],
)
def test_what_cannot_be_used_is_told_and_nothing_is_written(
    found: Any, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        run(tmp_path / "out", found, replace(BASE, **change))
    assert not (tmp_path / "out").exists()


def test_no_rows(found: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row to train on"):
        run(tmp_path / "out", found.select([]), BASE)


def test_halves_of_a_move_are_no_model(found: Any, tmp_path: Path) -> None:
    """A kill while files move leaves no `prm_config.json`, and `--resume` ends the move."""
    with pytest.raises(_Killed):
        run(tmp_path / "out", found, BASE, on_progress=killer(5))
    shutil.copy(prepared().folder / "config.json", tmp_path / "out" / "config.json")
    with pytest.raises(InputError, match="holds no process reward model"):
        PRMConfig.load(tmp_path / "out")
    run(tmp_path / "out", found, BASE, resume=True)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["hidden_size"] == 16
