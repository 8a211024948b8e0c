"""The card of a run as people meet it: exact enough that a loader misses a shard, true to the run, and theirs to write in."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_data_cards import metadata
from test_pipelines_stage import SAMPLING, config, data_bytes, labels, write_problems

from openr_data.data_cards.blocks import block_names, block_texts, people_text
from openr_data.data_cards.card import CardSplit, CardTable, graft_card
from openr_data.data_cards.metadata import split_card
from openr_data.data_cards.provenance import sources
from openr_data.data_cards.statistics import Statistics
from openr_data.engines import EngineSpec
from openr_data.errors import InputError, RunDirError, UsageError
from openr_data.pipelines.card import run_tables
from openr_data.pipelines.config import GenerateConfig, RunOptions
from openr_data.pipelines.data_card import CardOptions, data_card, write_data_card
from openr_data.pipelines.generate import generate
from openr_data.pipelines.importing.run import ImportConfig, import_file
from openr_data.pipelines.label import label
from openr_data.pipelines.run_card import STALE, import_words
from openr_data.problems import ProblemSource
from openr_data.store.read import RunReader
from openr_data.store.run_record import RunIdentity, RunRecord

NOTE = "\n## My notes\n\nLook at <b>this</b>.\r\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled run of the built-in task in several shards, with its automatic card."""
    base = tmp_path_factory.mktemp("made")
    source = ProblemSource("builtin", count=6, difficulty=3)
    generate(GenerateConfig(source, EngineSpec("builtin"), SAMPLING, solutions=3, shard_size=3), RunOptions(base / "solutions"))
    labelled = replace(labels(base / "solutions", rollouts=2, filter_rollouts=4), engine=EngineSpec("builtin"), shard_size=2)
    label(labelled, RunOptions(base / "run"))
    return base / "run"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


@pytest.fixture(scope="module")
def datasets() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        import datasets as library

        patch.setattr("datasets.config.HF_HUB_OFFLINE", True)
        library.disable_progress_bars()
        yield library
        library.enable_progress_bars()


def body(run: Path) -> str:
    return split_card((run / "README.md").read_text(encoding="utf-8"))[1]


def add(run: Path, text: str) -> None:
    """What a person writes below everything, byte for byte."""
    with (run / "README.md").open("a", encoding="utf-8", newline="") as file:
        file.write(text)


def test_the_card_tells_what_was_run_and_how_good_it_is(run: Path) -> None:
    card = write_data_card(run, CardOptions(license="apache-2.0"))
    said = block_texts(body(run))
    assert list(card.figures) == re.findall(r"\]\((figures/[a-z-]+\.png)\)", said["figures"])
    assert all((run / name).read_bytes() == content for name, content in card.figures.items())
    assert "# Step labels by OmegaPRM" in said["title"]
    assert 'labeled = load_dataset("PATH", split="train")' in said["load"]
    record = RunReader.open(run).record
    assert f"| engine | {record.identity['engine']} |" in said["run"]
    assert "```text\n{question}\n```" in said["run"]
    for line in ("| temperature | 1.0 |", "| seed | 0 |", "| rollouts per prefix | 2 |", "| data schema | 2 |"):
        assert line in said["run"]
    assert f"| openr-data | {record.versions[0]['openr-data']} |" in said["versions"]
    assert f"| platform | {record.versions[0]['platform'].replace('_', chr(92) + '_')} |" in said["versions"]
    assert "an exact oracle" in said["quality"]
    assert "a right answer reached by wrong steps is invisible" in said["limits"]
    assert "| builtin:arithmetic | 6 | apache-2.0 |" in said["sources"]
    assert record.identity["inputs"]["solutions"] in said["sources"]
    assert "2406.06592" in said["citation"]
    assert metadata(card.text)["license"] == "apache-2.0"
    assert write_data_card(run) == card


def test_key_numbers_are_those_of_the_statistics(run: Path) -> None:
    labeled = list(RunReader.open(run).rows("labeled"))
    hard = [value for row in labeled for value in row["hard"]]
    wrong, right = hard.count(False), hard.count(True)
    said = block_texts(split_card(write_data_card(run).text)[1])["numbers"]
    assert f"| Solutions | {len(labeled)} |" in said
    assert f"| Steps | {len(hard)} |" in said
    assert f"| Of these right, wrong | {100 * right / (right + wrong):.1f} %, {100 * wrong / (right + wrong):.1f} % |" in said


def test_the_data_loads_as_the_card_says_and_a_missing_shard_fails_loudly(run: Path, tmp_path: Path, datasets: Any) -> None:
    write_data_card(run)
    for table in RunReader.open(run).manifest.tables:
        rows = datasets.load_dataset(str(run), table, split="train", cache_dir=str(tmp_path / "cache"))
        assert rows.num_rows == RunReader.open(run).size(table).rows
    next(iter(sorted((run / "data" / "labeled").glob("*.parquet")))).unlink()
    with pytest.raises(datasets.exceptions.DatasetsError, match="num_examples"):
        datasets.load_dataset(str(run), cache_dir=str(tmp_path / "other"))


