"""A process that scores a file and is killed in the middle: `python prm_score_child.py SOURCE OUT BATCHES` (0: runs to its end).

The model is a rule, so that nothing heavy is loaded.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from openr_data.pipelines.prm import scoring
from openr_data.pipelines.prm.config import SourceSpec
from openr_data.pipelines.prm.score_sources import open_solutions
from openr_data.prm.config import PRMConfig, Template
from openr_data.prm.encode import Encoded, Encoder, RowError
from openr_data.prm.score.scorer import ModelScorer, quiet

CONFIG = PRMConfig("causal", Template("plain", "{question}"), "<step>", 1)


@dataclass
class Letters:
    """One token per letter; the tag behind every step."""

    config: PRMConfig = CONFIG

    def encode(self, question: str, steps: Sequence[str]) -> Encoded:
        if not steps:
            raise RowError("it has no steps")
        ids, reads = [ord(letter) for letter in question], []
        for step in steps:
            ids += [ord(letter) for letter in step]
            reads.append(len(ids))
            ids.append(1)
        return Encoded(tuple(ids), tuple(reads), len(question))


@dataclass
class Rule:
    """The margin of a step is the place of its tag, over 100. Before the batch of number `last` the process ends."""

    last: int = 0
    batches: list[int] = field(default_factory=list)

    def margins(self, batch: Sequence[Encoded], /, on_done: Callable[[int], None] = quiet) -> list[tuple[float, ...]]:
        self.batches.append(len(batch))
        if len(self.batches) == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        on_done(len(batch))
        return [tuple(read / 100 for read in one.reads) for one in batch]


def rule_scorer(backend: Rule, identity: str = "rule") -> ModelScorer:
    return ModelScorer(cast("Encoder", Letters()), backend, identity)


def main(source: str, out: str, last: str) -> None:
    scoring.score_solutions(open_solutions(SourceSpec(source)), rule_scorer(Rule(int(last))), Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
