"""--executor slurm: the scripts do what they say, run by bash as Slurm would run them, and hold no key."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_cli import Run, run  # noqa: F401  (a fixture)
from test_pipelines_stage import data_bytes, write_problems

from openr_data.errors import UsageError
from openr_data.pipelines.slurm import SlurmJob, write_scripts
from openr_data.store.atomic import write_checked_json
from openr_data.store.run_record import PREPARED

ITEMS = 12
QUICK = "error=0.1,recovery=0"
SLOW = "error=0.1,recovery=0,latency=0.2,slots=4"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_problems(tmp_path / "problems.jsonl", ITEMS).path


@pytest.fixture
def bin_path(tmp_path: Path) -> Path:
    """`sbatch` and `scontrol` that only note what they are asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    notes = tmp_path / "notes"
    (folder / "sbatch").write_text(f'#!/bin/bash\necho "sbatch $*" >> {notes}\necho "$((40 + $(wc -l < {notes})));cluster"\n')
    (folder / "scontrol").write_text(
        f'#!/bin/bash\necho "scontrol $*" >> {notes}\n'
        'if [ "$1" = show ]; then echo "JobId=7 JobState=${STATE:-RUNNING} Reason=None"; fi\n'
    )
    for program in folder.iterdir():
        program.chmod(0o755)
    return folder


def generate(source: Path, out: Path, script: str, *more: object) -> list[object]:
    settings = ("--engine", "scripted", "--script", script, "--grader", "exact", "--shard-size", 5, "--in-flight", 2)
    return ["generate", source, *settings, "--out", out, *more]


