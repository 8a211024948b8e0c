r"""A language model as a critic, asked and read as the authors of ProcessBench do. Knows texts, no engine.

The prompt is that of arXiv 2412.06559, appendix E (QwenLM/ProcessBench, `critique_template.txt`), word for word, and answers are
read and counted as their `run_eval.py` does it: the last `\boxed{}`, the most frequent of several answers, the earliest of them
on a tie, and a whole number or nothing. `labelers.judge` asks a similar question with rules of its own; this one is for numbers
that can be compared with published ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from openr_data.types import NO_ERROR

TEMPLATE = """\
The following is a math problem and a solution (split into paragraphs, enclosed with tags and indexed from 0):

[Math Problem]

{problem}

[Solution]

{tagged_response}

Your task is to review and critique the solution paragraph by paragraph. Once you identify an error in a paragraph, return the \
index of the paragraph where the earliest error occurs. Otherwise, return the index of -1 (which typically denotes "not found").

Please put your final answer (i.e., the index) in \\boxed{{}}."""

_BOX = re.compile(r"\\boxed\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Critique:
    """What the answers come to. `prediction` is what the authors' script writes; where it names no step of the solution, `reason`
    says why: `no_answer` (no box in any of them), `unreadable` (the box holds no whole number) or `no_such_step`.
    """

    prediction: int | None
    reason: str = ""

    @property
    def step(self) -> int | None:
        """The prediction where it names a step, or none."""
        return None if self.reason else self.prediction


def critique_prompt(problem: str, steps: Sequence[str]) -> str:
    """What the critic is asked, in one user turn. An empty step keeps its paragraph, and its index.

    >>> critique_prompt("1 + 1?", ["2", ""]).splitlines()[6:14]
    ['[Solution]', '', '<paragraph_0>', '2', '</paragraph_0>', '', '<paragraph_1>', '']
    """
    tagged = "".join(f"<paragraph_{index}>\n{step}\n</paragraph_{index}>\n\n" for index, step in enumerate(steps))
    return TEMPLATE.format(problem=problem, tagged_response=tagged.strip())


def extract_answer(text: str) -> str | None:
    r"""What stands in the last box, up to its first closing brace; `None` without a box.

    >>> extract_answer(r"\boxed{0}, no: \boxed{ 2 }"), extract_answer(r"\boxed{\text{2}}"), extract_answer("2")
    ('2', '\\text{2', None)
    """
    boxes = _BOX.findall(text)
    return boxes[-1].strip() if boxes else None


def critique(texts: Sequence[str], steps: int) -> Critique:
    r"""The verdict of one answer, or of several by a vote, on a solution of so many steps. Answers without a box do not vote.

    >>> critique([r"\boxed{1}", r"\boxed{0}", r"\boxed{0}", "?"], steps=3)
    Critique(prediction=0, reason='')
    >>> critique([r"\boxed{one}"], steps=3), critique([r"\boxed{7}"], steps=3)
    (Critique(prediction=None, reason='unreadable'), Critique(prediction=7, reason='no_such_step'))
    """
    answers = [answer for answer in map(extract_answer, texts) if answer is not None]
    if not answers:
        return Critique(None, "no_answer")
    try:
        prediction = int(Counter(answers).most_common(1)[0][0])
    except ValueError:
        return Critique(None, "unreadable")
    return Critique(prediction, "" if NO_ERROR <= prediction < steps else "no_such_step")