def test_splits_somewhere_else_load_and_a_missing_one_fails_loudly(run: Path, tmp_path: Path, datasets: Any) -> None:
    """As a publisher lays them: the card knows only what it is told."""
    reader, folder = RunReader.open(run), tmp_path / "published"
    files, sizes = reader.files("labeled"), reader.manifest.files("labeled")
    parts = []
    for name, file, size in zip(("train", "validation", "test"), files, sizes, strict=True):
        target = folder / "steps" / f"{name}-00000-of-00001.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
        parts.append(CardSplit(name, f"steps/{name}-*", size.rows, size.bytes, size.arrow_bytes))
    whole = reader.size("labeled")
    table = CardTable("labeled", "", [], whole.rows, whole.bytes, whole.arrow_bytes, splits=parts)
    card = data_card(run, [table], location="someone/steps")
    (folder / "README.md").write_text(card.text, encoding="utf-8")
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {name: split.num_rows for name, split in loaded.items()} == {part.name: part.rows for part in parts}
    assert 'load_dataset("someone/steps", split="train")' in card.text
    assert "| `first_error` | int32 | Index of the first wrong step" in card.text
    (folder / "steps" / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(ValueError, match=r"'test': \(None"):
        datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "other"))


def test_the_library_of_the_hub_reads_the_card(run: Path) -> None:
    from huggingface_hub import DatasetCard

    write_data_card(run, CardOptions(license="cc-by-4.0"))
    data = DatasetCard.load(run / "README.md").data.to_dict()
    assert [info["config_name"] for info in data["dataset_info"]] == ["labeled", "problems", "nodes", "rollouts"]
    assert (data["license"], data["language"]) == ("cc-by-4.0", ["en"])


def test_resuming_a_run_keeps_what_people_wrote_and_the_full_card(run: Path, made: Path) -> None:
    write_data_card(run, CardOptions(license="mit"))
    add(run, NOTE)
    before = (run / "README.md").read_bytes()
    resumed = replace(
        labels(made.parent / "solutions", rollouts=2, filter_rollouts=4), engine=EngineSpec("builtin"), shard_size=2
    )
    label(resumed, RunOptions(run, mode="resume"))
    assert (run / "README.md").read_bytes() == before


def test_the_automatic_card_is_the_same_whether_the_full_one_was_there_or_not(run: Path) -> None:
    """Its blocks have the same words in both, so neither undoes the other."""
    automatic = block_texts(body(run))
    full = block_texts(split_card(write_data_card(run).text)[1])
    assert automatic.keys() < full.keys()
    assert automatic == {name: full[name] for name in automatic}


def test_numbers_say_that_they_are_old_when_the_data_has_changed(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 20)
    generate(config(source), RunOptions(tmp_path / "run"))
    write_data_card(tmp_path / "run")
    add(tmp_path / "run", NOTE)
    card = (tmp_path / "run" / "README.md").read_text(encoding="utf-8").replace("num_examples: 80", "num_examples: 72")
    (tmp_path / "run" / "README.md").write_text(card, encoding="utf-8", newline="")
    generate(config(source), RunOptions(tmp_path / "run", mode="resume"))
    said = block_texts(body(tmp_path / "run"))
    assert said["numbers"] == said["figures"] == STALE
    assert body(tmp_path / "run").replace("\r\n", "\n").endswith(NOTE.replace("\r\n", "\n"))
    readme = tmp_path / "run" / "README.md"
    readme.write_bytes(readme.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))  # saved by an editor of Windows
    assert STALE.strip() not in write_data_card(tmp_path / "run").text


def test_a_card_that_cannot_be_read_does_not_fail_a_run_and_is_left_as_it_is(tmp_path: Path) -> None:
    source, told = write_problems(tmp_path / "problems.jsonl", 4), list[str]()
    options = RunOptions(tmp_path / "run", warn=told.append)
    generate(config(source), options)
    path = tmp_path / "run" / "README.md"
    for broken in (b"---\nlicense: mit\n", b"---\nlicense: \xff\n---\n", b"<!-- openr-data: end title -->\n"):
        path.write_bytes(broken)
        told.clear()
        generate(config(source), replace(options, mode="resume"))
        assert path.read_bytes() == broken
        assert [line for line in told if "was left as it is" in line] == told != []
        with pytest.raises(InputError):
            write_data_card(tmp_path / "run")
        assert path.read_bytes() == broken
        assert not (tmp_path / "run" / "figures").exists()


