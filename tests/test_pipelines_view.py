"""What goes into the page of a run, what is left out and told, and what is refused."""

from __future__ import annotations

import errno
import re
from os import mkfifo
from pathlib import Path
from typing import Any

import pytest
from view_runs import HOSTILE, MATHS, identity, write, write_generated, write_imported, write_labeled, write_large, write_odd

from openr_data.errors import RunDirError, StorageError, UsageError
from openr_data.pages.blocks import unpack
from openr_data.pipelines.viewing.facts import settings
from openr_data.pipelines.viewing.view import ViewLimits, write_view
from openr_data.types import StepLabel


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_labeled(tmp_path / "run")
    return tmp_path / "run"


def data(page: Path) -> dict[str, Any]:
    """Every block of a page by its name."""
    found = re.findall(r'<script type="text/plain" id="([a-z0-9-]+)">([^<]*)</script>', page.read_text("utf-8"))
    return {name: unpack(text) for name, text in found}


def test_a_page_holds_every_problem_solution_step_and_prefix(run: Path) -> None:
    summary = write_view(run)
    page = Path(summary.out)
    blocks = data(page)
    index = blocks["index"]
    assert page == run / "view.html"
    assert (summary.problems, summary.solutions, summary.rollouts) == (6, 6, 51)
    assert summary.bytes == page.stat().st_size
    assert (summary.complete, summary.left_out) == (True, ())
    assert index["problems"]["id"] == ["p</script>/1", "maths", "tree", "dropped", "undecided", "published"]
    assert index["problems"]["skipped"][3] == "too_easy"
    assert index["solutions"]["first"] == [3, -1, 4, -1, None, 1]
    assert index["solutions"]["levels"] == ["987653", "999999", "-7-10-", "879", "-5", "gb-"]
    assert index["solutions"]["lowest"] == [0.375, 1.0, 0.0, 0.75, 0.5, None]
    assert index["problems"]["start"] == [0, 1, 2, 4, 4, 5]
    assert index["statistics"]["first_errors"] == {"3": 1, "4": 1, "1": 1}


def test_texts_are_kept_to_the_letter(run: Path) -> None:
    write_view(run)
    texts = data(run / "view.html")["texts-0"]
    assert tuple(texts[0]["solutions"][0]["steps"]) == HOSTILE
    assert tuple(texts[1]["solutions"][0]["steps"]) == MATHS
    assert texts[0]["solutions"][0]["notes"] == {"<b>note</b>": "</script>"}
    assert texts[0]["solutions"][0]["seed"] == str(2**62)
    assert texts[2]["solutions"][0]["hits"] == [None, 6, None, 1, 0, None]
    assert texts[2]["solutions"][0]["values"] == [None, 0.75, None, 0.125, 0.0, None]


def test_no_text_of_a_model_stands_in_the_page_as_it_is(run: Path) -> None:
    write_view(run)
    page = (run / "view.html").read_text("utf-8")
    assert "document.title = 'run'" not in page
    assert page.count("<script") == 3 + 2
    assert page.count("</script") == 3 + 2


def test_a_tree_has_its_parents_added_steps_and_first_errors(run: Path) -> None:
    write_view(run)
    tree = data(run / "view.html")["tree-0"][1]
    assert [(node["parent"], node["start"], node["steps"]) for node in tree] == [
        (-1, 0, []),
        (0, 0, ["step 0", "step 1"]),
        (1, 2, ["step 2", "step 3"]),
        (2, 4, ["step 4"]),
        (0, 0, ["elsewhere"]),
    ]
    assert [(node["hits"], node["decided"], node["total"]) for node in tree] == [(n, 8, 9) for n in (5, 6, 1, 0, 3)]
    assert [node["wrong"] for node in tree] == [[], [], [], [0], []]
    assert tree[0]["rollouts"][8]["verdict"] == "unknown"


def test_every_first_error_stands_in_the_tree_measured_or_not(tmp_path: Path) -> None:
    write_odd(tmp_path / "run")
    write_view(tmp_path / "run")
    tree = data(tmp_path / "run" / "view.html")["tree-0"][0]
    assert [(node["parent"], node["start"], node["steps"], node["total"], node["wrong"]) for node in tree] == [
        (-1, 0, [], 9, []),
        (0, 0, ["step 0", "step 1"], 9, []),
        (3, 4, ["step 4", "step 5"], 9, []),
        (1, 2, ["step 2", "step 3"], 0, [0]),
        (0, 0, ["step 0", "aside"], 0, [1]),
    ]


def test_published_labels_that_are_not_monotone_are_kept(tmp_path: Path) -> None:
    write_imported(tmp_path / "run")
    write_view(tmp_path / "run")
    blocks = data(tmp_path / "run" / "view.html")
    assert blocks["texts-0"][0]["solutions"][0]["hard"] == [True, False, True, False, None]
    assert blocks["index"]["solutions"]["levels"] == ["9090-", "gbgb-"]
    assert blocks["index"]["rejected"] == 2


def test_the_facts_say_what_the_card_says(run: Path, tmp_path: Path) -> None:
    write_view(run)
    facts = data(run / "view.html")["index"]["facts"]
    assert (facts["title"], facts["imported"], facts["whose"]) == ("Step labels by OmegaPRM", False, "")
    assert "OmegaPRM (arXiv 2406.06592)" in facts["how"][0]
    write_imported(tmp_path / "imported")
    write_view(tmp_path / "imported")
    facts = data(tmp_path / "imported" / "view.html")["index"]["facts"]
    assert (facts["title"], facts["imported"]) == ("Published step labels (prm800k)", True)
    assert facts["whose"] == facts["how"][0]
    assert "" not in facts["how"]


