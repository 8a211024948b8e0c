"""The scripted engine: a deterministic writer for tests, docs, dry runs and fault drills. Loads no model and knows no answer.

It writes the chains of `openr_data.engines.chain` (or fixed texts), so what a labeler says of its solutions can be compared with
the truth. A completion depends only on (script, template, question, prefix, sampling, index).
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

from openr_data.engines.base import EngineLimits, EngineSpec, LoadedEngine, sample_seed
from openr_data.engines.chain import Chain, chain_of, continue_chain, continue_line, state_of, without_answer
from openr_data.engines.prompts import Message, PromptTemplate, resolve_template
from openr_data.engines.script import Canned, Script, parse_script
from openr_data.engines.stops import stop_at
from openr_data.errors import ContextOverflow, EngineError
from openr_data.types import Completion, Sampling, Steps

_PIECE = re.compile(r"\S+\s*|^\s+")

# Every fault draws from its own stream, so that adding one to a script changes no other sample.
_GARBAGE, _SAMPLE_FAULTS, _REFUSALS, _SPEED = 0x5DEECE66D, 0x2545F4914F6CDD1D, 0x9E3779B97F4A7C1, 0x1B873593CC9E2D51


@asynccontextmanager
async def open_scripted(spec: EngineSpec, limits: EngineLimits) -> AsyncIterator[LoadedEngine]:
    """An engine that plays `spec.script`; `limits.slots` replaces the script's. `UsageError`: the script cannot be read."""
    script = parse_script(spec.script)
    yield ScriptedEngine(script, _template(spec), limits.slots or script.slots)


def scripted_prompt(spec: EngineSpec, question: str) -> str:
    """The first prompt of a question, without opening the engine."""
    return _template(spec).render(question, (), _transcript)


class ScriptedEngine:
    """See `Script` for what it does. Tokens are words with the white space after them."""

    def __init__(self, script: Script, template: PromptTemplate, slots: int) -> None:
        self.template = template
        self.slots = slots
        self.identity = f"scripted:{script.digest}"
        self._script = script
        self._places = asyncio.Semaphore(slots)
        self._refused: dict[int, int] = {}
        self._drawn = 0
        self._sample_faults = any((script.lost, script.truncate))
        self._takes_time = any((script.latency, script.token_latency, script.slow))

    def prompt(self, question: str, prefix: Steps, /) -> str:
        return self.template.render(question, prefix, _transcript)

    def pieces(self, text: str, /) -> Sequence[str]:
        return _PIECE.findall(text)

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        """See `openr_data.types.Engine`. Raises `EngineError` where the script says so, and for a prompt without a fixed text."""
        prompt = self.prompt(question, prefix)
        room = self._room(prompt, sampling)
        self._refuse_if_due(sample_seed(sampling, prompt, start))
        await asyncio.sleep(0)  # a call gives way once, as that of a real engine would
        chain, text = chain_of(question, self._script.steps), self.template.steps.open(prefix)
        keys = (prompt, text, question, "*")
        done = []
        for index in range(start, start + n):
            self._die_if_due()
            seed = sample_seed(sampling, prompt, index)
            written = self._canned(keys, index) or self._write(chain, text, seed, greedy=sampling.temperature == 0)
            done.append(self._finish(written, sampling, seed, index, room))
        if self._takes_time:
            await asyncio.gather(*(self._spend(completion) for completion in done))
        return done

    def _room(self, prompt: str, sampling: Sampling) -> int:
        if not self._script.context:
            return sampling.max_tokens
        length = len(prompt.split())
        if length >= self._script.context:
            raise ContextOverflow(f"the prompt has {length} tokens and the context of the scripted engine {self._script.context}")
        return min(sampling.max_tokens, self._script.context - length)

    def _refuse_if_due(self, seed: int) -> None:
        script = self._script
        if not script.fail and not script.fatal:
            return
        draw = Random(seed ^ _REFUSALS).random
        if draw() < script.fatal:
            raise EngineError("the scripted engine refuses this request, as its script says (fatal)")
        refused = self._refused.pop(seed, 0)
        if draw() < script.fail and refused < script.fail_times:
            self._refused[seed] = refused + 1
            raise EngineError("the scripted engine fails for now, as its script says (fail)", retryable=True)

    def _die_if_due(self) -> None:
        if self._script.crash_after and self._drawn >= self._script.crash_after:
            if self._script.crash == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise EngineError("the scripted engine is dead, as its script says (crash_after)")
        self._drawn += 1

    def _canned(self, keys: Sequence[str], index: int) -> Canned | None:
        if not self._script.completions:
            return None
        for key in keys:
            if entries := self._script.completions.get(key):
                return entries[index % len(entries)]
        raise EngineError(f"the script has no completion for the prompt {keys[0][:200]!r}")

    def _write(self, chain: Chain, text: str, seed: int, *, greedy: bool) -> Canned:
        draw = _lowest if greedy else Random(seed).random
        separator = self.template.separator
        if not text or text.endswith(separator or "\n"):
            lines = continue_chain(chain, self._script, state_of(chain, text), draw, greedy=greedy)
        else:  # a step may be open, and steps without a separator are runs of tokens, which may end inside a line
            cut = text.rfind("\n") + 1
            lines = continue_line(chain, self._script, text[:cut], text[cut:], draw, greedy=greedy)
        if self._script.garbage and lines and Random(seed ^ _GARBAGE).random() < self._script.garbage:
            lines = without_answer(lines)
        return Canned((separator or "\n").join(lines))

    def _finish(self, written: Canned, sampling: Sampling, seed: int, index: int, room: int) -> Completion:
        text, reason = written.text, written.finish_reason
        cut = stop_at(text, (*self.template.stop, *sampling.stop))
        if cut is not None:
            text, reason = text[:cut], "stop" if reason == "length" else reason
        words = _count(text)
        if self._sample_faults:
            draw = Random(seed ^ _SAMPLE_FAULTS).random
            if draw() < self._script.lost:
                return Completion("", 0, "error", index, seed)
            if draw() < self._script.truncate:
                room = min(room, int(draw() * words))
        if words > room:
            text, reason, words = "".join(self.pieces(text)[:room]), "length", room
        tokens = words if written.token_count is None else written.token_count
        return Completion(text, tokens, reason, index, seed, ended=cut is None if reason == "stop" else None)

    async def _spend(self, completion: Completion) -> None:
        script = self._script
        seconds = script.latency + script.token_latency * completion.token_count
        if script.slow and Random(completion.seed ^ _SPEED).random() < script.slow:
            seconds += script.slow_seconds
        async with self._places:
            await asyncio.sleep(seconds)


def _template(spec: EngineSpec) -> PromptTemplate:
    return resolve_template(spec.template, auto="builtin", separator=spec.separator)


def _lowest() -> float:
    return 0.0


def _count(text: str) -> int:
    return len(text.split()) + text[:1].isspace()


def _transcript(messages: list[Message]) -> str:
    return "".join(f"<|{m['role']}|>\n{m['content']}\n" for m in messages) + "<|assistant|>\n"
