"""One question under search: samples continuations, merges equal ones, has them scored, and keeps tree and ledger.

Everything that a strategy does to the policy and to the model that scores goes through here, so no token escapes the ledger, and
nodes get their numbers in the order of the requests and not in that of the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from openr_data.aggregate import AGGREGATES, RANKINGS, sigmoid
from openr_data.errors import ContextOverflow, EngineError
from openr_data.search.base import Found, Path, Scorer, StepScores
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
        self.ledger = ledger or Ledger(config.cap or None, config.reserve)
        self.tree = Tree()
        self.lost = 0
        self.no_room = ""
        self.stopped = ""

    @property
    def root(self) -> Path:
        return Path()

    async def next_steps(self, wanted: Sequence[Want]) -> list[list[Path]]:
        """Continuations by one step, those of each path together: without copies and without lost ones, not scored yet.

        A path that may not have another token comes back alone, cut; one whose continuations were all lost, as lost.
        """
        stop = (*self.use.sampling.stop, self.use.steps.separator)
        return await self._continued(wanted, replace(self.use.sampling, stop=stop), self.config.step_tokens)

    async def solutions(
        self, wanted: Sequence[Want], sampling: Sampling | None = None, *, goes_on: bool = False
    ) -> list[list[Path]]:
        """Continuations to the end, copies kept: each is a candidate of its own. `goes_on`: a stop string is not the end."""
        return await self._continued(wanted, sampling or self.use.sampling, 0, merge=False, goes_on=goes_on)

    async def draw(
        self, steps: Sequence[str], n: int, start: int, sampling: Sampling, question: str = "", *, forced: bool = False
    ) -> Sequence[Completion]:
        """Of the policy, and charged. Where the context has no room the samples are empty and cut, and `no_room` says why."""
        try:
            drawn = await self.use.policy.sample(question or self.question, tuple(steps), n=n, sampling=sampling, start=start)
        except ContextOverflow as fault:
            self.no_room = str(fault)
            return [Completion("", 0, "length", index, 0) for index in range(start, start + n)]
        for each in drawn:
            self.ledger.charge(each.token_count, forced=forced)
        return drawn

    async def scored(self, paths: Sequence[Path]) -> list[Path]:
        """The same paths with their margins, or why they have none. Paths without a step are as they were.

        Raises `EngineError` where the scorer has not one margin for each step.
        """
        asked = [place for place, path in enumerate(paths) if not (path.blank or path.margins or path.unscored)]
        if self.use.scorer is None or not asked:
            return list(paths)
        scores = await self.use.scorer(self.question, [paths[place].steps for place in asked])
        known = list(paths)
        for place, score in zip(asked, scores, strict=True):
            known[place] = self._scored(paths[place], score)
        return known

    def _scored(self, path: Path, score: StepScores) -> Path:
        if score.margins and len(score.margins) != len(path.steps):
            raise EngineError(f"the scorer gave {len(score.margins)} scores for {len(path.steps)} steps")
        self.ledger.prm += score.tokens
        known = replace(path, margins=score.margins, unscored="" if score.margins else score.reason or "not scored")
        self.tree.nodes[path.node].margin = score.margins[-1] if score.margins else None
        self.use.on_path(known)
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
        kept = tuple(path for path in candidates if not path.blank)
        bill = self.ledger.bill(self.tree.kept(path.node for path in kept))
        return Found(kept, tuple(self.tree.nodes), bill, self.lost, self.stopped)

    def keep(self, parent: Path, child: Path, completion: Completion) -> Path:
        """The child with a node of its own below the parent's."""
        added = child.steps[len(parent.steps) :] or child.steps[-1:]
        tokens, logprob = completion.token_count, completion.logprob
        kept = replace(child, node=self.tree.add(Node(parent.node, added, child.end, tokens, tokens, logprob=logprob)))
        self.use.on_path(kept)
        return kept

    async def _continued(
        self, wanted: Sequence[Want], sampling: Sampling, most: int, *, merge: bool = True, goes_on: bool = True
    ) -> list[list[Path]]:
        wanted = self._affordable(wanted)
        share = self.ledger.share(sum(want.n for want in wanted))
        limits = [self._limit(want, share, most, sampling.max_tokens) for want in wanted]
        jobs = [
            self.draw(want.path.steps, want.n, want.start, replace(sampling, max_tokens=limit), want.question)
            for want, limit in zip(wanted, limits, strict=True)
            if limit > 0
        ]
        answers = list(zip([limit for limit in limits if limit > 0], await concurrently(jobs), strict=True))
        if any(each.finish_reason == "length" and limit == share for limit, drawn in answers for each in drawn):
            self.stopped = "budget"
        found = iter(answers)
        return [
            self._grown(want.path, next(found)[1], merge, goes_on) if limit > 0 else self._spent(want.path)
            for want, limit in zip(wanted, limits, strict=True)
        ]

    def _affordable(self, wanted: Sequence[Want]) -> Sequence[Want]:
        """At the beginning, where not every sample could have a token, the first one alone gets them."""
        share = self.ledger.share(sum(want.n for want in wanted))
        if share is None or share > 0 or not all(want.path.blank for want in wanted):
            return wanted
        self.stopped = "budget"
        return [replace(want, n=1 if place == 0 else 0) for place, want in enumerate(wanted)]

    def _limit(self, want: Want, share: int | None, most: int, whole: int) -> int:
        """Tokens of the next sample: what the solution, the step and the question may still have."""
        if share is not None and share < 1:
            self.stopped = "budget"
        limits = (whole - want.path.tokens, most or whole, whole if share is None else share)
        return min(limits) if want.n else 0

    def _spent(self, path: Path) -> list[Path]:
        self.tree.nodes[path.node].end = "cut"
        return [] if path.blank else [replace(path, end="cut")]

    def _grown(self, path: Path, drawn: Sequence[Completion], merge: bool, goes_on: bool) -> list[Path]:
        found: dict[object, Path] = {}
        for place, completion in enumerate(drawn):
            child = grown(path, completion, self.use.steps, self.use.finds_answer, goes_on=goes_on)
            if child.end == "lost":
                self.lost += 1
                continue
            key = (child.steps, child.end) if merge else place
            if key in found:
                node = self.tree.nodes[found[key].node]
                node.copies, node.spent = node.copies + 1, node.spent + completion.token_count
                continue
            found[key] = self.keep(path, child, completion)
        return list(found.values()) or ([] if path.blank else [replace(path, end="lost")])
