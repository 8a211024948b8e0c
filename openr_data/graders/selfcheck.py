r"""The check that comes before any sampling: does a reference answer grade right against itself? Samples nothing."""

from __future__ import annotations

from openr_data.graders.exact import decide
from openr_data.graders.extract import extract
from openr_data.graders.normalise import normalise
from openr_data.graders.policy import GradingPolicy

_POLICY = GradingPolicy()


def grades_itself(answer: str) -> bool:
    r"""Whether a response that boxes the reference answer is right by it. Where it is not, no response can be.

    Every grader begins with extraction and the fast path, and the fast path decides equal texts, so this needs no worker.

    >>> grades_itself("\\frac{1}{2}"), grades_itself("x {"), grades_itself(" ")
    (True, False, False)
    """
    found = extract(f"The solution ends here: \\boxed{{{answer}}}")
    return found is not None and decide(normalise(found), normalise(answer), _POLICY) in ("exact", "equal")
