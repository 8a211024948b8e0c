"""A critic is asked and read as by the authors' script, which stands here once more, written from its description."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openr_data.prm.critic import Critique, critique, critique_prompt, extract_answer

BOXES = st.sampled_from(
    [r"\boxed{0}", r"\boxed{ 1 }", r"\boxed{-1}", r"\boxed{\text{1}}", r"\boxed{}", "none", r"a \boxed{0} \boxed{2}"]
)


def test_the_prompt_is_the_published_one() -> None:
    assert critique_prompt("What is {x}?", ["One.", "", "Three: \\boxed{3}."]) == (
        "The following is a math problem and a solution (split into paragraphs, enclosed with tags and indexed from 0):\n\n"
        "[Math Problem]\n\nWhat is {x}?\n\n[Solution]\n\n"
        "<paragraph_0>\nOne.\n</paragraph_0>\n\n<paragraph_1>\n\n</paragraph_1>\n\n"
        "<paragraph_2>\nThree: \\boxed{3}.\n</paragraph_2>\n\n"
        "Your task is to review and critique the solution paragraph by paragraph. Once you identify an error in a paragraph, "
        "return the index of the paragraph where the earliest error occurs. Otherwise, return the index of -1 (which typically "
        'denotes "not found").\n\nPlease put your final answer (i.e., the index) in \\boxed{}.'
    )


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["so \\boxed{2}"], Critique(2)),
        (["first \\boxed{0}, then \\boxed{ -1 }"], Critique(-1)),
        (["no box"], Critique(None, "no_answer")),
        (["\\boxed{paragraph 1}"], Critique(None, "unreadable")),
        (["\\boxed{}"], Critique(None, "unreadable")),
        (["\\boxed{3}"], Critique(3, "no_such_step")),
        (["\\boxed{-2}"], Critique(-2, "no_such_step")),
        (["\\boxed{1}", "\\boxed{0}", "\\boxed{0}"], Critique(0)),
        (["\\boxed{1}", "\\boxed{0}"], Critique(1)),  # a tie: the earlier answer
        (["?", "?", "\\boxed{0}"], Critique(0)),  # who says nothing does not vote
        (["\\boxed{x}", "\\boxed{x}", "\\boxed{0}"], Critique(None, "unreadable")),  # nonsense votes
        (["\\boxed{1}", "\\boxed{01}", "\\boxed{0}", "\\boxed{0}"], Critique(0)),  # texts are counted, not numbers
        (["\\boxed{\\text{1}}"], Critique(None, "unreadable")),
        ([], Critique(None, "no_answer")),
    ],
)
def test_answers_are_read_as_by_the_authors(texts: list[str], found: Critique) -> None:
    assert critique(texts, steps=3) == found


def test_only_a_step_of_the_solution_is_one() -> None:
    assert critique(["\\boxed{3}"], steps=3).step is None
    assert critique(["\\boxed{2}"], steps=3).step == 2
    assert critique(["\\boxed{-1}"], steps=3).step == -1


@given(st.lists(BOXES, max_size=8))
def test_a_vote_is_that_of_the_described_rule(texts: list[str]) -> None:
    answers = [found[-1].strip() for text in texts if (found := re.findall(r"\\boxed\{([^}]*)\}", text))]
    best = max(answers, key=lambda answer: (Counter(answers)[answer], -answers.index(answer)), default=None)
    expected = int(best) if best is not None and re.fullmatch(r"-?\d+", best) else None
    assert critique(texts, steps=3).prediction == expected


@given(st.text("\\boxed{}0123-+_ \n\u0663\ud800"))
def test_any_text_can_be_read(text: str) -> None:
    extract_answer(text)
    critique([text, f"\\boxed{{{text}}}"], steps=2)
