"""Overlap of questions: words, n-grams, short questions, other scripts, and the questions of real benchmarks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openr_data.errors import InputError
from openr_data.problems import ProblemSource, Reject
from openr_data.problems.ngrams import Match, QuestionIndex, fingerprint, words
from openr_data.problems.questions import read_questions

TRAIN = "If Ann has 12 apples and gives 5 of them to Bob, how many apples does she have left?"


def match(question: str, benchmark: Sequence[str], n: int = 8) -> Match | None:
    index = QuestionIndex([(f"b{place}", text) for place, text in enumerate(benchmark)], n)
    return index.match(fingerprint(question, n))


def test_words_leave_out_case_punctuation_and_mark_up_but_not_what_is_computed() -> None:
    assert words(r"Compute $\dfrac{1}{2} + X^{2}$.") == ["compute", "dfrac", "1", "2", "+", "x", "^", "2"]
    assert words("What is 1+1?") != words("What is 1-1?")
    assert words("5 − 3") == words("5 - 3")
    assert words("Straße ½") == ["strasse", "1", "2"]
    assert words("ＡＢＣ １２") == ["abc", "12"]
    assert words("小明有3个苹果") == ["小", "明", "有", "3", "个", "苹", "果"]
    assert words("What is n! or 5!? Tell me!") == ["what", "is", "n", "!", "or", "5", "!", "tell", "me"]
    assert words("... ?!,") == []


def test_the_same_question_in_other_white_space_is_exact() -> None:
    assert match("a  b\nc", ["x", "a b c"]) == Match(1, 1.0, exact=True)


def test_other_case_and_punctuation_is_the_same_words() -> None:
    assert match(TRAIN.upper().replace(",", " --").replace("--", ""), [TRAIN]) == Match(0, 1.0, exact=False)


def test_a_changed_word_costs_the_grams_that_hold_it() -> None:
    """Of 19 words there are twelve 8-grams and seven 13-grams; the fifth word stands in five of each."""
    assert len(words(TRAIN)) == 19
    changed = TRAIN.replace("12 apples", "12 pears")
    assert match(changed, [TRAIN]) == Match(0, 7 / 12, exact=False)
    assert match(changed, [TRAIN], n=13) == Match(0, 2 / 7, exact=False)


def test_a_question_inside_a_longer_one_is_held_whole() -> None:
    assert match(f"Answer briefly. {TRAIN} Think first.", [TRAIN]) == Match(0, 1.0, exact=False)
    found = match(TRAIN, [f"{TRAIN} {TRAIN.replace('apples', 'pears')}"])
    assert found is not None
    assert found.share < 0.5  # the share is of the benchmark's question


def test_a_paraphrase_shares_little() -> None:
    other = "Bob receives 5 of the 12 apples that Ann owns; what number of apples remains hers?"
    assert match(other, [TRAIN]) is None


def test_short_questions_are_compared_whole() -> None:
    assert match("Compute: 3 + 4.", ["compute 3 + 4"]) == Match(0, 1.0, exact=False)
    assert match("compute 3 - 4", ["compute 3 + 4"]) is None
    assert match("Please compute 3 + 4 and then multiply what you get by two", ["compute 3 + 4"]) is None
    assert match("???", ["..."]) is None  # no words at all


def test_non_ascii_questions() -> None:
    question = "小明有十二个苹果,他给了小红五个,还剩几个?"
    assert match(question.replace(",", ",").replace("?", ""), [question]) == Match(0, 1.0, exact=False)
    changed = match(question.replace("小红", "小芳"), [question])
    assert changed is not None
    assert 0.3 < changed.share < 1


def test_the_nearest_of_many_and_repeated_questions_count_once() -> None:
    index = QuestionIndex([("one", TRAIN), ("two", TRAIN + " "), ("three", TRAIN.replace("Bob", "Tim")), ("four", "zero")], 8)
    assert (len(index), index.ids) == (3, ["one", "three", "four"])
    found = index.match(fingerprint(TRAIN.replace("Bob", "Tim") + " Explain.", 8))
    assert found is not None
    assert (index.ids[found.place], found.share) == ("three", 1.0)


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=8), max_size=4), st.lists(st.sampled_from("abc"), max_size=10))
def test_shares_are_those_of_plain_sets(benchmark: list[list[str]], question: list[str]) -> None:
    n = 3

    def grams(each: Sequence[str]) -> set[tuple[str, ...]]:
        return {tuple(each[k : k + n]) for k in range(len(each) - n + 1)}

    distinct = list(dict.fromkeys(" ".join(each) for each in benchmark))
    shares = []
    for text in distinct:
        theirs, ours = grams(text.split()), grams(question)
        short = not theirs and not ours and bool(question) and text.split() == question
        shares.append(1.0 if text == " ".join(question) or short else len(theirs & ours) / len(theirs) if theirs else 0.0)
    found = match(" ".join(question), distinct, n)
    assert (found.share if found else 0.0) == pytest.approx(max(shares, default=0.0))


def test_questions_are_read_without_answers(tmp_path: Path) -> None:
    rows = [
        {"id": "one", "problem": "1?", "steps": ["a"], "label": 0},
        {"id": "two", "problem": " "},
        {"problem": "3?", "steps": []},
    ]
    file = tmp_path / "bench.json"
    file.write_text(json.dumps(rows))
    found = list(read_questions(ProblemSource(str(file))))
    assert [found[0], found[2]] == [("one", "1?"), ("bench-2", "3?")]
    assert isinstance(found[1], Reject)
    assert found[1].reason == "no_question"
    assert sum(1 for _ in read_questions(ProblemSource("builtin", count=2))) == 2
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "1?"}\n')
    with pytest.raises(InputError, match="no column with the question"):
        list(read_questions(ProblemSource(str(other))))
    assert list(read_questions(ProblemSource(str(other), question_field="text"))) == [("other-0", "1?")]
