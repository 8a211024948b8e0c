"""Extraction of the final answer: every rule, its order, texts that were cut off, and work that stays linear."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.graders.extract import extract

CASES = [
    (r"so \boxed{42}.", "42"),
    (r"first \boxed{1}, later \boxed{2}", "2"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    (r"\fbox{7}", "7"),
    (r"\boxed {7}", "7"),
    (r"\boxed 7 is it", "7"),
    (r"\boxed{\{1,2\}}", r"\{1,2\}"),
    (r"\boxed{x = \boxed{5}}", "5"),
    (r"$x=\boxed{1}$ or $x=\boxed{-2}$.", "1, -2"),
    (r"\boxed{1}, \boxed{2}, and \boxed{3}", "1, 2, 3"),
    (r"\boxed{3} and again \boxed{3}", "3"),
    (r"\boxed{3}. The answer is 4", "3"),
    (r"\boxed{3} so far, and \boxed{4", None),
    (r"\boxed{\frac{1}{2}", None),
    (r"we get \boxed", None),
    (r"\boxed{}", None),
    ("She sells 9 eggs.\n#### 18", "18"),
    ("#### 1,080\n", "1,080"),
    ("#### $18 dollars", "$18 dollars"),
    ("#### Step 3: add them\nThe answer is 12", "12"),
    ("#### 2. Conclusion\nso it is 9", "9"),
    ("to see that our answer is the right one we check it\n\nso 7", "7"),
    ("steps\n\n# Answer\n\n\\frac{1}{2}", r"\frac{1}{2}"),
    ("The answer is 42", "42"),
    ("The answer is: 42.", "42"),
    ("The final answer is $\\frac{3}{4}$. I hope it is correct.", r"\frac{3}{4}"),
    ("The answer is 5. Wait. The answer is 6.", "6"),
    ("**Final Answer:** 17", "17"),
    ("Answer: B", "B"),
    ("The answers are $1$ and $2$.", "1, 2"),
    ("The answer is:\n\n$$x^2$$", "x^2"),
    ("the answer is \\(3.5\\) metres", "3.5"),
    ("The answer is $18.", "$18"),
    ("The answer is that she needs 12 of them", "12"),
    ("Step 1: 3 + 4 = 7\nThe answer is 7", "7"),
    ("so it costs $51,288.13 a year, which is $40 more", "40"),
    ("therefore $x = 5$", "x = 5"),
    ("so we have \\[14 \\text{ h} + 20 \\text{ h} = 34 \\text{ h}\\]", r"34 \text{ h}"),
    ("the line is $x + y = 5$.", "x + y = 5"),
    ("It takes 3 hours and 20 miles", "20"),
    ("The answer is about 12 apples.", "12 apples"),
    ("The correct answer is option C.", "C"),
    ("The answer is 5 miles per hour.", "5 miles per hour"),
    ("first\n\n-17", "-17"),
    ("first\n3/4", "3/4"),
    ("", None),
    ("   \n ", None),
    ("I do not know.", None),
]


@pytest.mark.parametrize(("text", "answer"), CASES)
def test_cases(text: str, answer: str | None) -> None:
    assert extract(text) == answer


def test_the_rules_come_in_order() -> None:
    """Each rule wins over the ones below it, wherever its match stands."""
    pieces = [r"\boxed{1}", "#### 2", "The answer is 4", "and 5"]
    answers = ["1", "2", "4", "5"]
    for first in range(len(pieces)):
        assert extract("\n".join(pieces[first:])) == answers[first]
        if first < 3:
            assert extract("\n".join(reversed(pieces[first:]))) is not None


@given(st.text(alphabet="ab1{}\\ ", max_size=30).filter(lambda s: "\\" not in s and s.count("{") == s.count("}")))
def test_a_balanced_box_gives_back_its_content(content: str) -> None:
    depth = 0
    for character in content:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return
    assert extract(f"text \\boxed{{{content}}} more") == (content.strip() or None)


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=400)
    | st.lists(st.sampled_from(["\\boxed{", "}", "$", "\\(", "####", "answer is", "1", " ", "\n", ","])).map("".join)
)
def test_any_text_is_fine(text: str) -> None:
    answer = extract(text)
    assert answer is None or answer.strip()


def _events(text: str) -> int:
    """How many lines of our own code run: a count of work that no clock disturbs."""
    count = 0

    def tracer(frame: object, event: str, argument: object) -> object:
        nonlocal count
        count += event == "line"
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)  # type: ignore[arg-type] # a tracer that returns itself
    try:
        extract(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "piece",
    [
        "\\boxed{",
        "\\boxed{1} ",
        "\\boxed{1} and ",
        "$",
        "$1$ ",
        "\\(",
        "\\[ ",
        "final answer ",
        "the answer is ",
        "####",
        "{",
        "1 000 ",
        "A ",
        "\n",
    ],
)
def test_work_is_linear_in_the_length(piece: str) -> None:
    short, long = _events(piece * 200), _events(piece * 2000)
    assert long <= 15 * short + 200


HUGE = [
    "\\boxed{" * 12_500,
    "$" * 100_000,
    " " * 100_000 + "1",
    "final answer " * 4000,
    "\\(" * 20_000,
    "\\[ " * 15_000,
    "7" * 100_000,
    "1," * 50_000,
]


@pytest.mark.parametrize("text", HUGE, ids=lambda t: t[:8])
def test_huge_texts_come_back(text: str) -> None:
    answer = extract(text)
    assert answer is None or len(answer) <= 100_000
