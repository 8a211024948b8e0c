"""RLHFlow's conversations (RLHFlow/Mistral-PRM-Data): a user turn for each step, the first with the question, then + or -.

Question and first step stand in one text, `question step`. Like `tagged`, `write` numbers steps that have no number, so that a
reader finds `Step 1:`; `read` parts the text at the last one, else at its first line break, and refuses a row without either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from openr_data.layouts.arrow import ArrowLayout, Written
from openr_data.layouts.base import (
    LABEL,
    ExportItem,
    ForeignRow,
    Layout,
    LayoutFault,
    Parsed,
    ReadOptions,
    WriteOptions,
    kind,
    list_of,
    text_of,
)
from openr_data.layouts.published import published
from openr_data.layouts.tagged import numbered, split_question
from openr_data.layouts.values import truths
from openr_data.types import Problem

if TYPE_CHECKING:
    import pyarrow as pa

_SIGNS = {"+": 1.0, "-": 0.0}
_NUMBER, _FIRST = r"^Step \p{Nd}+:", "^Step 1:"
"""`tagged`'s patterns of a step that has its number, in the words of Arrow's regular expressions."""


def read(row: ForeignRow, options: ReadOptions) -> Parsed:
    turns = list_of(row, "conversations")
    if not turns or len(turns) % 2:
        raise LayoutFault("labels_mismatch", f"{len(turns)} turns are no pairs of a step and its label")
    texts = [_content(turn, role) for turn, role in zip(turns, ("user", "assistant") * (len(turns) // 2), strict=True)]
    question, first = split_question(texts[0])
    values = [_value(number, sign) for number, sign in enumerate(texts[1::2], start=1)]
    steps = [first, *texts[2::2]]
    return Parsed(
        Problem("", question, ""),
        (published("rlhflow", steps, hard=[value == 1 for value in values], values=values, estimator=LABEL),),
    )


def _content(turn: object, role: str) -> str:
    if not isinstance(turn, dict):
        raise LayoutFault("wrong_type", f"a turn must be an object, not {kind(turn)}")
    if turn.get("role") != role:
        raise LayoutFault("labels_mismatch", "turns of user and assistant must alternate, the user first")
    return text_of(turn, "content")


def _value(number: int, sign: str) -> float:
    if sign not in _SIGNS:
        raise LayoutFault("labels_mismatch", f"step {number} has a label that is neither + nor -")
    return _SIGNS[sign]


def write(item: ExportItem, options: WriteOptions) -> Iterator[dict[str, Any]]:
    for solution in item.solutions:
        first, *others = numbered(solution.steps)
        signs = ["+" if label else "-" for label in truths(solution)]
        turns = []
        for text, sign in zip([f"{item.problem.question} {first}", *others], signs, strict=True):
            turns += [{"content": text, "role": "user"}, {"content": sign, "role": "assistant"}]
        yield {"conversations": turns}


def schema(soft: bool) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([("conversations", pa.list_(pa.struct([("content", pa.string()), ("role", pa.string())])))])


def columns(readings: pa.Table, options: WriteOptions) -> Written:
    """The same as `write`, a whole table at once: step and sign interleaved by one `take`."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute  # whose functions are made when it is loaded

    lists = readings["steps"].combine_chunks()
    offsets, steps = lists.offsets.to_numpy() - lists.offsets[0].as_py(), _numbered(lists)
    firsts = pc.binary_join_element_wise(readings["question"].combine_chunks(), steps.take(pa.array(offsets[:-1])), " ")
    count = len(steps)
    texts = pa.concat_arrays([steps, firsts, pa.array(["+", "-"])])
    turns = np.empty(2 * count, np.int64)
    turns[0::2] = np.arange(count)
    turns[2 * offsets[:-1]] = count + np.arange(len(lists))
    hard = pc.cast(readings["hard"].combine_chunks().flatten(), pa.int64()).to_numpy()
    turns[1::2] = count + len(lists) + 1 - hard
    roles = pa.array(["user", "assistant"]).take(pa.array(np.tile([0, 1], count)))
    structs = pa.StructArray.from_arrays([texts.take(pa.array(turns)), roles], names=["content", "role"])
    conversations = pa.ListArray.from_arrays(pa.array(2 * offsets, pa.int32()), structs)
    return Written(pa.table([conversations], schema=schema(options.soft)), readings.num_rows)


def _numbered(lists: pa.ListArray) -> pa.Array:
    """`tagged.numbered` of all lists at once, flat."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute  # whose functions are made when it is loaded

    steps, offsets = lists.flatten(), lists.offsets.to_numpy() - lists.offsets[0].as_py()
    has_number = pc.match_substring_regex(steps, _NUMBER).to_numpy(zero_copy_only=False).copy()
    firsts = offsets[:-1]
    has_number[firsts] = pc.match_substring_regex(steps.take(pa.array(firsts)), _FIRST).to_numpy(zero_copy_only=False)
    if has_number.all():
        return steps
    places = np.arange(len(steps)) - np.repeat(offsets[:-1], np.diff(offsets)) + 1
    marks = pc.binary_join_element_wise("Step ", pc.cast(pa.array(places), pa.string()), ": ", "")
    return pc.if_else(pa.array(has_number), steps, pc.binary_join_element_wise(marks, steps, ""))


def matches(row: ForeignRow) -> bool:
    turns = row.get("conversations")
    return isinstance(turns, list) and all(isinstance(turn, dict) and "content" in turn and "role" in turn for turn in turns)


RLHFLOW = Layout(
    "rlhflow",
    "RLHFlow: `conversations` of question and steps, with + or - as the answer to each",
    ("conversations",),
    read,
    write,
    matches,
)
ARROW = ArrowLayout(RLHFLOW, schema, columns)
