"""The page in a real browser: nothing loads, nothing of a model runs, and everything can be reached with the keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.common.exceptions import JavascriptException
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from view_tier.browser import Page

NAMES = ("labeled", "generated", "unfinished", "imported", "odd", "large")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_asks_nothing_of_any_network_and_has_nothing_to_complain_about(page: Page, pages: Path, name: str) -> None:
    page.open(pages / f"{name}.html")
    page.one("#header nav a + a").click()
    page.wait("document.body.dataset.view === 'figures'")
    assert page.all("figure svg.chart")
    assert page.requests() == []
    assert page.complaints() == []


def test_the_policy_refuses_what_the_page_does_not_hold(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html")
    page.js("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))")
    page.js("fetch('http://127.0.0.1:9/y').catch(() => 0)")
    page.js("document.body.append(Object.assign(document.createElement('style'), {textContent: 'body { color: red }'}))")
    with pytest.raises(JavascriptException, match="TrustedHTML"):
        page.js("document.body.innerHTML = '<b>x</b>'")
    with pytest.raises(JavascriptException, match="TrustedScript"):
        page.js("document.createElement('script').text = '1 + 1'")
    assert len([said for said in page.complaints() if "Content Security Policy" in said]) >= 3


def test_hostile_text_is_shown_and_not_run(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html", "#p%3C%2Fscript%3E%2F1/p%3C%2Fscript%3E%2F1%2F0")
    assert page.driver.title == "labeled - openr-data"
    steps = [str(text) for text in page.js("[...document.querySelectorAll('.step .prose')].map((each) => each.textContent)")]
    assert steps[0] == "<script>document.title = 'run'</script>"
    assert steps[1] == "<img src=x onerror=\"document.title = 'run'\">"
    assert steps[2] == "</script><script>document.title = 'run'</script><!-- <script>"
    assert steps[3] == "${document.title = 'run'} {{7*7}} `x` \u2028 \u2029 \0 &lt;b&gt;"
    assert "\\href{javascript:alert(1)}{x}" in steps[4]
    assert page.text(".asked") == "Is <b>this</b> bold? </title><script>document.title = 'run'</script>"
    assert "<i>7</i>" in page.text(".reference")
    assert (
        page.js(
            "document.querySelectorAll('#main script, #main img, #main b, #main i, #main a[href], #main [style*=url]').length"
        )
        == 0
    )
    assert page.js("document.querySelectorAll('#main').length") == 1
    page.button("Tree").click()
    page.wait("document.querySelectorAll('.rollout').length === 6")
    assert page.text(".rollout > .prose") == "<script>document.title = 'run'</script>"
    assert page.driver.title == "labeled - openr-data"
    assert page.complaints() == []


def test_mathematics_is_drawn_and_what_cannot_be_read_stays_as_written(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html", "#maths")
    step = "document.querySelectorAll('.step .prose')"
    assert page.js(f"{step}[0].querySelectorAll('math mfrac').length") == 1
    assert page.js(f"{step}[0].textContent.endsWith(', and it costs $5 or $6.')")
    assert page.js(f"{step}[1].querySelectorAll('math mtable mtd').length") == 4
    assert page.js(f"{step}[1].querySelectorAll('math mroot').length") == 1
    assert page.js(f"{step}[2].querySelectorAll('math mtr').length") == 2
    assert page.js(f"{step}[3].textContent") == "A broken one stays: \\(\\frac{1}{\\) and $\\nosuchcommand{2}$."
    assert page.js(f"{step}[4].querySelectorAll('math').length") == 2
    assert page.text(".step:last-child .prose").startswith("Then $5 of 10% is ")
    assert page.js(f"{step}[5].querySelectorAll('math').length") == 1
    assert page.js("document.querySelectorAll('.reference mfrac, .asked mfrac').length") == 2
    assert page.js(f"{step}[1].querySelector('math').getBoundingClientRect().height") > 30
    page.button("Raw text").click()
    page.wait("document.querySelectorAll('#main math').length === 0")
    assert page.js(f"{step}[2].textContent") == "\\begin{align*} a &= b \\\\ &= c \\end{align*}"


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [("verdict", "right", 2), ("verdict", "unknown", 1), ("first", "4", 1), ("first", "none", 2), ("first", "undecided", 1),
     ("first", "some", 3), ("source", "books", 3), ("difficulty", "10", 2)],
)  # fmt: skip
def test_each_filter_leaves_what_it_says(page: Page, pages: Path, name: str, value: str, left: int) -> None:
    page.open(pages / "labeled.html")
    choose(page, name, value)
    assert page.text(".count").startswith(f"{left} of 6 solutions")
    assert len(page.all(".space .row")) == left
    page.button("Clear filters").click()
    assert page.text(".count").startswith("6 of 6 solutions")


def test_search_finds_words_of_steps_and_ranges_find_values(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html")
    page.focus("#search")
    page.press("ANOTHER")
    assert page.text(".count") == "1 of 6 solutions in 1 problem"
    assert "tree" in page.text(".space .row")
    page.button("Clear filters").click()
    page.focus("[name=low]")
    page.press("0.5")
    assert page.text(".count").startswith("3 of 6 solutions")
    page.focus("[name=high]")
    page.press("0.8")
    assert page.text(".count").startswith("2 of 6 solutions")


def test_the_problems_are_rows_too_with_those_that_were_dropped(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html")
    page.button("Problems").click()
    assert len(page.all(".space .row")) == 6
    assert "too easy" in page.text(".list")
    choose(page, "verdict", "right")
    assert len(page.all(".space .row")) == 2
    page.button("Clear filters").click()
    next(row for row in page.all(".space .row") if "dropped" in row.text).click()
    page.wait("document.querySelector('.detail').textContent.includes('The labeler dropped this problem: too easy.')")


def test_sorting_says_its_direction_and_turns_around(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html")
    page.button("Steps").click()
    ascending = column(page, "steps")
    assert ascending == sorted(ascending, key=int)
    assert page.one("[data-name=steps]").get_attribute("aria-sort") == "ascending"
    page.button("Steps").click()
    assert column(page, "steps") == ascending[::-1]
    assert page.one("[data-name=steps]").get_attribute("aria-sort") == "descending"


def test_the_table_is_one_tab_stop_and_moves_with_the_keys(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html")
    page.focus(".grid")
    page.press(Keys.HOME, Keys.ARROW_DOWN, Keys.ENTER)
    page.wait("document.querySelector('.asked').textContent.includes('Find')")
    assert page.js("document.activeElement.getAttribute('aria-activedescendant')") == "row-1"
    assert page.one("#row-1").get_attribute("aria-selected") == "true"
    page.press(Keys.END)
    assert page.js("document.activeElement.getAttribute('aria-activedescendant')") == "row-5"


def test_a_step_tells_its_evidence_on_focus_and_on_hover(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html", "#tree/tree%2F0")
    page.js("document.querySelectorAll('.measured')[1].focus()")
    assert page.js("document.activeElement.getAttribute('aria-describedby')") == "tooltip"
    said = page.text("#tooltip")
    assert "0.750" in said
    assert "6 right of 8 decided" in said
    assert "0.41 to 0.93 (Wilson)" in said
    assert "mean" in said
    page.press(Keys.ESCAPE)
    assert page.one("#tooltip").get_attribute("hidden") is not None
    page.js("document.querySelectorAll('.measured')[4].dispatchEvent(new PointerEvent('pointerenter'))")
    assert "0.00 to 0.32 (Wilson)" in page.text("#tooltip")


def test_a_step_is_marked_by_more_than_its_colour(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html", "#tree/tree%2F0")
    marks = page.js("[...document.querySelectorAll('.step .mark')].map((each) => each.textContent)")
    assert marks == ["✓", "✓", "✓", "✓", "✗", "·"]
    assert page.text(".step.error .flag") == "First wrong step"
    assert page.text(".step.error .chip .counts") == "0/8"


def test_the_tree_is_walked_and_folded_with_the_keyboard(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html", "#tree;tree")
    page.wait("document.querySelector('[role=tree]')")
    assert len(page.all("[role=treeitem]")) == 5
    page.focus("[role=treeitem][tabindex='0']")
    assert "Question" in str(page.js("document.activeElement.getAttribute('aria-label')"))
    page.press(Keys.ARROW_DOWN)
    assert "6 right of 8 decided" in str(page.js("document.activeElement.getAttribute('aria-label')"))
    page.press(Keys.ARROW_LEFT)
    assert page.js("document.activeElement.getAttribute('aria-expanded')") == "false"
    assert page.js("document.activeElement.querySelector('[role=treeitem]').getBoundingClientRect().height") == 0
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert "1 right of 8" in str(page.js("document.activeElement.getAttribute('aria-label')"))
    page.press(Keys.ARROW_RIGHT)
    assert "first wrong step of solution 1" in str(page.js("document.activeElement.getAttribute('aria-label')"))
    assert page.text(".chosen h4") == "After step 5"
    assert len(page.all(".rollout")) == 6
    assert "6 of 9 rollouts shown" in page.text(".chosen")
    page.press(Keys.ARROW_LEFT, Keys.HOME, Keys.ARROW_LEFT, Keys.ARROW_DOWN)
    assert "Question" in str(page.js("document.activeElement.getAttribute('aria-label')"))


def test_an_address_leads_to_its_solution_and_back_goes_back(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html", "#tree/tree%2F1")
    assert page.text(".chooser [aria-pressed=true] .place") == "2"
    page.one(".chooser button").click()
    page.wait("location.hash === '#tree/tree%2F0'")
    page.driver.back()
    page.wait("document.querySelector('.chooser [aria-pressed=true] .place').textContent === '2'")
    page.open(pages / "labeled.html", "#nobody/knows")
    assert page.text(".asked") != ""
    assert page.complaints() == []


def test_themes_follow_the_system_and_the_switch(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.js(ground)
    page.media(prefers_color_scheme="dark")
    dark = page.js(ground)
    assert light != dark
    page.button("Theme").click()
    assert (page.button("Theme").text, page.js(ground)) == ("Theme: light", light)
    page.button("Theme").click()
    page.media(prefers_color_scheme="light")
    assert (page.button("Theme").text, page.js(ground)) == ("Theme: dark", dark)
    page.button("Theme").click()
    assert (page.button("Theme").text, page.js(ground)) == ("Theme: auto", light)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page: Page, pages: Path, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for every text in sight."""
    page.media(prefers_color_scheme=scheme)
    for fragment in ("#tree/tree%2F0", "#tree;tree", "#;figures"):
        page.open(pages / "labeled.html", fragment)
        looked_at, failing = page.js(f"({CONTRAST})()")
        assert looked_at > 30
        assert failing == []


