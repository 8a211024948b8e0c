"""The card says exactly what is there, and nothing that it quotes can change what it says."""

import re
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.data_cards.blocks import Block
from openr_data.data_cards.card import BLOCKS, CardFacts, CardSplit, CardTable, dataset_info, info_of, render_card, size_category
from openr_data.data_cards.markup import fenced, inline, prose
from openr_data.errors import UsageError

LABELED = CardTable(
    "labeled", "Labels.", [{"name": "item", "dtype": "int64"}, {"name": "steps", "list": "string"}], 1200, 5000, 9000
)
ROLLOUTS = CardTable("rollouts", "Rollouts.", [{"name": "text", "dtype": "string"}], 99, 100, 300)
FACTS = CardFacts(
    "A run",
    [LABELED, ROLLOUTS],
    settings={"engine": "builtin", "temperature": 1.0},
    counts={"problems": 100},
    how=["Monte Carlo."],
    limits=["Arithmetic only."],
)
HOSTILE = [
    "x\n---\nlicense: mit\n---\n",
    "a: b # c",
    "| x | y |",
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "![](http://example.invalid/pixel)",
    "`code` **bold** # head",
    "a\x00b\x1b[31mred\u2028next\ud83d",
    "!!python/object/apply:os.system ['true']",
    "<!-- openr-data: end summary -->",
    "\n<!-- openr-data: begin limits -->\n",
    "- item\n1. item\n===",
    "left \u202eright \u2066 and \u2069 back",
]


def metadata(text: str) -> dict[str, object]:
    _, head, _ = text.split("---\n", 2)
    record: dict[str, object] = yaml.safe_load(head)
    return record


def test_the_metadata_is_exact_and_in_the_order_of_the_datasets_library() -> None:
    record = metadata(render_card(replace(FACTS, exact={"license": "mit"}, usual={"source_datasets": ["openai/gsm8k"]})))
    assert list(record) == [
        "license",
        "language",
        "pretty_name",
        "size_categories",
        "task_categories",
        "annotations_creators",
        "source_datasets",
        "tags",
        "dataset_info",
        "configs",
    ]
    assert (record["license"], record["source_datasets"]) == ("mit", ["openai/gsm8k"])
    assert record["size_categories"] == ["1K<n<10K"]
    assert record["configs"] == [
        {"config_name": "labeled", "default": True, "data_files": [{"split": "train", "path": "data/labeled/train-*.parquet"}]},
        {"config_name": "rollouts", "data_files": [{"split": "train", "path": "data/rollouts/train-*.parquet"}]},
    ]
    assert record["dataset_info"] == [
        {
            "config_name": "labeled",
            "features": [{"name": "item", "dtype": "int64"}, {"name": "steps", "list": "string"}],
            "splits": [{"name": "train", "num_bytes": 9000, "num_examples": 1200}],
            "download_size": 5000,
            "dataset_size": 9000,
        },
        {
            "config_name": "rollouts",
            "features": [{"name": "text", "dtype": "string"}],
            "splits": [{"name": "train", "num_bytes": 300, "num_examples": 99}],
            "download_size": 100,
            "dataset_size": 300,
        },
    ]


def test_splits_are_named_in_the_metadata_in_the_summary_and_in_how_to_load() -> None:
    parts = [CardSplit("train", "labeled/train-*", 1000, 4000, 8000), CardSplit("test", "labeled/test-*", 200, 1000, 1000)]
    text = render_card(replace(FACTS, tables=[replace(LABELED, splits=parts), ROLLOUTS], location='a/"b"'))
    first = metadata(text)["dataset_info"][0]  # type: ignore[index]  # a list, as the test above says
    assert first["splits"] == [
        {"name": "train", "num_bytes": 8000, "num_examples": 1000},
        {"name": "test", "num_bytes": 1000, "num_examples": 200},
    ]
    assert metadata(text)["configs"][0]["data_files"][1] == {"split": "test", "path": "labeled/test-*"}  # type: ignore[index]  # likewise
    assert "| labeled | train 1,000, test 200 | 1,200 | Labels. |" in text
    assert 'labeled = load_dataset("a/\\"b\\"", split="train")' in text


