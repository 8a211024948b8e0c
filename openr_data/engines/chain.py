"""A synthetic domain with known truth: chains of additions, the exact oracle and the exact success probability of any prefix.

A chain has two states, right and wrong. From the right state a step goes wrong with probability u; from the wrong state a step
repairs the chain with probability rho. The text of a step shows the running value, so the state can be read from it. This is the
test bed on which a labeler's answers can be compared with the truth, first error and value alike. Knows no engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Literal, NamedTuple
from zlib import crc32

from openr_data.engines.difficulty import backward, rates
from openr_data.engines.script import DEFAULT_STEPS, Script
from openr_data.types import NO_ERROR, Problem, Steps

Ungradable = Literal["unknown", "wrong"]

_QUESTION = re.compile(r"Start with (\d+) and add (\d+), (\d+) times\.")
_STEP = re.compile(r"Step (\d+):[^\n]*?= (-?\d+)")
_OPENINGS = (
    "",
    "so ",
    "then ",
    "thus ",
    "hence ",
    "next ",
    "now ",
    "and ",
    "again ",
    "here ",
    "still ",
    "also ",
    "this time ",
    "after that ",
    "going on, ",
    "as before, ",
)
_REDRAWS = 64
_UNDECIDED = "Hmm, let me think about it once more."


@dataclass(frozen=True, slots=True)
class Chain:
    """Start with `start` and add `add`, `steps` times. `number` tells texts apart that ask for no chain."""

    start: int
    add: int
    steps: int
    number: int = 0

    def value(self, step: int) -> int:
        """The right value after that many steps."""
        return self.start + self.add * step

    @property
    def key(self) -> str:
        """What the difficulty of a question is drawn from."""
        return f"{self.start} {self.add} {self.steps} {self.number}"

    @property
    def question(self) -> str:
        return f"Start with {self.start} and add {self.add}, {self.steps} times. What is the result?"

    @property
    def answer(self) -> str:
        return str(self.value(self.steps))


class State(NamedTuple):
    """Where a chain stands: after `step` steps at `value`."""

    step: int
    value: int


@lru_cache(maxsize=4096)
def chain_of(question: str, steps: int = DEFAULT_STEPS) -> Chain:
    """The chain that a question asks for; any other text stands for some chain of that many steps, always the same.

    >>> chain_of("Start with 5 and add 3, 4 times. What is the result?").answer
    '17'
    """
    match = _QUESTION.search(question)
    if match:
        return Chain(int(match[1]), int(match[2]), int(match[3]))
    number = crc32(question.encode("utf-8", "surrogatepass"))
    return Chain(10 + number % 90, 2 + number // 90 % 9, steps, number)


def chain_problems(
    count: int, *, seed: int = 0, steps: tuple[int, int] = (5, 12), starts: tuple[int, int] = (10, 99)
) -> Iterator[Problem]:
    """Problems of the domain, one at a time: lengths uniform in `steps` (both ends included), ids `chain-<number>`.

    The default `starts` give 990 questions of each length: more of them, for independent questions, need wider ones.
    """
    random = Random(seed)
    for number in range(count):
        chain = Chain(random.randint(*starts), random.randint(2, 12), random.randint(*steps))
        yield Problem(f"chain-{number}", chain.question, chain.answer, source="chain", difficulty=str(chain.steps))


def state_of(chain: Chain, text: str) -> State:
    """The state after a text: what its last readable step says."""
    start = text.rfind("Step ")
    while start >= 0:
        match = _STEP.match(text, start)
        if match:
            return State(int(match[1]), int(match[2]))
        start = text.rfind("Step ", 0, start)
    return State(0, chain.start)


def true_first_error(question: str, steps: Sequence[str]) -> int:
    """The 0-based index of the first step that leaves the chain in the wrong state; `NO_ERROR` without one.

    >>> true_first_error("Start with 5 and add 3, 2 times.", ["Step 1: 5 + 3 = 8", "Step 2: 8 + 3 = 12. The answer is 12"])
    1
    """
    chain = chain_of(question, len(steps))
    for index, text in enumerate(steps):
        match = _STEP.search(text)
        if match and int(match[2]) != chain.value(int(match[1])):
            return index
    return NO_ERROR


def success_probability(script: Script, question: str, prefix: Steps = (), *, ungradable: Ungradable = "unknown") -> float:
    """The exact probability V that a completion from a prefix (complete steps) ends right, at temperature above 0.

    By backward recursion over the remaining steps (`openr_data.engines.difficulty`). A completion without an answer (`garbage`)
    counts as `ungradable` says: `unknown` leaves it out, so V is that of the completions with an answer; `wrong` counts it in.
    Lost and truncated completions are left out.

    >>> success_probability(Script(error=(0.5,), recovery=(0.25,)), "Start with 5 and add 3, 2 times.")
    0.375
    >>> success_probability(Script(error=(0.5,), garbage=0.5), "Start with 5 and add 3, 1 times.", ungradable="wrong")
    0.25
    """
    chain = chain_of(question, script.steps)
    step, value = state_of(chain, "\n".join(prefix))
    good, bad = values(script, chain)[min(step, chain.steps)]
    told = 1.0 if ungradable == "unknown" or step >= chain.steps else 1.0 - script.garbage
    return told * (good if value == chain.value(step) else bad)


def values(script: Script, chain: Chain) -> tuple[tuple[float, float], ...]:
    """(Vg[t], Vb[t]) for t = 0 .. steps: what the right and the wrong state are worth after t steps."""
    return backward(*rates(script, chain.steps, chain.key))


def error_rates(script: Script, chain: Chain) -> tuple[float, ...]:
    """The u of each step."""
    return rates(script, chain.steps, chain.key)[0]


def continue_chain(chain: Chain, script: Script, state: State, draw: Callable[[], float], *, greedy: bool = False) -> list[str]:
    """The steps that the policy writes from a state to the end of the chain, the last with the answer; none at the end.

    `draw` gives uniform numbers in [0, 1). Greedy: the likelier of two steps each time.
    """
    errors, repairs = rates(script, chain.steps, chain.key)
    step, value = state
    start, add, steps = chain.start, chain.add, chain.steps
    lines: list[str] = []
    while step < steps:
        good = value == start + add * step
        chance, rate = (0.5 if greedy else draw()), (errors if good else repairs)[step]
        before, step = value, step + 1
        if good:
            value += add + (1 + int(draw() * 9) if chance < rate else 0)
        else:
            value = start + add * step if chance < rate else value + add
        repaired = not good and value == start + add * step
        work = f"wait, {start} + {step} * {add}" if repaired else f"{before} + {add}"
        lines.append(_line(script, step, work, value, draw))
    if lines:
        lines[-1] += f". The answer is {value}"
    return lines


def continue_line(
    chain: Chain, script: Script, head: str, begun: str, draw: Callable[[], float], *, greedy: bool = False
) -> list[str]:
    """The rest of the line `begun` after the complete lines `head`, and the steps after it.

    Lines are drawn until one begins so: exactly the policy's distribution given the beginning. A beginning that the policy would
    not write counts as a finished line.
    """
    state, step = state_of(chain, head), f"Step {state_of(chain, head).step + 1}:"
    if begun.startswith(step) or step.startswith(begun):
        for _ in range(_REDRAWS):
            lines = continue_chain(chain, script, state, draw, greedy=greedy)
            if lines and lines[0].startswith(begun):
                return [lines[0][len(begun) :], *lines[1:]]
    after = state_of(chain, head + begun)
    rest = continue_chain(chain, script, after, draw, greedy=greedy)
    return ["", *rest] if rest else [_ending(begun, after.value)]


def _ending(begun: str, value: int) -> str:
    """What the last line still lacks of the sentence that tells the answer; nothing for a line of another kind."""
    told = f" = {value}. The answer is {value}"
    shown = next((end for end in range(len(told), len(f" = {value}") - 1, -1) if begun.endswith(told[:end])), len(told))
    return told[shown:]


def without_answer(lines: Sequence[str]) -> list[str]:
    """The same steps from a writer who does not come to an answer: nothing that a grader could read as one."""
    return [*lines[:-1], _UNDECIDED]


def _line(script: Script, step: int, work: str, value: int, draw: Callable[[], float]) -> str:
    opening = _OPENINGS[int(draw() * script.phrasings)] if script.phrasings > 1 else ""
    line = f"Step {step}: {opening}{work} = {value}"
    short = script.tokens_per_step and script.tokens_per_step - len(line.split())
    return line if short <= 0 else line.replace(": ", ": " + "well " * short, 1)