def test_a_narrow_screen_shows_the_list_or_the_problem(page: Page, pages: Path) -> None:
    page.size(400, 800)
    page.open(pages / "labeled.html")
    assert page.one(".panel").is_displayed()
    assert not page.one(".detail").is_displayed()
    page.one(".space .row").click()
    page.wait("document.querySelector('.browse.reading')")
    assert page.one(".detail").is_displayed()
    assert page.js("document.documentElement.scrollWidth <= 400")
    assert page.js("document.querySelector('.grid').dataset.without") == "steps lowest strip"
    page.button("Back").click()
    assert page.one(".panel").is_displayed()
    assert page.js("document.querySelector('.grid').dataset.without") == "steps lowest strip"


def test_a_run_without_labels_has_no_columns_of_labels(page: Page, pages: Path) -> None:
    page.open(pages / "generated.html")
    assert page.text(".row.head") == "ProblemAnswerSteps"
    assert page.js("[...document.querySelectorAll('.step .prose')].map((each) => each.textContent)") == ["0 + 1 = 1", "So 1"]


def test_labels_without_values_are_shown_as_labels(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html", "#published")
    assert page.js("[...document.querySelectorAll('.step .mark')].map((each) => each.textContent)") == ["✓", "✗", "·"]
    assert page.all(".detail .chip") == []


def test_a_block_that_is_missing_is_told_and_the_rest_goes_on(page: Page, pages: Path) -> None:
    page.open(pages / "cut.html", "#tree/tree%2F0")
    page.button("Tree").click()
    page.wait("document.querySelector('.detail [role=alert]')")
    assert page.text(".detail [role=alert]") == 'This file is not whole: its block "tree-0" is missing.'
    page.button("2 solutions").click()
    page.wait("document.querySelector('.detail .step')")


def test_what_is_not_there_is_told(page: Page, pages: Path) -> None:
    page.open(pages / "unfinished.html")
    assert "This run is not finished" in page.text("#notices")
    assert "4 problems in its finished shards" in page.text("#notices")
    page.open(pages / "labeled.html")
    assert "15 of 51 rollouts" in page.text("#notices")


def test_a_hundred_thousand_steps_are_searched_scrolled_and_opened(page: Page, pages: Path) -> None:
    page.open(pages / "large.html")
    assert page.text(".count") == "12,500 of 12,500 solutions in 3,125 problems"
    assert len(page.all(".space .row")) < 60
    page.focus(".grid")
    page.press(Keys.END, Keys.ENTER)
    page.wait("document.querySelector('.asked')?.textContent.startsWith('Question 3124:')")
    last = str(page.js("document.querySelector('.step:last-child .prose').lastChild.previousSibling?.textContent ?? ''"))
    assert last
    words = str(page.js("document.querySelector('.step .prose').firstChild.textContent.match(/[0-9]{4,6}/)[0]"))
    page.focus("#search")
    page.press(words)
    assert int(page.text(".count").split()[0].replace(",", "")) < 100
    assert page.text(".space .row").startswith("large-")


def test_labels_are_shown_as_they_were_published_also_after_the_first_error(page: Page, pages: Path) -> None:
    marks = "[...document.querySelectorAll('.step .place')].map((each) => each.textContent)"
    expected = [
        "1✓published as right",
        "2✗first wrong step",
        "3✓published as right",
        "4✗published as wrong",
        "5·published without a label",
    ]
    for fragment, values in (("#mixed/mixed%2F0", 5), ("#mixed/mixed%2F1", 0)):
        page.open(pages / "odd.html", fragment)
        assert page.js(marks) == expected
        assert len(page.all(".detail .chip")) == values
    assert page.js("[...document.querySelectorAll('.step')].map((each) => each.className.match(/edge-v./)[0])") == [
        "edge-vg",
        "edge-vb",
        "edge-vg",
        "edge-vb",
        "edge-vn",
    ]


def test_an_import_says_whose_its_labels_are_and_claims_no_cost(page: Page, pages: Path) -> None:
    page.open(pages / "imported.html", "#;figures")
    header = page.text("#header .name")
    assert "Published step labels (prm800k)" in header
    assert "The labels are not ours: they were published in the layout prm800k. In the original, people rated" in header
    said = page.text(".overview")
    assert "What the published labels cost is not known." in said
    assert "Completions drawn" not in said
    assert "2: see rejects.jsonl" in said
    assert "A neutral rating counts as wrong." in said
    axis = page.js("[...document.querySelectorAll('figure')].find((each) => each.textContent.includes('along')).textContent")
    assert "-101" in str(axis)


def test_what_ran_is_told_with_the_prompt_and_what_the_labels_cannot_see(page: Page, pages: Path) -> None:
    page.open(pages / "labeled.html", "#;figures")
    said = page.text(".overview")
    assert "OmegaPRM (arXiv 2406.06592): a binary search" in said
    assert "a right answer reached by wrong steps is invisible to it" in said
    assert "Completions drawn" in said
    bars = "[...document.querySelectorAll('figure')].find((each) => each.textContent.includes('first error is'))"
    assert page.js(f"[...{bars}.querySelectorAll('rect title')].map((each) => each.textContent)") == [
        "1: 0",
        "2: 1",
        "3: 0",
        "4: 1",
        "5: 1",
    ]


def test_a_first_error_that_was_not_measured_stands_in_the_tree(page: Page, pages: Path) -> None:
    page.open(pages / "odd.html", "#concluded;tree")
    page.wait("document.querySelector('[role=tree]')")
    said = page.js(
        "[...document.querySelectorAll('[role=treeitem]')].map((each) => [each.ariaLevel, each.getAttribute('aria-label')])"
    )
    assert said == [
        ["1", "Question: 5 right of 8 decided"],
        ["2", "Steps 1–2: 6 right of 8 decided"],
        ["3", "Step 4: not measured, first wrong step of solution 1"],
        ["4", "Steps 5–6: 0 right of 8 decided"],
        ["2", "Step 2: not measured, first wrong step of solution 2"],
    ]
    page.js("document.querySelectorAll('[role=treeitem]')[2].querySelector('.node').click()")
    assert "Not measured itself" in page.text(".chosen")
    assert page.all(".rollout") == []


def test_texts_that_could_hold_the_page_up_do_not(page: Page, pages: Path) -> None:
    page.open(pages / "odd.html", "#slow")
    assert page.js("document.querySelectorAll('.step')[0].textContent.includes('\\\\('.repeat(24000))")
    assert page.js("document.querySelectorAll('.step')[1].querySelectorAll('math').length") == 1
    assert page.js("document.querySelectorAll('.step')[2].querySelectorAll('math').length") == 500
    assert page.js("document.querySelectorAll('.step')[2].textContent.endsWith('$a$ '.repeat(11000))")


def test_many_steps_and_many_solutions_are_all_there(page: Page, pages: Path) -> None:
    page.open(pages / "odd.html", "#many/many%2F0")
    page.wait("document.querySelectorAll('.step').length === 350")
    assert page.js("[...document.querySelectorAll('.step .prose')].every((each, at) => each.textContent === `step ${at}`)")
    assert len(page.all(".chooser button")) == 100
    assert page.text(".chooser-note").startswith("Solutions 1 to 100 of 250;")
    page.open(pages / "odd.html", "#many/many%2F249")
    assert page.text(".chooser [aria-pressed=true] .place") == "250"
    assert page.text(".chooser-note").startswith("Solutions 151 to 250 of 250;")


def test_search_asks_for_every_word_and_for_phrases_in_quotes(page: Page, pages: Path) -> None:
    page.open(pages / "odd.html")
    for words, left in (
        ("CAFE", 2),
        ("café two", 2),
        ("two where", 2),
        ('"where two"', 0),
        ('"where is"', 2),
        ("many one.", 249),
        ("cafe zebra", 0),
    ):
        page.button("Clear filters").click()
        page.js("document.querySelector('#search').focus()")
        page.press(words)
        assert page.text(".count").split()[0] == str(left), words


def test_back_leads_from_a_problem_to_the_list_on_a_narrow_screen(page: Page, pages: Path) -> None:
    page.size(400, 800)
    page.open(pages / "labeled.html")
    page.one(".space .row").click()
    page.wait("document.querySelector('.browse.reading')")
    assert page.js("document.activeElement.textContent") == "Back to the list"
    page.driver.back()
    page.wait("!document.querySelector('.browse.reading')")
    assert page.one(".panel").is_displayed()
    page.one(".space .row").click()
    page.wait("document.querySelector('.browse.reading')")
    page.button("Back to the list").click()
    assert page.js("location.hash") == ""


def choose(page: Page, name: str, value: str) -> None:
    Select(page.one(f"select[name={name}]")).select_by_value(value)


def column(page: Page, name: str) -> list[str]:
    cells = "[...document.querySelectorAll('.space .row')].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)"
    return [str(text) for text in page.js(f"{cells}.map((row) => row.querySelector('.col-{name}').textContent)")]


CONTRAST = """() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => parts(color).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (parts(color)[3] !== 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const failing = [];
  let count = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const text = node.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest(".sr, script, noscript, option, .skip")) continue;
    count += 1;
    const style = getComputedStyle(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(ink), light(ground(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) failing.push(`${text.slice(0, 30)}: ${ink} on ${ground(element)}`);
  }
  return [count, failing];
}"""
