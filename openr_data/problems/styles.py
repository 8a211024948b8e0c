"""Ways to write the exact solution of the built-in task: with nothing but its lines, or with reasoning that is discarded.

Reasoning stands between round brackets (`MARKS`), within a line, so that steps stay steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from openr_data.errors import UsageError
from openr_data.problems.arithmetic import Operation, Program, write_solution
from openr_data.types import Steps

MARKS = "( )"


def styled(program: Program, style: str) -> Steps:
    """The correct solution in a style of `STYLES`. Raises `UsageError` for another one."""
    if style not in STYLES:
        raise UsageError(f"there is no style '{style}'; choose one of: {', '.join(STYLES)}")
    return STYLES[style](program)


def reasoned(program: Program) -> Steps:
    """Every line first says what is to be done, and what an earlier result was.

    >>> reasoned(Program(37, (Operation("+", 48), Operation("-", 1, refers=True))))
    ('Step 1: (add 48) 37 + 48 = 85', 'Step 2: (subtract result 1 = 85) 85 - 85 = 0', 'The answer is 0')
    """
    results = program.results()
    *lines, answer = write_solution(program)
    return (*map(_reasoned, lines, program.operations, [results] * len(lines)), answer)


def planned(program: Program) -> Steps:
    """The first line begins with the subtasks, in their order.

    >>> planned(Program(37, (Operation("+", 48), Operation("*", 2))))[0]
    'Step 1: (add 48, multiply by 2) 37 + 48 = 85'
    """
    first, *others = write_solution(program)
    head, line = first.split(": ", 1)
    return (f"{head}: ({', '.join(map(str, program.operations))}) {line}", *others)


def _reasoned(line: str, operation: Operation, results: tuple[int, ...]) -> str:
    head, rest = line.split(": ", 1)
    found = f" = {operation.right(results)}" if operation.refers else ""
    return f"{head}: ({operation}{found}) {rest}"


STYLES: Mapping[str, Callable[[Program], Steps]] = {"plain": write_solution, "reasoned": reasoned, "planned": planned}
