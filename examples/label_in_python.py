"""Label one solution from Python: an engine, a grader, a labeler, and nothing else.

    python examples/label_in_python.py

The built-in model continues a solution whose third line is wrong; OmegaPRM's binary search finds it.
"""

from __future__ import annotations

import asyncio

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.open import open_engine
from openr_data.graders import MathGrader
from openr_data.labelers import LabelConfig, build_labeler
from openr_data.types import LabeledSolution, Problem, Sampling, Solution, Verdict

QUESTION = "Start with 12. Step 1: add 30. Step 2: multiply by 2. Step 3: subtract 9. Step 4: add 5. What is the result?"
STEPS = ("Step 1: 12 + 30 = 42", "Step 2: 42 * 2 = 84", "Step 3: 84 - 9 = 65", "Step 4: 65 + 5 = 70", "The answer is 70")


async def label() -> LabeledSolution:
    problem = Problem("example", QUESTION, answer="80")
    solution = Solution("example/0", problem.id, STEPS, Verdict("wrong", "different"))
    config = LabelConfig(method="omegaprm", rollouts=8, filter_rollouts=0, searches=0)
    async with open_engine(EngineSpec("builtin"), EngineLimits()) as engine, MathGrader() as grader:
        labeler = build_labeler(config, engine, grader, Sampling(1.0, 128, seed=0), engine.template.steps)
        labeling = await labeler(problem, [solution])
    return labeling.solutions[0]


def main() -> None:
    labelled = asyncio.run(label())
    for number, (step, counts) in enumerate(zip(labelled.solution.steps, labelled.labels, strict=True)):
        mark = "<- first wrong step" if number == labelled.first_error else ""
        print(f"{counts.value if counts else '':>5}  {step}  {mark}".rstrip())


if __name__ == "__main__":
    main()
