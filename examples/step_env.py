"""Play one episode of the step environment: the built-in model writes, a process reward model and the answer reward it.

    python examples/step_env.py

An action is one step; here the policy is an engine that stops at the separator of steps.
"""

from __future__ import annotations

import asyncio

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.open import open_engine
from openr_data.graders import ExactGrader, states_answer
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.open import open_scorer
from openr_data.prm.score.step_scorer import BatchingStepScorer
from openr_data.rl.env import EnvConfig, StepEnv, Transition
from openr_data.types import Problem, Sampling

QUESTION = "Start with 12. Step 1: add 30. Step 2: multiply by 2. Step 3: subtract 9. Step 4: add 5. What is the result?"


async def episode(seed: int) -> list[Transition]:
    problem = Problem("example", QUESTION, answer="80")
    scorer = BatchingStepScorer(open_scorer(ScorerSpec("builtin")))
    async with open_engine(EngineSpec("builtin"), EngineLimits()) as engine:
        steps = engine.template.steps
        config = EnvConfig("mixed", weight=0.25, max_steps=12)
        env = StepEnv(steps, config, scorer=scorer, grader=ExactGrader(), finds_answer=states_answer)
        state, played = await env.reset(problem), []
        sampling = Sampling(1.0, 64, seed, stop=(steps.separator,))
        while not state.done:
            (action,) = await engine.sample(state.question, state.steps, n=1, sampling=sampling)
            played.append(await env.step(action))
            state = played[-1].state
    return played


def main() -> None:
    for each in (played := asyncio.run(episode(seed=0))):
        print(f"{each.reward:6.3f}  {each.state.steps[-1]}")
    last = played[-1]
    end = "terminated" if last.terminated else "truncated"
    print(f"{end} after {last.info['tokens']} tokens, return {sum(each.reward for each in played):.3f}")


if __name__ == "__main__":
    main()
