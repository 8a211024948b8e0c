"""Batches for the built-in policy: fresh solutions by the curriculum, and solutions that the model itself sampled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING

import torch

from openr_data.engines.builtin.tokenizer import CONTEXT, EOS_ID, PAD_ID
from openr_data.pipelines.builtin_config import BuiltinTraining
from openr_data.pipelines.builtin_data import Example, Line, draw_example, own_example
from openr_data.pipelines.builtin_sample import sample_texts
from openr_data.problems.arithmetic import DIFFICULTIES, Program, draw_question
from openr_data.problems.oracle import judge

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

IGNORE = -100
POOL = 8
"""Batches that are drawn together and sorted by length, so that a batch holds little padding."""
_SAMPLED_AT_ONCE = 128
_ENOUGH = 0.95


def encode(tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example]) -> list[tuple[list[int], list[int]]]:
    """Tokens and targets of each example: question, lines, end token. Questions and unlearnt lines have the target `IGNORE`."""
    pieces: list[str] = []
    for example in examples:
        lines = example.lines
        pieces += [example.question + "\n", *(line.text + "\n" for line in lines[:-1]), lines[-1].text]
    ids = iter(tokenizer(pieces).input_ids)
    return [_join(next(ids), [(next(ids), line) for line in example.lines], EOS_ID) for example in examples]


def _join(question: list[int], lines: Sequence[tuple[list[int], Line]], end: int) -> tuple[list[int], list[int]]:
    tokens, targets = list(question), [IGNORE] * len(question)
    for ids, line in lines:
        tokens += ids
        targets += ids if line.learn else [IGNORE] * len(ids)
    return [*tokens, end], [*targets, end]


class Batches:
    """Batches without end, by the curriculum. `own` holds solutions that the model sampled; the newest replace the oldest."""

    def __init__(self, config: BuiltinTraining, tokenizer: PreTrainedTokenizerFast) -> None:
        self.config, self.tokenizer = config, tokenizer
        self.rng = Random(f"batches/{config.seed}")
        self.index = 0
        self.own: list[Example] = []

    def operations(self, step: int) -> int:
        """The largest number of operations at this step."""
        grown = step / max(1, self.config.curriculum * self.config.steps)
        return min(DIFFICULTIES[-1], 2 + int(grown * (DIFFICULTIES[-1] - 1)))

    def draw_program(self, most: int) -> Program:
        self.index += 1
        return draw_question(self.config.seed, self.index, self.rng.randint(1, most), "train")

    def pool(self, step: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """`POOL` batches of tokens and targets (batch, length), length-sorted inside the pool and in random order."""
        size, most = self.config.batch, self.operations(step)
        own = [self.own.pop() for _ in range(min(len(self.own), int(self.config.own_share * size * POOL)))]
        fresh = [
            draw_example(self.rng, self.draw_program(most), self.config.slips_at(step)) for _ in range(size * POOL - len(own))
        ]
        rows = sorted((row for row in encode(self.tokenizer, own + fresh) if len(row[0]) <= CONTEXT), key=lambda row: len(row[0]))
        groups = [rows[start : start + size] for start in range(0, len(rows), size)]
        self.rng.shuffle(groups)
        for group in groups:
            yield (
                self._pad([tokens for tokens, _ in group], PAD_ID),
                self._pad([t for _, t in group], IGNORE),
            )

    def _pad(self, rows: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
        width = max(len(row) for row in rows)
        return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows], device=self.config.device)

    def refresh_own(self, model: LlamaForCausalLM, generator: torch.Generator, count: int, revise: float) -> None:
        """Sample `count` training questions and keep what can be learnt from; `revise` is the share of mistakes taken back."""
        programs = sorted((self.draw_program(DIFFICULTIES[-1]) for _ in range(count)), key=lambda p: len(p.operations))
        made: list[Example] = []
        for start in range(0, count, _SAMPLED_AT_ONCE):
            made += self._own_examples(model, generator, programs[start : start + _SAMPLED_AT_ONCE], revise)
        self.rng.shuffle(made)
        self.own = made

    def _own_examples(
        self, model: LlamaForCausalLM, generator: torch.Generator, programs: Sequence[Program], revise: float
    ) -> list[Example]:
        prompts = [program.question + "\n" for program in programs]
        longest = 16 * max(len(program.operations) for program in programs) + 20
        drawn = sample_texts(
            model, self.tokenizer, prompts, temperature=1.0, generator=generator, max_tokens=longest, enough=_ENOUGH
        )
        made = []
        for program, solution in zip(programs, drawn, strict=True):
            steps = solution.text.split("\n")
            judged = judge(program.question, steps)
            example = own_example(self.rng, program, steps, judged, revise) if solution.ended else None
            made += [example] if example else []
        return made
