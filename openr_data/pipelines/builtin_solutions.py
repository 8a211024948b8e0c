"""Exact solutions of the built-in task as fine-tuning rows: format training, with reasoning or without."""

from __future__ import annotations

import json
from pathlib import Path

from openr_data.errors import UsageError
from openr_data.problems.arithmetic import arithmetic_problems, parse_question
from openr_data.problems.styles import styled
from openr_data.store.atomic import write_text


def write_solutions(out: Path, count: int, difficulty: int, *, style: str, split: str, seed: int) -> None:
    """`count` rows `prompt`, `completion` into the JSONL file `out`, which must not be there. Raises `UsageError`."""
    if out.exists():
        raise UsageError(f"{out} is there already; choose another --out")
    problems = arithmetic_problems(count, difficulty, seed, split)
    rows = ((each.question, "\n".join(styled(parse_question(each.question), style))) for each in problems)
    write_text(out, "".join(json.dumps({"prompt": question, "completion": text}) + "\n" for question, text in rows))
