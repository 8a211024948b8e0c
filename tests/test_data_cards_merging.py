"""What people write in a card survives its regeneration byte for byte; a broken card is refused, and nothing of it is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from test_data_cards import FACTS, LABELED, metadata

from openr_data.data_cards.blocks import Block, block_names, block_texts, merge_blocks, parse_blocks, people_text
from openr_data.data_cards.card import BLOCKS, render_card
from openr_data.data_cards.metadata import Head, merge_head, read_head, split_card
from openr_data.errors import InputError

CARD = render_card(FACTS)
MORE = replace(FACTS, tables=[replace(LABELED, rows=7)], counts={"problems": 3}, limits=["Other."], settings={"engine": "x"})
NAMES = ["title", "summary", "load", "limits", "citation"]

human = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=60).filter(
    lambda text: "openr-data" not in text
)


def body_of(card: str) -> str:
    return split_card(card)[1]


def without(card: str, *names: str) -> str:
    """The card after a person has deleted some blocks, marks and all."""
    head, body = split_card(card)
    return f"---\n{head}---\n{''.join(piece.text for piece in parse_blocks(body) if piece.block not in names)}"


def test_regeneration_changes_the_blocks_and_nothing_else() -> None:
    mine = CARD.replace("<!-- openr-data: begin load -->", "My words.  \r\n\n<!-- openr-data: begin load -->") + "\nThe end"
    again = render_card(MORE, mine)
    assert people_text(body_of(again)) == people_text(body_of(mine))
    assert block_names(body_of(again)) == block_names(body_of(mine))
    assert "- Other.\n" in again
    assert "Arithmetic only" not in again
    assert render_card(FACTS, again) == mine
    assert again.endswith("\nThe end")
    assert "My words.  \r\n\n<!-- openr-data: begin load -->" in again


@given(st.lists(human, min_size=len(NAMES) + 1, max_size=len(NAMES) + 1), st.permutations(NAMES), st.data())
@example([""] * 6, NAMES, None)
def test_text_around_and_between_blocks_is_unchanged_byte_for_byte(
    texts: list[str], order: list[str], data: st.DataObject | None
) -> None:
    """Whatever people write, wherever they move the blocks, and however many of them they delete."""
    kept = order if data is None else order[: data.draw(st.integers(0, len(order)))]
    start = merge_blocks("", [Block(name, f"The {name}.\n") for name in NAMES])
    pieces = {piece.block: piece.text for piece in parse_blocks(start) if piece.block}
    # A mark stands at the start of a line: what comes before it ends with one.
    parts = [text if not text or text.endswith("\n") else f"{text}\n" for text in texts]
    mine = pieces["written"] + parts[0] + "".join(pieces[name] + part for name, part in zip(kept, parts[1:], strict=False))
    again = merge_blocks(mine, [Block(name, f"New {name}\n") for name in NAMES])
    assert people_text(again) == people_text(mine)
    assert block_names(again) == kept
    assert again == mine.replace("\nThe ", "\nNew ").replace(".\n<!-- openr-data: end", "\n<!-- openr-data: end")
    everything = merge_blocks(mine, [Block(name, f"New {name}\n") for name in NAMES], every=True)
    assert sorted(block_names(everything)) == sorted(NAMES)
    rest = people_text(everything)
    for part in (piece.text for piece in parse_blocks(mine) if not piece.block):
        assert part in rest
        rest = rest[rest.index(part) + len(part) :]
    assert merge_blocks(everything, [Block(name, f"New {name}\n") for name in NAMES]) == everything


def test_a_block_that_was_deleted_stays_deleted_unless_all_are_asked_for() -> None:
    mine = without(CARD, "limits", "load")
    again = render_card(MORE, mine, [Block("citation", "Cite it.\n")])
    assert block_names(body_of(again)) == ["title", "summary", "labels", "run", "columns", "citation"]
    whole = render_card(MORE, again, [Block("citation", "Cite it.\n")], every=True)
    assert block_names(body_of(whole)) == [name for name in BLOCKS if name in {*block_names(body_of(CARD)), "citation"}]


def test_a_new_block_goes_before_those_that_follow_it() -> None:
    mine = CARD.replace("<!-- openr-data: end labels -->\n", "<!-- openr-data: end labels -->\nMy note on the labels.\n")
    again = render_card(FACTS, mine, [Block("quality", "Good.\n"), Block("citation", "Cite it.\n")])
    assert "end limits -->\n\n<!-- openr-data: begin quality -->\nGood.\n<!-- openr-data: end quality -->\n\n" in again
    assert again.endswith("Cite it.\n<!-- openr-data: end citation -->\n")
    assert "<!-- openr-data: end labels -->\nMy note on the labels.\n\n<!-- openr-data: begin limits -->" in again


def test_a_block_without_content_keeps_its_place() -> None:
    text = merge_blocks("", [Block("a", "A\n"), Block("b", "B\n")])
    emptied = merge_blocks(text, [Block("a", ""), Block("b", "B\n")])
    assert block_names(emptied) == ["a", "b"]
    assert merge_blocks(emptied, [Block("a", "A\n"), Block("b", "B\n")]) == text
    assert "begin" not in merge_blocks("Mine.\n", [Block("a", "")])


def test_a_renewed_block_is_written_only_over_one_that_says_something() -> None:
    text = merge_blocks("", [Block("a", "A\n"), Block("b", "B\n")])
    emptied = merge_blocks(text, [Block("a", "")])
    assert merge_blocks(emptied, [Block("a", "Old.\n", renewed=True), Block("c", "Old.\n", renewed=True)]) == emptied
    assert "begin a -->\nOld.\n" in merge_blocks(text, [Block("a", "Old.\n", renewed=True)])


def test_a_readme_of_a_person_is_kept_and_ours_stands_below_it() -> None:
    mine = "# My data\n\nHello, naïve ∑ world.\n\n---\n\nBye"
    card = render_card(FACTS, mine)
    assert body_of(card).startswith(f"{mine}\n\n<!-- openr-data: written columns")
    assert metadata(card) == metadata(CARD)
    assert render_card(FACTS, card) == card


def test_a_card_saved_with_the_line_ends_of_windows_is_read_and_its_text_keeps_them() -> None:
    mine = CARD.replace("pretty_name: A run", "pretty_name: Mine").replace("\n", "\r\n") + "Bye\r\n"
    again = render_card(MORE, mine)
    assert metadata(again)["pretty_name"] == "Mine"
    assert block_names(body_of(again)) == block_names(body_of(CARD))
    assert people_text(body_of(again)) == people_text(body_of(mine))
    assert render_card(MORE, again) == again


def test_a_readme_with_metadata_alone_gets_the_blocks() -> None:
    card = render_card(FACTS, "---\nlicense: mit\n---\n")
    assert card.startswith("---\nlicense: mit\nlanguage:\n- en\npretty_name: A run\n")
    assert block_names(body_of(card)) == block_names(body_of(CARD))


MINE = """\
# who owns this
license: "cc-by-4.0"  # asked the owners
language: [de, en]
tags:
- mine
- math
# and now the sizes
size_categories:
- n<1K
gated: true
extra: {a: 1, when: 2024-01-02}
"""


def test_keys_of_people_keep_value_spelling_and_comments() -> None:
    card = render_card(FACTS, f"---\n{MINE}---\n")
    head = split_card(card)[0]
    for line in MINE.splitlines():
        if line != "- n<1K":
            assert line in head
    record = read_head(head)
    assert record["tags"] == ["mine", "math", "synthetic", "process-supervision", "prm"]
    assert (record["language"], record["license"], record["gated"]) == (["de", "en"], "cc-by-4.0", True)
    assert record["size_categories"] == ["1K<n<10K"]
    assert record["dataset_info"] == metadata(CARD)["dataset_info"]
    assert render_card(FACTS, card) == card


def test_a_title_that_a_person_gave_is_the_heading_and_one_asked_for_replaces_it() -> None:
    mine = CARD.replace("pretty_name: A run", "pretty_name: 'My: data'")
    again = render_card(replace(FACTS, title="Another"), mine)
    assert "\n# My: data\n" in again
    assert "pretty_name: 'My: data'\n" in again
    asked = render_card(replace(FACTS, title="Another", exact={"pretty_name": "Another", "license": "mit"}), again)
    assert "\n# Another\n" in asked
    assert (metadata(asked)["pretty_name"], metadata(asked)["license"]) == ("Another", "mit")


def test_a_title_that_a_person_left_empty_is_ours() -> None:
    again = render_card(FACTS, CARD.replace("pretty_name: A run", "pretty_name:"))
    assert "\n# A run\n" in again
    assert metadata(again)["pretty_name"] is None


def test_a_last_block_of_one_line_says_something_without_a_line_end() -> None:
    text = "<!-- openr-data: begin cite -->\nMe.\n<!-- openr-data: end cite -->"
    assert block_texts(text) == {"cite": "Me.\n"}
    assert "Old." in merge_blocks(text, [Block("cite", "Old.", renewed=True)])


def test_a_value_that_needs_a_key_of_ours_is_written_out() -> None:
    """An anchor in a key that is written anew would leave the other key without a meaning."""
    head = merge_head("configs: &here [1]\nmine: *here\n", Head({"configs": [2]}))
    assert yaml.safe_load(head) == {"configs": [2], "mine": [1]}


BROKEN = [
    ("---\nlicense: mit\n", "no end"),
    ("---\nlicense: mit\n--- x\n# Hello\n", "no end"),
    ("---\nlicense:\tmit\n\tx: y\n---\n", "no YAML"),
    ("---\na: [1\n---\n", "no YAML (line "),
    ("---\n- a\n- b\n---\n", "not a list of keys with values"),
    ("---\njust text\n---\n", "not a list of keys with values"),
    ("---\na: 1\nb: 2\na: 3\n---\n", "names 'a' twice"),
    ("---\na: 1\n---\n---\nb: 2\n---\n", "more than two lines of ---"),
    ("---\n---\nlicense: mit\n---\n", "more than two lines of ---"),
    ("---\na: !!python/object/apply:os.system ['true']\n---\n", "no YAML"),
    (f"---\na: {'[' * 3000}\n---\n", "metadata"),
    ("---\nwhen: 2024-13-45\n---\n", "cannot be read"),
    (CARD.replace("<!-- openr-data: end run -->\n", ""), "begins inside another one"),
    (CARD.replace("<!-- openr-data: begin run -->\n", ""), "'run' of the card ends here and is not open"),
    (CARD.replace("<!-- openr-data: end limits -->\n", ""), "begins inside another one"),
    (CARD.replace("<!-- openr-data: end columns -->\n", ""), "the block 'columns' of the card has no end"),
    (CARD + CARD.split("---\n", 2)[2], "a second time"),
    (CARD.replace("<!-- openr-data: begin run -->", "<!-- openr-data: begin run -->x"), "broken mark"),
    (CARD.replace("<!-- openr-data: begin run -->", "  <!-- openr-data: begin run -->"), "broken mark"),
    (CARD.replace("<!-- openr-data: begin run -->", "<!--openr-data begin run-->"), "broken mark"),
    (CARD.replace("<!-- openr-data: begin run -->", "<!-- openr-data: begin the run -->"), "broken mark"),
]


@pytest.mark.parametrize(("card", "reason"), BROKEN)
def test_a_broken_card_is_refused_with_one_sentence(card: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        render_card(FACTS, card)
    said = str(caught.value)
    assert reason in said
    assert "README.md" in said
    assert "\n" not in said


@given(st.text(max_size=80) | human.map(lambda text: f"---\n{text}\n---\n"))
@example("\ufeff---\na: 1\n---\nHello")
def test_any_text_is_kept_or_refused_and_never_a_crash(text: str) -> None:
    try:
        card = render_card(FACTS, text)
    except InputError:
        return
    assert people_text(body_of(card)).startswith(people_text(body_of(text)))
    assert render_card(FACTS, card) == card
    assert metadata(card)["dataset_info"] == metadata(CARD)["dataset_info"]


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=12), lambda inner: st.lists(inner, max_size=3)),
        max_size=5,
    )
)
def test_every_key_of_a_person_has_its_value_afterwards(keys: dict[str, object]) -> None:
    head = yaml.safe_dump(keys, allow_unicode=True, sort_keys=False)
    card = render_card(FACTS, f"---\n{head}---\n" if keys else "")
    record = read_head(split_card(card)[0])
    written = yaml.safe_load(head)  # not always what was dumped: U+0085 becomes a space
    mine = {name: value for name, value in written.items() if name not in {"tags", "dataset_info", "configs", "size_categories"}}
    assert {name: record[name] for name in mine} == mine