def test_a_finished_run_keeps_its_bytes_beside_a_persons_words(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 6)
    generate(config(source), RunOptions(tmp_path / "run"))
    add(tmp_path / "run", NOTE)
    before = data_bytes(tmp_path / "run")
    generate(config(source), RunOptions(tmp_path / "run", mode="resume"))
    assert data_bytes(tmp_path / "run") == before


def test_what_was_asked_for_stays_and_goes_with_the_data(run: Path, tmp_path: Path) -> None:
    (tmp_path / "own.bib").write_text("@misc{mine, title = {Mine}}\n", encoding="utf-8")
    questions = [json.dumps({"question": row["question"], "answer": "0"}) for row in RunReader.open(run).rows("problems")]
    (tmp_path / "bench.jsonl").write_text("\n".join(questions[:2]) + "\n", encoding="utf-8")
    asked = CardOptions("Mine", "mit", tmp_path / "own.bib", (tmp_path / "bench.jsonl",))
    first = write_data_card(run, asked)
    assert "| bench.jsonl | 2 | 2 | 2 |" in first.text
    assert "@misc{mine, title = {Mine}}" in first.text
    add(run, NOTE)
    again = write_data_card(run)
    assert again.text == first.text + NOTE
    tables = run_tables({name: RunReader.open(run).size(name) for name in RunReader.open(run).manifest.tables})
    assert data_card(run, tables).text == again.text
    elsewhere = data_card(run, tables, existing="---\nlicense: cc0-1.0\n---\nAnother home.\n", location="a/b").text
    assert metadata(elsewhere)["license"] == "cc0-1.0"
    assert metadata(elsewhere)["pretty_name"] == "Mine"
    said = block_texts(split_card(elsewhere)[1])
    assert ("@misc{mine" in said["cite"], "| bench.jsonl | 2 | 2 | 2 |" in said["contamination"]) == (True, True)
    assert people_text(split_card(elsewhere)[1]).startswith("Another home.\n")
    assert "My notes" not in elsewhere


def test_a_deleted_block_stays_deleted_until_all_are_asked_for(run: Path) -> None:
    card = write_data_card(run).text
    kept = re.sub(r"<!-- openr-data: begin costs -->.*?<!-- openr-data: end costs -->\n", "", card, flags=re.DOTALL)
    (run / "README.md").write_text(kept, encoding="utf-8")
    assert write_data_card(run).text == kept
    assert block_names(split_card(write_data_card(run, CardOptions(every=True)).text)[1]) == block_names(split_card(card)[1])


def test_an_unfinished_run_has_no_card(tmp_path: Path) -> None:
    from store_runs import write_run

    write_run(tmp_path / "run", range(4))
    with pytest.raises(RunDirError, match=r"is not finished, .* continue it with --resume"):
        write_data_card(tmp_path / "run")
    assert not (tmp_path / "run" / "README.md").exists()


def test_a_run_that_another_process_has_keeps_its_card(run: Path) -> None:
    before = (run / "README.md").read_bytes()
    hold = (
        "import sys; from pathlib import Path\nfrom openr_data.store.lock import DirectoryLock\n"
        "with DirectoryLock(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunDirError, match="is in use by process"):
            write_data_card(run)
        other.communicate("")
    assert (run / "README.md").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (CardOptions(license="MIT License"), "'MIT License' is no licence"),
        (CardOptions(license="mit\nx: y"), "is no licence"),
    ],
)
def test_a_licence_is_an_identifier(run: Path, options: CardOptions, reason: str) -> None:
    before = (run / "README.md").read_bytes()
    with pytest.raises(UsageError, match=reason):
        write_data_card(run, options)
    assert (run / "README.md").read_bytes() == before


@pytest.mark.parametrize("content", [b"no entry", b"@misc{open, title = {x}", b"\xff@misc{a, title = {x}}"])
def test_a_citation_is_bibtex(run: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "own.bib").write_bytes(content)
    with pytest.raises(InputError, match=r"own\.bib"):
        write_data_card(run, CardOptions(cite=tmp_path / "own.bib"))
    with pytest.raises(InputError, match=r"nowhere\.bib cannot be read"):
        write_data_card(run, CardOptions(cite=tmp_path / "nowhere.bib"))


def test_an_imported_run_says_whose_the_labels_are_and_how_they_were_read(tmp_path: Path) -> None:
    rows = [
        {
            "id": f"p-{n}",
            "generator": "m",
            "problem": f"What is {n} + 1?",
            "steps": ["a", "b"],
            "final_answer_correct": False,
            "label": 1,
        }
        for n in range(3)
    ]
    (tmp_path / "bench.json").write_text(json.dumps(rows), encoding="utf-8")
    import_file(ImportConfig(ProblemSource(str(tmp_path / "bench.json")), "processbench"), tmp_path / "run")
    automatic = block_texts(body(tmp_path / "run"))
    card = write_data_card(tmp_path / "run").text
    said = block_texts(split_card(card)[1])
    assert automatic == {name: said[name] for name in automatic}
    assert metadata(card)["annotations_creators"] == ["found"]
    assert metadata(card)["tags"] == ["math", "process-supervision", "prm"]
    assert "The labels are not ours: they were published in the layout `processbench`." in said["labels"]
    assert "experts marked the first wrong step" in said["labels"]
    assert "neutral" not in said["labels"]
    assert "ProcessBench was published under apache-2.0" in said["sources"]
    assert "2412.06559" in said["citation"]
    assert "costs" not in said


