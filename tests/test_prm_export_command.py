"""`prm export` and `prm merge`: what they print, what they refuse, and that a folder stands there finished or not at all."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import prm_third_party_models as made
import pytest
import torch
from prm_families import save_family
from safetensors import SafetensorError
from test_prm_export import trained
from test_prm_export_merge import adapter_of
from test_prm_prepare import scores
from typer.testing import CliRunner, Result

from openr_data.cli.app import app
from openr_data.errors import InputError, RunDirError, StorageError, UsageError
from openr_data.pipelines.prm.exporting import export_model, merge_adapter, new_folder
from openr_data.prm.load import load_prm
from openr_data.store.lock import DirectoryLock


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = trained(tmp_path_factory.mktemp("model"))
    (folder / "LICENSE").write_text("do as you like")
    (folder / "README.md").write_text("a causal model")
    return folder


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["prm", *map(str, words)])


def test_export_prints_what_it_wrote(model: Path, tmp_path: Path) -> None:
    done = run("export", model, "--to", "qwen-prm", "--out", tmp_path / "new" / "qwen", "--json")
    assert done.exit_code == 0, done.output
    said: dict[str, Any] = json.loads(done.stdout)
    assert (said["architecture"], said["dtype"], said["layout"]) == ("Qwen2ForProcessRewardModel", "float32", "qwen-prm")
    out = tmp_path / "new" / "qwen"
    assert said["bytes"] == sum(path.stat().st_size for path in out.iterdir())
    assert [path.name for path in out.parent.iterdir()] == ["qwen"]
    assert (out / "LICENSE").read_text() == "do as you like"
    assert not (out / "README.md").exists(), "it describes another head"
    mask = (tmp_path / "new").stat().st_mode & 0o666
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {mask}
    found, source = load_prm(out, device="cpu"), load_prm(model, device="cpu")
    assert torch.allclose(scores(found.model, found), scores(source.model, source), atol=1e-5)


def test_export_on_a_terminal(model: Path, tmp_path: Path) -> None:
    done = run("export", model, "--to", "token-classification", "--out", tmp_path / "out")
    assert "Qwen2ForTokenClassification (float32)" in done.output
    assert "logit differences change by 0.0e+00 at most" in done.output


def test_merge_prints_what_it_wrote(tmp_path: Path) -> None:
    base = save_family(tmp_path / "base", "llama")
    before = adapter_of(base, tmp_path / "adapter")
    done = run("merge", tmp_path / "adapter", "--out", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["base"], said["head"], said["weights"], said["dtype"]) == (str(base), "causal", 6, "float32")
    found = load_prm(tmp_path / "out", device="cpu")
    assert torch.allclose(scores(found.model, found), before, atol=2e-5, rtol=1e-5)
    shown = run("merge", tmp_path / "adapter", "--out", tmp_path / "small", "--dtype", "bfloat16")
    assert "6 matrices, in bfloat16" in shown.output
    with pytest.raises(UsageError, match="no dtype 'int4'"):
        merge_adapter(tmp_path / "adapter", tmp_path / "other", dtype="int4")


def test_what_is_there_already_is_refused_and_an_empty_directory_is_not(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "full", "link"):
        with pytest.raises(UsageError, match="is there already; choose another --out"):
            export_model(str(model), "causal", tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert export_model(str(model), "causal", tmp_path / "empty").out == str(tmp_path / "empty")
    assert (tmp_path / "empty" / "prm_config.json").is_file()


def test_what_is_no_process_reward_model_is_refused(tmp_path: Path) -> None:
    base = save_family(tmp_path / "base", "llama")
    with pytest.raises(UsageError, match=r"no prm_config\.json: its files do not say how it is asked"):
        export_model(str(base), "causal", tmp_path / "out")
    adapter_of(base, tmp_path / "adapter")
    with pytest.raises(UsageError, match="holds an adapter and no model"):
        export_model(str(tmp_path / "adapter"), "causal", tmp_path / "out")
    with pytest.raises(InputError, match="holds no adapter"):
        merge_adapter(base, tmp_path / "out")
    with pytest.raises(UsageError, match="no layout 'onnx'"):
        export_model(str(base), "onnx", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]


@pytest.mark.parametrize(
    ("theirs", "style", "layout", "head"),
    [
        (made.math_shepherd, "math-shepherd", "causal", "causal"),
        (made.math_shepherd, "math-shepherd", "qwen-prm", "process_reward"),
        (made.rlhflow, "rlhflow", "token-classification", "token_classification"),
        (made.skywork, "", "token-classification", "token_classification"),
        (made.qwen, "", "qwen-prm", "process_reward"),
    ],
)
def test_a_model_of_others_says_itself_how_it_is_asked_once_it_is_exported(
    theirs: Callable[[Path], Path], style: str, layout: str, head: str, tmp_path: Path
) -> None:
    source = load_prm(theirs(tmp_path / "theirs"), device="cpu", style=style)
    export_model(str(tmp_path / "theirs"), layout, tmp_path / "ours", style=style)
    found = load_prm(tmp_path / "ours", device="cpu")
    assert (found.config.head, found.config.template) == (head, source.config.template)
    assert torch.allclose(scores(found.model, found), scores(source.model, source), atol=1e-5)


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("No space left on device")])
def test_a_full_disk_leaves_nothing_behind(fault: Exception, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"could not be written .*No space left.*; free the disk and do it again"):
        _fail(tmp_path / "out", fault)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), UsageError("no")])
def test_whatever_stops_it_leaves_nothing_behind(fault: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(fault)):
        _fail(tmp_path / "out", fault)
    assert not list(tmp_path.iterdir())


def _fail(out: Path, fault: BaseException) -> None:
    with new_folder(out) as folder:
        (folder / "half").write_text("half")
        raise fault


def test_what_a_killed_attempt_left_is_cleared_and_a_running_one_is_not(tmp_path: Path) -> None:
    left = tmp_path / ".out.partial" / "model"
    left.mkdir(parents=True)
    (left / "half").write_text("half")
    with new_folder(tmp_path / "out") as folder:
        (folder / "whole").write_text("whole")
        with pytest.raises(RunDirError, match="is in use by process"), new_folder(tmp_path / "out"):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole"]

    work = tmp_path / ".other.partial"
    work.mkdir()
    with DirectoryLock(work), pytest.raises(RunDirError, match="is in use"), new_folder(tmp_path / "other"):
        pass
    assert work.is_dir(), "it belongs to the one that holds it"
    shutil.rmtree(work)
