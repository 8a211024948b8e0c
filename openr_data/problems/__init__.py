"""Problems: where they come from. Reads files, Hub data sets and the built-in task; knows no models, graders or runs."""

from openr_data.problems.fingerprint import input_hash
from openr_data.problems.reader import read_problems, usable_problems
from openr_data.problems.reject import REASONS, Reject
from openr_data.problems.solutions import ProblemSolutions, RawSolution, read_solutions
from openr_data.problems.source import ProblemSource, source_kind

__all__ = [
    "REASONS",
    "ProblemSolutions",
    "ProblemSource",
    "RawSolution",
    "Reject",
    "input_hash",
    "read_problems",
    "read_solutions",
    "source_kind",
    "usable_problems",
]
