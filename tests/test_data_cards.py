"""The card says exactly what is there, and nothing that it quotes can change what it says."""

import re
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.data_cards.card import CardFacts, CardTable, fenced, inline, render_card, size_category
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


def metadata(text: str) -> dict[str, object]:
    _, head, _ = text.split("---\n", 2)
    record: dict[str, object] = yaml.safe_load(head)
    return record


def test_the_metadata_is_exact() -> None:
    record = metadata(render_card(FACTS))
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


def test_the_text_names_tables_settings_counts_and_limits() -> None:
    text = render_card(FACTS)
    for line in (
        "| labeled | 1200 | Labels. |",
        "| temperature | 1.0 |",
        "| problems | 100 |",
        "- Monte Carlo.",
        "- Arithmetic only.",
    ):
        assert line in text
    assert render_card(FACTS) == text


@pytest.mark.parametrize(
    "hostile",
    [
        "x\n---\nlicense: mit\n---\n",
        "a: b # c",
        "| x | y |",
        "<script>alert(1)</script>",
        "[click](javascript:alert(1))",
        "![](http://example.invalid/pixel)",
        "`code` **bold** # head",
        "a\x00b\x1b[31mred\u2028next\ud83d",
        "!!python/object/apply:os.system ['true']",
    ],
)
def test_what_is_quoted_cannot_become_markup_or_metadata(hostile: str) -> None:
    facts = replace(FACTS, title=hostile, settings={hostile: hostile}, counts={"c": hostile}, how=[hostile], limits=[hostile])
    text = render_card(facts)
    assert {**metadata(text), "pretty_name": ""} == {**metadata(render_card(FACTS)), "pretty_name": ""}
    body = text.split("---\n", 2)[2]
    assert "\n---\n" not in body
    assert not re.search(r"(?<!\\)[<>`]", body.replace("```", "").replace("`datasets`", ""))
    assert not re.search(r"(?<!\\)\]\(", body)
    assert all(line.isprintable() for line in body.split("\n"))
    assert body.count("\n#") == render_card(FACTS).split("---\n", 2)[2].count("\n#")
    text.encode()


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(), max_size=40))
def test_an_inline_value_is_one_line_with_every_special_character_escaped(text: str) -> None:
    line = inline(text)
    assert "\n" not in line
    plain = line.replace("\\\\", "")
    for special in "`*_[]<>|#$":
        assert plain.count(special) == plain.count("\\" + special)


def test_a_block_cannot_be_closed_from_inside() -> None:
    block = fenced("a\n````\nb")
    assert block.startswith("`````text\n")
    assert block.endswith("\n`````\n")


def test_a_table_name_that_is_no_name_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be the name of a table"):
        render_card(replace(FACTS, tables=[replace(LABELED, name="../x")]))


@pytest.mark.parametrize(("rows", "name"), [(0, "n<1K"), (10_000, "10K<n<100K"), (10**12, "n>1T"), (10**9, "1B<n<10B")])
def test_size_categories_are_the_names_of_the_hub(rows: int, name: str) -> None:
    assert size_category(rows) == name