def test_the_text_names_tables_columns_settings_counts_and_limits() -> None:
    text = render_card(replace(FACTS, tables=[replace(LABELED, columns={"item": "Where it stands."}), ROLLOUTS], about="Steps."))
    for line in (
        "# A run",
        "Steps.",
        "| labeled | 1,200 | Labels. |",
        "| `item` | int64 | Where it stands. |",
        "| `steps` | list of string |  |",
        "| temperature | 1.0 |",
        "The run: 100 problems.",
        "- Monte Carlo.",
        "- Arithmetic only.",
    ):
        assert f"{line}\n" in text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_is_quoted_cannot_become_markup_metadata_or_a_mark(hostile: str) -> None:
    facts = replace(FACTS, title=hostile, settings={hostile: hostile}, counts={hostile: hostile}, location=hostile)
    text = render_card(facts)
    plain = render_card(FACTS)
    assert {**metadata(text), "pretty_name": ""} == {**metadata(plain), "pretty_name": ""}
    body = text.split("---\n", 2)[2]
    assert "\n---\n" not in body
    outside = re.sub(r"```python\n.*?\n```|<!-- openr-data: [a-z ]+ -->\n", "", body, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)[<>]", outside)
    assert re.findall(r"(?<!\\)`[^`\n]*`", outside) == ["`item`", "`steps`", "`text`"]
    assert not re.search(r"(?<!\\)\]\(", outside)
    assert all(line.isprintable() for line in body.split("\n"))
    assert body.count("\n#") == plain.split("---\n", 2)[2].count("\n#")
    assert re.findall(r"(?m)^<!-- openr-data: .*", body) == re.findall(r"(?m)^<!-- openr-data: .*", plain)
    text.encode()
    assert render_card(facts, text) == text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_our_own_sentences_show_names_as_code_and_nothing_else(hostile: str) -> None:
    """They are ours, and escaped all the same."""
    text = render_card(replace(FACTS, how=[hostile], limits=[hostile], about=hostile, tables=[replace(LABELED, doc=hostile)]))
    body = re.sub(r"```python\n.*?\n```|<!-- openr-data: [a-z ]+ -->\n", "", text.split("---\n", 2)[2], flags=re.DOTALL)
    assert not re.search(r"(?<!\\)[<>]|(?<!\\)\]\(", body)
    assert all(re.fullmatch(r"`[A-Za-z0-9_ ./,:=+*()-]+`", code) for code in re.findall(r"(?<!\\)`[^`\n]*`", body))


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(), max_size=40))
def test_an_inline_value_is_one_line_with_every_special_character_escaped(text: str) -> None:
    line = inline(text)
    assert "\n" not in line
    plain = line.replace("\\\\", "")
    for special in "`*_[]<>|#$@":
        assert plain.count(special) == plain.count("\\" + special)


@pytest.mark.parametrize(
    "text", ["www.example.invalid", "a@b.example", "http://x", "- x", "1. x", "+ x", "---", "===", "2) x", "[x]: y"]
)
def test_an_inline_value_renders_as_the_very_text(text: str) -> None:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark")
    assert reader.render(inline(text)) == f"<p>{escape(text)}</p>\n"
    assert reader.render(f"- {inline(text)}") == f"<ul>\n<li>{escape(text)}</li>\n</ul>\n"


def test_prose_keeps_names_between_backticks() -> None:
    assert prose("`mc` is (hits + 1/2) / <n>; ``x``") == "`mc` is (hits + 1/2) / \\<n\\>; \\``x`\\`"


def test_a_block_of_code_cannot_be_closed_from_inside() -> None:
    block = fenced("a\n````\nb")
    assert block.startswith("`````text\n")
    assert block.endswith("\n`````\n")


def test_a_mark_inside_a_block_is_no_mark() -> None:
    text = "<!-- openr-data: end run -->\n<!--openr-data: begin x -->"
    card = render_card(replace(FACTS, prompts={"the prompt": text}), blocks=[Block("citation", fenced(text))])
    assert card.count("<!-- openr-data: end run -->") == 1
    assert card.count("< !-- openr-data: end run -->") == 2
    assert render_card(replace(FACTS, prompts={"the prompt": text}), card, [Block("citation", fenced(text))]) == card


def test_a_table_name_that_is_no_name_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be the name of a table"):
        render_card(replace(FACTS, tables=[replace(LABELED, name="../x")]))


@pytest.mark.parametrize(("rows", "name"), [(0, "n<1K"), (10_000, "10K<n<100K"), (10**12, "n>1T"), (10**9, "1B<n<10B")])
def test_size_categories_are_the_names_of_the_hub(rows: int, name: str) -> None:
    assert size_category(rows) == name


def test_the_library_of_the_hub_reads_the_card(tmp_path: Path) -> None:
    from huggingface_hub import DatasetCard

    path = tmp_path / "README.md"
    path.write_text(render_card(FACTS), encoding="utf-8")
    card = DatasetCard.load(path)
    assert card.data.to_dict() == metadata(render_card(FACTS))
    assert card.text.lstrip().startswith("<!-- openr-data: written columns")


def test_what_a_card_says_of_the_data_is_read_back() -> None:
    assert info_of(render_card(FACTS)) == dataset_info(FACTS.tables)
    assert info_of("") is None


def test_every_block_has_a_place_in_the_order() -> None:
    card = render_card(FACTS, blocks=[Block(name, f"The {name}.\n") for name in reversed(BLOCKS)])
    assert re.findall(r"openr-data: begin (\w+)", card) == list(BLOCKS)
