"""The environment as plain calls, in the shape of Gymnasium 1.x: for scripts and trainers that know no coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from openr_data.errors import UsageError
from openr_data.rl.env import Info, State, StepEnv
from openr_data.types import Completion, Problem


class GymEnv:
    """`reset(seed=...)` draws one of the problems by the seed; without a seed they come in turn. Has an event loop of its own, so
    it cannot be used inside one: there is `StepEnv`. Close it, or use it in a `with` block.
    """

    def __init__(self, env: StepEnv, problems: Sequence[Problem]) -> None:
        if not problems:
            raise UsageError("an environment needs at least one problem")
        self._env, self._problems, self._turn = env, tuple(problems), -1
        self._loop = asyncio.new_event_loop()

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[State, Info]:
        """`options={"problem": number}` chooses the problem itself."""
        chosen = (options or {}).get("problem")
        if chosen is not None:
            self._turn = int(chosen) % len(self._problems)
        elif seed is not None:
            self._turn = Random(seed).randrange(len(self._problems))
        else:
            self._turn = (self._turn + 1) % len(self._problems)
        problem = self._problems[self._turn]
        return self._loop.run_until_complete(self._env.reset(problem)), {"problem": problem.id}

    def step(self, action: str | Completion) -> tuple[State, float, bool, bool, Info]:
        """State, reward, terminated, truncated and info, as `StepEnv.step` has them."""
        found = self._loop.run_until_complete(self._env.step(action))
        return found.state, found.reward, found.terminated, found.truncated, found.info

    def close(self) -> None:
        self._loop.close()

    def __enter__(self) -> GymEnv:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
