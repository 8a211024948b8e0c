"""One question under search: samples continuations, merges equal ones, has them scored, and keeps tree and ledger.

Everything that a strategy does to the policy and to the model that scores goes through here, so no token escapes the ledger, and
nodes get their numbers in the order of the requests and not in that of the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from openr_data.aggregate import AGGREGATES, RANKINGS, sigmoid
from openr_data.errors import ContextOverflow
from openr_data.search.base import Found, Path, Scorer
from openr_data.search.config import SearchConfig
from openr_data.search.growth import grown
from openr_data.search.ledger import Ledger
from openr_data.search.tree import Node, Tree
from openr_data.steps import StepFormat
from openr_data.tasks import concurrently
from openr_data.types import Completion, Engine, Sampling


@dataclass(frozen=True, slots=True)
class Want:
    """`n` continuations of a path, with the sample indices from `start` on. `question` replaces the one that is searched."""

    path: Path
    n: int
    start: int = 0
    question: str = ""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the searches of all questions share. `finds_answer` is asked of a step whose engine does not say whether it ended."""

    policy: Engine
    steps: StepFormat
    sampling: Sampling
    scorer: Scorer | None = None
    finds_answer: Callable[[str], bool] = lambda _: False
    on_path: Callable[[Path], None] = lambda _: None
    """Told of every path as it comes, and again when it is scored: for those who watch."""


class Explorer:
    """`ledger` may be a part of another one's."""

    def __init__(self, question: str, use: Resources, config: SearchConfig, ledger: Ledger | None = None) -> None:
        self.question, self.use, self.config = question, use, config
        self.ledger = ledger or Ledger(config.cap, config.answer_tokens if config.force else 0)
        self.tree = Tree()
        self.lost = 0
        self.stopped = ""

    @property
    def root(self) -> Path:
        return Path()

    async def next_steps(self, wanted: Sequence[Want]) -> list[list[Path]]:
        """Continuations by one step, those of each path together: without copies and without lost ones, not scored yet.

        A path that may not have another token comes back alone, cut.
        """
        stop = (*self.use.sampling.stop, self.use.steps.separator)
        return await self._continued(wanted, replace(self.use.sampling, stop=stop), self.config.step_tokens)

    async def solutions(self, wanted: Sequence[Want], sampling: Sampling | None = None) -> list[list[Path]]:
        """Continuations to the end, copies kept: each is a candidate of its own."""
        return await self._continued(wanted, sampling or self.use.sampling, 0, merge=False)

    async def draw(
        self, steps: Sequence[str], n: int, start: int, sampling: Sampling, question: str = "", *, forced: bool = False
    ) -> Sequence[Completion]:
        """Of the policy, and charged. Where the context has no room the samples are empty and cut."""
        try:
            drawn = await self.use.policy.sample(question or self.question, tuple(steps), n=n, sampling=sampling, start=start)
        except ContextOverflow:
            return [Completion("", 0, "length", index, 0) for index in range(start, start + n)]
        for each in drawn:
            self.ledger.charge(each.token_count, forced=forced)
        return drawn

    async def scored(self, paths: Sequence[Path]) -> list[Path]:
        """The same paths with their margins, or why they have none. Paths without a step are as they were."""
        if self.use.scorer is None:
            return list(paths)
        asked = [path for path in paths if path.steps and not path.margins]
        scores = dict(zip(map(id, asked), await self.use.scorer(self.question, [path.steps for path in asked]), strict=True))
        self.ledger.prm += sum(each.tokens for each in scores.values())
        known = [
            replace(path, margins=scores[id(path)].margins, unscored=scores[id(path)].reason) if id(path) in scores else path
            for path in paths
        ]
        for path in known:
            self.tree.nodes[path.node].margin = path.margins[-1] if path.margins else None
            self.use.on_path(path)
        return known

    def rank(self, path: Path) -> tuple[bool, float]:
        """To sort by, the best last. What has no score is not known to be worse than a low one, but stands below it."""
        return (bool(path.margins), RANKINGS[self.config.rank](path.margins) if path.margins else 0.0)

    def best(self, paths: Iterable[Path], count: int) -> list[Path]:
        """In order, the best first; equal ones as they were found."""
        return sorted(paths, key=self.rank, reverse=True)[:count]

    def value(self, path: Path) -> float | None:
        """In 0..1, by the same aggregation; `None` of a path without scores."""
        return AGGREGATES[self.config.rank]([sigmoid(each) for each in path.margins]) if path.margins else None

    def found(self, candidates: Iterable[Path]) -> Found:
        kept = tuple(path for path in candidates if path.steps)
        bill = self.ledger.bill(self.tree.kept(path.node for path in kept))
        return Found(kept, tuple(self.tree.nodes), bill, self.lost, self.stopped)

    async def _continued(self, wanted: Sequence[Want], sampling: Sampling, most: int, *, merge: bool = True) -> list[list[Path]]:
        share = self.ledger.share(sum(want.n for want in wanted))
        limits = [self._limit(want.path, share, most, sampling.max_tokens) for want in wanted]
        jobs = [
            self.draw(want.path.steps, want.n, want.start, replace(sampling, max_tokens=limit), want.question)
            for want, limit in zip(wanted, limits, strict=True)
            if limit > 0
        ]
        answers = iter(await concurrently(jobs))
        return [
            self._grown(want.path, next(answers), merge=merge) if limit > 0 else self._spent(want.path)
            for want, limit in zip(wanted, limits, strict=True)
        ]

    def _limit(self, path: Path, share: int | None, most: int, whole: int) -> int:
        """Tokens of the next sample: what the solution, the step and the question may still have."""
        if share is not None and share < 1:
            self.stopped = "budget"
        limits = (whole - path.tokens, most or whole, whole if share is None else share)
        return min(limits)

    def _spent(self, path: Path) -> list[Path]:
        self.tree.nodes[path.node].end = "cut"
        return [replace(path, end="cut")] if path.steps else []

    def _grown(self, path: Path, drawn: Sequence[Completion], *, merge: bool) -> list[Path]:
        found: dict[object, Path] = {}
        for place, completion in enumerate(drawn):
            child = grown(path, completion, self.use.steps, self.use.finds_answer)
            if child.end == "lost":
                self.lost += 1
                continue
            key = (child.steps, child.end) if merge else place
            if key in found:
                node = self.tree.nodes[found[key].node]
                node.copies, node.spent = node.copies + 1, node.spent + completion.token_count
                continue
            found[key] = replace(child, node=self.tree.add(_node(path, child, completion)))
            self.use.on_path(found[key])
        return list(found.values())


def _node(parent: Path, child: Path, completion: Completion) -> Node:
    added = child.steps[len(parent.steps) :] or child.steps[-1:]
    return Node(parent.node, added, child.end, completion.token_count, completion.token_count, logprob=completion.logprob)