def test_problems_that_are_left_out_do_not_count_as_rollouts_left_out(tmp_path: Path) -> None:
    write_large(tmp_path / "run", 320)
    summary = write_view(tmp_path / "run", limits=ViewLimits(problems=2))
    assert summary.left_out == ("8 of 10 problems, all after the first 2 (--limit 2)",)


def test_the_same_run_makes_the_same_bytes_and_an_earlier_page_is_made_again(run: Path) -> None:
    write_view(run)
    before = (run / "view.html").read_bytes()
    write_view(run)
    assert (run / "view.html").read_bytes() == before
    assert [path.name for path in run.iterdir() if "partial" in path.name] == []


def test_limits_leave_out_and_say_so(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    summary = write_view(run, out, ViewLimits(problems=3, rollouts=2))
    assert (summary.problems, summary.solutions, summary.rollouts) == (3, 4, 12)
    assert summary.left_out == (
        "3 of 6 problems, all after the first 3 (--limit 3)",
        "the texts of 39 of 51 rollouts, of which a prefix shows at most 2 (--rollouts 2); every count is of all of them",
    )
    index = data(out)["index"]
    assert index["left_out"] == list(summary.left_out)
    assert index["sizes"]["problems"] == 6
    assert [node["total"] for node in data(out)["tree-0"][1]] == [9] * 5
    assert write_view(run, out, ViewLimits(problems=0)).problems == 6


def test_a_run_that_is_not_finished_shows_its_finished_shards(tmp_path: Path) -> None:
    write_labeled(tmp_path / "run", finish=False)
    summary = write_view(tmp_path / "run")
    assert (summary.complete, summary.problems) == (False, 4)
    assert data(tmp_path / "run" / "view.html")["index"]["facts"]["complete"] is False


def test_a_run_without_a_finished_shard_has_nothing_to_show(tmp_path: Path) -> None:
    write(tmp_path / "run", identity("label", ("labeled", "problems", "nodes", "rollouts")), [], finish=False)
    with pytest.raises(RunDirError, match="no finished shard yet"):
        write_view(tmp_path / "run")


def test_a_finished_run_without_problems_says_so(tmp_path: Path) -> None:
    write(tmp_path / "run", identity("label", ("labeled", "problems", "nodes", "rollouts")), [])
    with pytest.raises(RunDirError, match="holds no problem: there is nothing to look at"):
        write_view(tmp_path / "run")


def test_a_run_of_generate_has_no_labels(tmp_path: Path) -> None:
    write_generated(tmp_path / "run")
    summary = write_view(tmp_path / "run")
    index = data(tmp_path / "run" / "view.html")["index"]
    assert (summary.solutions, summary.steps) == (3, 6)
    assert index["labelled"] is False
    assert set(index["solutions"]) == {"id", "verdict", "steps", "tokens", "problem"}
    assert index["problems"]["tree"] == [None, None, None]


def test_many_problems_go_into_many_blocks_and_each_is_found(tmp_path: Path) -> None:
    write_large(tmp_path / "run", 20_000)
    write_view(tmp_path / "run")
    blocks = data(tmp_path / "run" / "view.html")
    index = blocks["index"]
    assert index["blocks"]["texts"] > 2
    for at, (block, place) in enumerate(index["problems"]["texts"]):
        assert blocks[f"texts-{block}"][place]["question"].startswith(f"Question {at}:")
    for at, (block, place) in enumerate(index["problems"]["tree"]):
        measured = [node for node in blocks[f"tree-{block}"][place] if node["total"]]
        assert len(measured) == index["problems"]["nodes"][at] == 4


@pytest.mark.parametrize("content", [b"", b"<!doctype html><title>mine</title>", b"\xff\x00notes"])
def test_a_file_that_is_not_a_page_of_ours_is_left_alone(run: Path, tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "notes.html"
    out.write_bytes(content)
    with pytest.raises(UsageError, match="is not a page of openr-data"):
        write_view(run, out)
    assert out.read_bytes() == content


def test_a_pipe_is_not_waited_for(run: Path, tmp_path: Path) -> None:
    mkfifo(tmp_path / "pipe.html")
    with pytest.raises(UsageError, match="is not a page of openr-data"):
        write_view(run, tmp_path / "pipe.html")


def test_places_that_cannot_be_written_are_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a directory; name the file"):
        write_view(run, tmp_path)
    with pytest.raises(UsageError, match="is not a directory; make it"):
        write_view(run, tmp_path / "nowhere" / "page.html")
    with pytest.raises(RunDirError, match="not a run directory"):
        write_view(tmp_path / "nothing")


def test_a_fault_of_the_disk_is_one_sentence_and_leaves_nothing_behind(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_view(run, tmp_path / "page.html")
    before = (tmp_path / "page.html").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("openr_data.pipelines.viewing.view.publish", full)
    with pytest.raises(StorageError, match=r"could not be written \(No space left on device\); choose another place with --out"):
        write_view(run, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_settings_tell_no_place_on_this_machine() -> None:
    said = settings({"run": {"source": {"location": "/home/somebody/secret/data.jsonl", "limit": 5}, "stop": []}})
    assert said == {"source": [("location", "data.jsonl"), ("limit", "5")]}
    assert settings({"run": {"source": {"location": r"C:\Users\somebody\data.jsonl"}}}) == {
        "source": [("location", "data.jsonl")]
    }


def test_the_interval_of_the_data_set_is_what_the_page_is_tested_against() -> None:
    """The browser's tests pin these two in the page."""
    assert [round(end, 2) for end in StepLabel(6, 8).interval()] == [0.41, 0.93]
    assert [round(end, 2) for end in StepLabel(0, 8).interval()] == [0.0, 0.32]