@pytest.mark.parametrize(
    ("layout", "reading", "told"),
    [
        ("prm800k", {"neutral": "good"}, "A neutral rating counts as good."),
        ("prm800k", {"neutral": "none"}, "A neutral rating gives no label."),
        ("prm800k", {"keep_excluded": True}, "such as quality control, were kept."),
        ("openrlhf", {"threshold": 0.5}, "Of soft values, those count as right that are at least 0.5."),
        ("openrlhf", {"threshold": 0.0}, "Of soft values, those count as right that are above 0."),
        ("math-aps", {}, "Of soft values, those count as right that the layout's authors call so."),
        ("of a later version", {}, "The layout does not say who or what made them."),
    ],
)
def test_the_rules_by_which_published_labels_were_read(layout: str, reading: dict[str, Any], told: str) -> None:
    source = {"location": "a/b", "revision": "abc"}
    config = {"run": {"source": source, "format": layout, "reading": reading}}
    record = RunRecord.of(
        RunIdentity("import", config, f"published:{layout}", {"source": "hub:a/b@abc"}, ("labeled", "problems"))
    )
    words = import_words(record)
    assert any(told in sentence for sentence in words["how"])
    assert (words["settings"]["read from"], words["settings"]["revision"]) == ("a/b", "abc")


def test_hostile_names_in_the_data_stay_text(run: Path) -> None:
    hostile = "x|y <!-- openr-data: end sources -->\n---\n<script>"
    counted = Statistics(sources={hostile: 3}, methods={hostile: 1}, skipped={hostile: 2}, verdicts={hostile: 1})
    reader = RunReader.open(run)
    tables = run_tables({name: reader.size(name) for name in reader.manifest.tables})
    card = data_card(run, tables, existing=(run / "README.md").read_text(encoding="utf-8"), counted=counted).text
    assert "<script>" not in card.replace("\\<script\\>", "")
    assert card.count("<!-- openr-data: end sources -->") == 1
    assert data_card(run, tables, existing=card, counted=counted).text == card


def test_the_automatic_card_loads_no_drawing_and_no_statistics(made: Path) -> None:
    probe = (
        "import sys; from pathlib import Path\n"
        "from openr_data.pipelines.run_card import automatic_card\n"
        "from openr_data.store.read import RunReader\n"
        f"reader = RunReader.open(Path({str(made)!r}))\n"
        "sizes = {name: reader.size(name) for name in reader.manifest.tables}\n"
        "assert automatic_card(reader.path, reader.record, sizes, {}) is not None\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    assert {"matplotlib", "polars", "openr_data.pipelines.statistics"}.isdisjoint(loaded)


def test_a_card_made_elsewhere_is_grafted_onto_one_that_people_wrote_in(run: Path) -> None:
    card = write_data_card(run).text
    mine = card.replace("num_examples", "num_old").replace("pretty_name: ", "license: mit\npretty_name: My ") + NOTE
    grafted = graft_card(card, mine)
    assert metadata(grafted)["dataset_info"] == metadata(card)["dataset_info"]
    assert (metadata(grafted)["license"], metadata(grafted)["pretty_name"]) == ("mit", "My Step labels by OmegaPRM")
    assert split_card(grafted)[1] == split_card(card)[1] + NOTE
    assert graft_card(card, "") == card


def test_a_licence_is_told_with_the_name_that_it_hangs_on() -> None:
    told = sources({"math": 3, "mine": 1}, [], {}, "math.jsonl", "")
    assert "| math | 3 | mit | if it is MATH: github.com/hendrycks/math, LICENSE |\n" in told
    assert "| mine | 1 | not stated | nothing is known here of this source |\n" in told
    assert "or else by its file; whether it is what it is called was not checked." in told


def test_a_block_that_a_person_made_is_grafted_like_any_other(run: Path) -> None:
    add(run, "<!-- openr-data: begin mine -->\nHello.\n<!-- openr-data: end mine -->\n")
    card = write_data_card(run).text
    assert block_texts(split_card(card)[1])["mine"] == "Hello.\n"
    assert block_texts(split_card(graft_card(card, ""))[1])["mine"] == "Hello.\n"
    assert graft_card(card, card) == card