def environment(bin_path: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{bin_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", **more}


def task(out: Path, bin_path: Path, index: int, **more: str) -> subprocess.Popen[str]:
    """One task of the array, from another directory than the one it was written in."""
    arguments = ["bash", str(out / "slurm" / "array.sbatch")]
    variables = environment(bin_path, SLURM_ARRAY_TASK_ID=str(index), **more)
    return subprocess.Popen(arguments, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")


def merged(out: Path, bin_path: Path) -> subprocess.CompletedProcess[str]:
    script = ["bash", str(out / "slurm" / "merge.sbatch")]
    return subprocess.run(script, env=environment(bin_path), capture_output=True, text=True, cwd="/", check=False)


def test_the_array_and_its_merge_make_the_run_of_one_process(
    run: Run,  # noqa: F811
    source: Path,
    tmp_path: Path,
    bin_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*generate(source, tmp_path / "alone", QUICK)).code == 0
    out = tmp_path / "array"
    options = ("--slurm", "partition=gpu", "--slurm", "time=04:00:00", "--slurm", "gpus=1", "--slurm", "exclusive")
    said = run(*generate(Path("problems.jsonl"), Path("array"), QUICK), "--executor", "slurm", "--workers", 2, *options)
    assert said.code == 0, said.err
    assert "bash array/slurm/submit.sh" in said.out or f"bash {out}/slurm/submit.sh" in said.out
    script = (out / "slurm" / "array.sbatch").read_text()
    for line in ("array=1-2", "partition=gpu", "time=04:00:00", "gpus=1", "exclusive", "requeue", "signal=B:USR1@180"):
        assert f"#SBATCH --{line}\n" in script
    merge = (out / "slurm" / "merge.sbatch").read_text()
    assert "#SBATCH --partition=gpu\n" in merge
    assert "gpus" not in merge
    for index in (1, 2):
        process = task(out, bin_path, index)
        assert process.wait() == 0, process.communicate()
        process.communicate()
        if index == 1:
            early = merged(out, bin_path)
            assert (early.returncode, "6 of 12 items are in none" in early.stderr.replace("\n", " ")) == (4, True)
    late = merged(out, bin_path)
    assert late.returncode == 0, late.stderr
    assert data_bytes(out) == data_bytes(tmp_path / "alone")
    assert not (tmp_path / "notes").exists()


def test_what_is_submitted(run: Run, source: Path, tmp_path: Path, bin_path: Path) -> None:  # noqa: F811
    out = tmp_path / "run"
    assert run(*generate(source, out, QUICK), "--executor", "slurm", "--workers", 3).code == 0
    submitted = subprocess.run(
        ["bash", str(out / "slurm" / "submit.sh")], env=environment(bin_path), capture_output=True, text=True, check=True
    )
    assert "array job 41, then merge job 42" in submitted.stdout
    first, second = (tmp_path / "notes").read_text().splitlines()
    assert first == f"sbatch --parsable {out}/slurm/array.sbatch"
    assert second == f"sbatch --parsable --kill-on-invalid-dep=yes --dependency=afterok:41 {out}/slurm/merge.sbatch"


def test_where_a_pilot_is_made_the_first_task_comes_first(tmp_path: Path, bin_path: Path) -> None:
    words = [sys.executable, "-c", "import sys; print(sys.argv[1:], file=sys.stderr)"]
    scripts = write_scripts(SlurmJob(words, tmp_path / "run", tmp_path, 3, first_alone=True))
    submit = ["bash", str(scripts.submit)]
    submitted = subprocess.run(submit, env=environment(bin_path), capture_output=True, text=True, check=True)
    assert "array job 41:42, then merge job 43" in submitted.stdout
    first, rest, merge = (tmp_path / "notes").read_text().splitlines()
    assert first == f"sbatch --parsable --array=1 {scripts.array}"
    assert rest == f"sbatch --parsable --array=2-3 --kill-on-invalid-dep=yes --dependency=afterok:41 {scripts.array}"
    assert "--dependency=afterok:41:42 " in merge
    early = task(tmp_path / "run", bin_path, 2)
    assert "task 1 has to come first" in early.communicate()[1]
    assert early.returncode == 1
    part = tmp_path / "run" / "parts" / "shard-00001-of-00003"
    part.mkdir(parents=True)
    write_checked_json(part / "run.json", {"settings": {PREPARED: True}})
    later, again = task(tmp_path / "run", bin_path, 2), task(tmp_path / "run", bin_path, 1)
    assert f"'--reuse', '{part}'" in later.communicate()[1]
    assert "--reuse" not in again.communicate()[1]


@pytest.mark.parametrize(("notice", "state", "requeued"), [("USR1", "RUNNING", True), ("TERM", "CANCELLED", False)])
def test_a_task_that_is_told_to_stop_goes_back_to_the_queue_and_on_from_there(
    run: Run,  # noqa: F811
    source: Path,
    tmp_path: Path,
    bin_path: Path,
    notice: str,
    state: str,
    requeued: bool,
) -> None:
    out = tmp_path / "run"
    assert run(*generate(source, out, SLOW), "--executor", "slurm", "--workers", 1).code == 0
    process = task(out, bin_path, 1, STATE=state)
    journal = out / "parts" / "shard-00001-of-00001" / "journal.sqlite-wal"
    end = time.monotonic() + 60
    while not (journal.exists() and journal.stat().st_size > 150_000) and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(getattr(signal, f"SIG{notice}"))
    told, said = process.communicate(timeout=60)
    assert "--resume continues" in said.replace("\n", " ")
    notes = (tmp_path / "notes").read_text().splitlines()
    assert ("scontrol requeue 7" in notes) == requeued
    assert ("it is queued again and goes on from there" in told) == requeued
    assert (process.returncode == 0) == requeued
    again = task(out, bin_path, 1, SLURM_RESTART_COUNT="1")
    assert again.wait(120) == 0, again.communicate()
    again.communicate()
    assert merged(out, bin_path).returncode == 0


def test_a_task_that_fails_says_so_and_is_not_queued_again(run: Run, source: Path, tmp_path: Path, bin_path: Path) -> None:  # noqa: F811
    out = tmp_path / "run"
    assert run(*generate(source, out, f"{QUICK},fatal=1"), "--executor", "slurm", "--workers", 1).code == 0
    process = task(out, bin_path, 1)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 5
    assert "refuses this request" in said
    assert not (tmp_path / "notes").exists()


def test_what_cannot_stand_in_a_script_is_refused(run: Run, source: Path, tmp_path: Path) -> None:  # noqa: F811
    array = ("--executor", "slurm", "--workers", 2)

    def refused(*more: object, out: Path = tmp_path / "run") -> str:
        said = run(*generate(source, out, QUICK), *(more if "--executor" in more else (*array, *more)))
        assert said.code == 2
        assert not (out / "slurm").exists()
        return said.err.replace("\n", " ")

    assert "--slurm is an option of sbatch without dashes" in refused("--slurm", "--time=1")
    assert "--slurm is an option of sbatch without dashes" in refused("--slurm", "time=1\n#SBATCH --uid=0")
    assert "--slurm array is set by openr-data itself" in refused("--slurm", "array=1-9")
    assert "the script must hold no key" in refused("--slurm", "export=ALL,HF_TOKEN=abc")
    assert "has a space in its path" in refused(out=tmp_path / "a run")
    assert "needs --workers" in refused("--executor", "slurm")
    (tmp_path / "begun" / "parts" / "shard-00001-of-00003").mkdir(parents=True)
    assert "was begun in 3 parts: continue it with --workers 3" in refused("--resume", out=tmp_path / "begun")
    assert "leave out --shard" in refused("--shard", "1/2")
    said = refused("--base-url", "http://me:secret@host/v1")
    assert "--base-url holds a key or password" in said
    assert "secret" not in said
    assert "--slurm says nothing without --executor slurm" in refused("--executor", "local", "--slurm", "time=1")


def test_words_with_quotes_and_breaks_come_through_and_keys_stay_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    words = [
        sys.executable,
        "-c",
        "import sys; print(ascii(sys.argv[1:]), file=sys.stderr)",
        "it's",
        "a\nb",
        "$HOME `x`",
        "--api-key-env=MY_KEY",
    ]
    job = SlurmJob(words, tmp_path / "100%", tmp_path, 3)
    scripts = write_scripts(job)
    text = "".join(path.read_text() for path in (scripts.array, scripts.merge, scripts.submit))
    assert "sk-very-secret" not in text
    assert "100%%/slurm/%A_%a.log" in text
    said = subprocess.run(
        ["bash", str(scripts.array)], env={**os.environ, "SLURM_ARRAY_TASK_ID": "2"}, capture_output=True, text=True, check=True
    ).stderr
    part = tmp_path / "100%" / "parts" / "shard-00002-of-00003"
    assert said.strip() == ascii(
        ["it's", "a\nb", "$HOME `x`", "--api-key-env=MY_KEY", "--shard", "2/3", "--out", str(part), "--resume", "--json"]
    )
    with pytest.raises(UsageError, match="--executor slurm needs --workers"):
        write_scripts(SlurmJob(words, tmp_path / "x", tmp_path, 0))
