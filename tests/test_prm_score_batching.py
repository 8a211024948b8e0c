"""Which sequences go together, and which share their question."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openr_data.prm.encode import Encoded
from openr_data.prm.score.batching import by_length, fill
from openr_data.prm.score.meter import Meter, Size, peak_of
from openr_data.prm.score.prefixes import plan


def encoded(prompt: int, length: int, question: int = 1, read: int | None = None) -> Encoded:
    """`question` fills the prompt; one tag at the end."""
    ids = (question,) * prompt + tuple(range(100, 100 + length - prompt))
    return Encoded(ids, (length - 1 if read is None else read,), prompt)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 200))
def test_batches_hold_every_sequence_once_within_the_budget(lengths: list[int], budget: int) -> None:
    order, start, seen = by_length(lengths), 0, []
    while start < len(order):
        stop = fill(lengths, order, start, budget)
        batch = order[start:stop]
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget
        assert longest == lengths[batch[0]]
        seen += batch
        start = stop
    assert sorted(seen) == list(range(len(lengths)))
    assert [lengths[index] for index in order] == sorted(lengths, reverse=True)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30), st.integers(1, 4)), max_size=30), st.integers(1, 100))
def test_a_plan_holds_every_solution_once_and_its_question_is_its_own(shapes: list[tuple[int, int, int]], budget: int) -> None:
    batch = [encoded(prompt, prompt + more, question) for prompt, more, question in shapes]
    sharings, rest = plan(batch, budget)
    assert sorted([row for each in sharings for row in each.rows] + rest) == list(range(len(batch)))
    for sharing in sharings:
        assert sharing.length * len(sharing.prompts) <= max(budget, sharing.length)
        for row, question in zip(sharing.rows, sharing.questions, strict=True):
            assert batch[row].ids[: sharing.length] == sharing.prompts[question]
            assert batch[row].prompt == sharing.length <= batch[row].reads[0]


def test_a_question_is_shared_where_it_saves_enough() -> None:
    """Two solutions of 100 tokens: to save 39 of 200 is not worth it, 40 are. Behind the question stand 120."""
    assert plan([encoded(39, 100)] * 2, 1000) == ([], [0, 1])
    (sharing,), rest = plan([encoded(40, 100)] * 2, 1000, least=120)
    assert (sharing.length, len(sharing.prompts), sharing.rows, sharing.questions, rest) == (40, 1, (0, 1), (0, 0), [])
    assert plan([encoded(40, 100)] * 2, 1000, least=121) == ([], [0, 1])


def test_an_answer_that_is_read_within_the_question_is_not_shared() -> None:
    """An empty first step whose model answers one token before the tag."""
    read = encoded(30, 31, read=29)
    assert plan([read, read], 1000) == ([], [0, 1])


def test_questions_of_one_length_go_together_up_to_the_budget() -> None:
    batch = [encoded(10, 20, question) for question in (1, 2, 3) for _ in range(3)]
    sharings, _ = plan(batch, 20)
    assert [len(each.prompts) for each in sharings] == [2, 1]
    assert [each.rows for each in sharings] == [(0, 1, 2, 3, 4, 5), (6, 7, 8)]


def test_floating_point_operations_by_hand() -> None:
    """Per token 2 operations for each weight, and 4 of the width for each key and layer: 3 tokens look at 1 + 2 + 3 keys."""
    assert Size(weights=1000, layers=2, width=8).flops(0, 3) == 3 * 2000 + 4 * 8 * 2 * 6
    meter = Meter(flops=5e14, peak=peak_of("NVIDIA H200"))
    assert meter.utilisation(1.0) == 5e14 / 989e12
    assert Meter(flops=1.0).utilisation(1.0) is None
    assert Meter(peak=1.0).utilisation(1.0) is None
