"""Step-DPO's preference pairs (arXiv 2406.18629; xinlai/Math-Step-DPO-10K): a right and a wrong step after the same steps.

`initial_reason_steps` + `chosen` is a text as it was written: the number that both steps begin with stands in the former, as in
the published data. `full_chosen` and `full_rejected` go on to the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from openr_data.layouts.arrow import ArrowLayout, Written
from openr_data.layouts.base import ExportItem, ForeignRow, Layout, Parsed, ReadOptions, WriteOptions, text_of
from openr_data.layouts.pairs import Pair, common_mark, pairs, published_solution
from openr_data.layouts.sft import LINES
from openr_data.types import Problem

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    "dataset",
    "prompt",
    "initial_reason_steps",
    "chosen",
    "rejected",
    "full_chosen",
    "full_rejected",
    "answer",
)
_BREAK = re.compile(r"\n(?=Step \d+:)")
_OPEN = re.compile(r"(?:^|\n)Step \d+:\s*\Z")


def read(row: ForeignRow, options: ReadOptions) -> Parsed:
    """Numbered texts are cut before every `Step k:`, others at line breaks. The steps before the pair are right."""
    initial = text_of(row, "initial_reason_steps")
    numbered = _OPEN.search(initial) is not None
    *prefix, mark = _numbered(initial) if numbered else [*LINES.split(initial.removesuffix("\n")), ""]
    sides = []
    for name, good in (("chosen", True), ("rejected", False)):
        step, full = text_of(row, name), row.get(f"full_{name}")
        rest = full[len(step) :] if isinstance(full, str) and full.startswith(f"{step}\n") else ""
        further = (_numbered(rest[1:]) if numbered else LINES.split(rest[1:])) if rest else ()
        steps = [mark + step, *further] if mark + step else []
        sides.append(published_solution("step-dpo", prefix, steps, good=good, whole=False))
    answer, source = row.get("answer"), row.get("dataset")
    problem = Problem("", text_of(row, "prompt"), answer if isinstance(answer, str) else "", _text(source))
    return Parsed(problem, tuple(sides))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _numbered(text: str) -> list[str]:
    """Cut before every number; a text before the first one stays with its step."""
    pieces = _BREAK.split(text)
    if len(pieces) > 1 and not pieces[0].startswith("Step "):
        pieces[:2] = ["\n".join(pieces[:2])]
    return pieces


def write(item: ExportItem, options: WriteOptions) -> Iterator[dict[str, Any]]:
    for pair in pairs(item.solutions, options.pairs_per_problem, whole=False):
        yield _row(item, pair, options.separator)


def _row(item: ExportItem, pair: Pair, separator: str) -> dict[str, Any]:
    place, problem = pair.place, item.problem
    mark = common_mark(pair.chosen.steps[place], pair.rejected.steps[place])

    def after(steps: Sequence[str]) -> str:
        return separator.join(steps).removeprefix(mark)

    return {
        "dataset": problem.source,
        "prompt": problem.question,
        "initial_reason_steps": separator.join((*pair.prefix, mark)),
        "chosen": after(pair.chosen.steps[place : place + 1]),
        "rejected": after(pair.rejected.steps[place : place + 1]),
        "full_chosen": after(pair.chosen.steps[place:]),
        "full_rejected": after(pair.rejected.steps[place:]),
        "answer": problem.answer,
    }


def schema(soft: bool) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in COLUMNS])


def columns(readings: pa.Table, options: WriteOptions) -> Written:
    """The same as `write`, a whole table at once."""
    import polars as pl

    from openr_data.layouts.pair_frame import MARK_OF, paired, written

    found = paired(readings, options, whole=False)
    mark = pl.when(MARK_OF("chosen_step") == MARK_OF("rejected_step")).then(MARK_OF("chosen_step")).otherwise(pl.lit(""))
    texts = found.frame.with_columns(mark=mark.fill_null("")).select(
        dataset="source",
        prompt="question",
        initial_reason_steps=pl.col("before") + pl.col("mark"),
        chosen=pl.col("chosen_step").str.strip_prefix(pl.col("mark")),
        rejected=pl.col("rejected_step").str.strip_prefix(pl.col("mark")),
        full_chosen=pl.col("chosen_text").str.strip_prefix(pl.col("mark")),
        full_rejected=pl.col("rejected_text").str.strip_prefix(pl.col("mark")),
        answer="answer",
    )
    return written(found, texts, schema(options.soft))


def matches(row: ForeignRow) -> bool:
    return all(isinstance(row.get(name), str) for name in ("prompt", "initial_reason_steps", "chosen", "rejected"))


STEP_DPO = Layout(
    "step-dpo",
    "Step-DPO: `prompt`, `initial_reason_steps`, a `chosen` and a `rejected` step, both in full, `answer`",
    COLUMNS,
    read,
    write,
    matches,
    per_problem=True,
)
ARROW = ArrowLayout(STEP_DPO, schema, columns, every_step=False, pairs=True)
