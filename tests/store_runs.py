"""Small runs for the tests of the store: deterministic items, and ways to write them."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from openr_data.data_cards.card import CardFacts, CardTable, render_card
from openr_data.store.codecs import labeling_tables
from openr_data.store.frames import Row
from openr_data.store.manifest import TableSize
from openr_data.store.run_dir import Mode, RunDir, open_run
from openr_data.store.run_record import RunIdentity
from openr_data.store.schemas import TABLES, card_features
from openr_data.types import Completion, Cost, LabeledSolution, Labeling, Node, Problem, Rollout, Solution, StepLabel, Verdict

TABLE_NAMES = ("labeled", "problems", "nodes", "rollouts")
IDENTITY = RunIdentity(
    command="label",
    config={"method": "omegaprm", "sampling": {"temperature": 1.0, "seed": 7}},
    engine="scripted:abc",
    inputs={"problems.jsonl": "00ff"},
    tables=TABLE_NAMES,
    shard_items=4,
)


def item_tables(item: int) -> dict[str, list[Row]]:
    """The rows of an item; a pure function of its number. Every third one has no solutions and no nodes."""
    rng = random.Random(item)
    problem = Problem(f"p{item}", f"What is {item} + 1? ∑\U0001d4d0\n\0", str(item + 1), "test", metadata={"level": "1"})
    if item % 3 == 2:
        return labeling_tables(problem, Labeling(problem.id, (), (), "too easy"))
    nodes = tuple(node(item, depth, rng) for depth in range(3))
    labels = tuple(each.label for each in nodes)
    steps = tuple(f"step {k} of {item}" for k in range(3))
    solution = Solution(f"s{item}", problem.id, steps, Verdict("wrong", "different", "0"), 30, "scripted", seed=item)
    labeled = LabeledSolution(solution, labels, item % 4 - 1, "omegaprm", Cost(24, 480), "binary_search")
    undecided = replace(labeled, labels=(None, StepLabel(0, 8), None), first_error=None, reason="unknown", origin="rollout")
    return labeling_tables(problem, Labeling(problem.id, (labeled, undecided), nodes))


def node(item: int, depth: int, rng: random.Random) -> Node:
    verdicts = [Verdict("right", "exact", "1"), Verdict("wrong", "different", "2"), Verdict("unknown", "truncated")]
    rollouts = tuple(
        Rollout(Completion(f"rollout {k}: {rng.random()}", 20, "stop", k, rng.getrandbits(63)), rng.choice(verdicts))
        for k in range(8)
    )
    parent = f"n{item}-{depth - 1}" if depth else ""
    return Node(
        f"n{item}-{depth}", f"p{item}", parent, tuple(f"step {k} of {item}" for k in range(depth)), rollouts, visits=depth
    )


async def fill(run: RunDir, items: Sequence[int]) -> None:
    """Finish those of the items that are not finished yet, in this order, at the same time."""
    await asyncio.gather(*(run.finish_item(item, item_tables(item)) for item in items if item not in run.progress))


def write_run(path: Path, items: Sequence[int], *, total: int | None = None, mode: Mode = "new", **options: Any) -> RunDir:
    """One attempt at a run: finish `items`; with `total`, complete it and close it as finished."""

    async def attempt() -> RunDir:
        async with open_run(path, options.pop("identity", IDENTITY), mode=mode, **options) as run:
            await fill(run, items)
            if total is not None:
                sizes = await run.complete(total)
                await run.write_card(card(sizes))
                await run.close("finished")
        return run

    return asyncio.run(attempt())


def card(sizes: dict[str, TableSize]) -> str:
    tables = [
        CardTable(name, TABLES[name].doc, card_features(TABLES[name]), size.rows, size.bytes, size.arrow_bytes)
        for name, size in sizes.items()
    ]
    return render_card(CardFacts("Test", tables, {"engine": "scripted"}, {"problems": 1}, ["By hand."], ["None."]))


def data_digests(path: Path) -> dict[str, str]:
    """Every file that makes up the data set, by its SHA-256."""
    names = [
        *(path / "data").rglob("*"),
        path / "manifest.json",
        path / "README.md",
        path / "failures.jsonl",
        path / "rejects.jsonl",
    ]
    return {
        name.relative_to(path).as_posix(): hashlib.sha256(name.read_bytes()).hexdigest()
        for name in sorted(names)
        if name.is_file()
    }
