"""The page as a file: what may run in it, what can load, and that no data can break out of its place."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openr_data.pages.assemble import SCRIPTS, STYLES, asset, page, script, stylesheet
from openr_data.pages.blocks import Blocks, compact, pack, unpack

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Outline(HTMLParser):
    """Elements with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in {"script", "style", "title"} else ""
        if self._inside:
            self.raw.append((tag, ""))

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[-1] = (self._inside, self.raw[-1][1] + data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def whole(title: str = "run", index: str = "", blocks: list[tuple[str, str]] | None = None) -> str:
    return "".join(page(title, index or pack({}), blocks or []))


def test_the_policy_names_exactly_the_styles_and_scripts_that_are_there() -> None:
    outline = Outline(whole())
    policy = next(a["content"] for tag, a in outline.elements if a.get("http-equiv") == "Content-Security-Policy") or ""
    programs = [
        text for (tag, text), (_, a) in zip(outline.raw, kept(outline), strict=True) if tag == "script" and not a.get("type")
    ]
    styles = [text for tag, text in outline.raw if tag == "style"]
    assert directive(policy, "default-src") == ["'none'"]
    assert directive(policy, "script-src") == [hashed(each) for each in programs]
    assert directive(policy, "style-src") == [hashed(each) for each in styles]
    assert len(programs) == 2
    assert len(styles) == 1
    assert "unsafe" not in policy
    assert "http" not in policy
    assert directive(policy, "require-trusted-types-for") == ["'script'"]


def kept(outline: Outline) -> list[tuple[str, dict[str, str | None]]]:
    return [each for each in outline.elements if each[0] in {"script", "style", "title"}]


def directive(policy: str, name: str) -> list[str]:
    return next(part.split()[1:] for part in policy.split(";") if part.split()[0] == name)


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_nothing_in_the_page_names_a_place_to_load_from() -> None:
    outline = Outline(whole())
    assert {name for _, attributes in outline.elements for name in attributes} & {
        "src",
        "srcset",
        "action",
        "data",
        "poster",
    } == set()
    assert [a["href"] for tag, a in outline.elements if "href" in a] == ["#main"]
    assert "url(" not in stylesheet()
    assert "@import" not in stylesheet()


def test_our_scripts_make_no_markup_from_text_and_ask_for_nothing() -> None:
    ours = "\n".join(asset(f"js/{name}") for name in SCRIPTS)
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "fetch(",
        "XMLHttp",
    ):
        assert forbidden not in ours
    assert re.findall(r"https?://[^\"']*", ours) == ["http://www.w3.org/2000/svg"]


def test_every_module_imports_only_what_stands_before_it_and_is_exported_there() -> None:
    exported: dict[str, set[str]] = {}
    for name in SCRIPTS:
        text = asset(f"js/{name}")
        for names, module in re.findall(r"^import \{([^}]*)\} from \"\./([a-z]+)\.js\";$", text, re.MULTILINE):
            assert {each.strip() for each in names.split(",")} <= exported[module], f"{name} imports from {module}"
        exported[name.removesuffix(".js")] = set(re.findall(r"^export (?:async )?(?:function|const) (\w+)", text, re.MULTILINE))
    assert "import " not in re.sub(r"//.*", "", script())
    assert not re.search(r"^export ", script(), re.MULTILINE)


def test_every_asset_is_used() -> None:
    assert sum(name.endswith(".js") for name in SCRIPTS) == len(set(SCRIPTS)) == 14
    assert len(set(STYLES)) == 5
    for name in SCRIPTS:
        assert asset(f"js/{name}").startswith("// ")


def test_temml_is_the_published_one_and_its_licence_goes_with_every_page() -> None:
    found = hashlib.sha256(asset("vendor/temml.min.js").encode()).hexdigest()
    assert found == "1ab19148afe0dbc836b7a74f344071b3f3a70a7a8259ae4049e76894fcdf8d95"
    assert "Copyright (c) 2020 Ron Kok" in whole()
    assert "THE SOFTWARE IS PROVIDED" in whole()


@given(JSON)
def test_a_block_gives_back_its_value_and_cannot_leave_its_element(value: object) -> None:
    text = pack(value)
    assert unpack(text) == value
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", text)
    assert pack(value) == text


def test_a_number_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        compact([float("nan")])


@given(st.text())
def test_a_title_stays_a_title(title: str) -> None:
    outline = Outline(whole(title.replace("\r", " ").replace("\0", " ")))
    assert [tag for tag, _ in outline.elements].count("script") == 3
    assert [tag for tag, _ in outline.elements].count("title") == 1


def test_blocks_are_filled_in_order_and_told_where_each_value_stands() -> None:
    written: list[str] = []
    blocks = Blocks(written.append, size=20)
    values = ["a" * 5, "b" * 5, "c" * 50, "d"]
    places = [blocks.add(value) for value in values]
    blocks.flush()
    blocks.flush()
    assert places == [(0, 0), (0, 1), (1, 0), (2, 0)]
    assert [unpack(text) for text in written] == [["a" * 5, "b" * 5], ["c" * 50], ["d"]]
    assert blocks.count == 3


def test_blocks_stand_in_the_page_under_their_names() -> None:
    block = pack(["</script>"])
    text = whole(blocks=[("texts-0", block), ("tree-0", block)])
    assert f'<script type="text/plain" id="texts-0">{block}</script>\n' in text
    assert text.index('id="index"') < text.index('id="texts-0"') < text.index('id="tree-0"') < text.index("</body>")
