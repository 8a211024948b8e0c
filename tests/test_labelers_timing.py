"""What a labeler finds never depends on which answer comes first, and nothing stays behind when it ends early."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from chain_labelling import LINES, SAMPLING, Asked, grade, label, measuring, problems, written

from openr_data.errors import EngineError
from openr_data.labelers import LABELERS, NEEDED_ENGINE, LabelConfig, build_labeler, cost_of
from openr_data.labelers.tree import Tree
from openr_data.types import Cost, Labeling, Problem, Solution, Verdict

SCRIPT = "error=0.15,recovery=0.03,phrasings=1,lost=0.05,truncate=0.05"
ALONE = [method for method in LABELERS if method not in NEEDED_ENGINE]
CONFIGS = [
    *(LabelConfig(method, 4, 8, searches=4) for method in ALONE),
    *(LabelConfig(method, 4, 8, searches=4, exact_counts=True) for method in ("math-shepherd", "mips", "omegaprm", "scan")),
    *(LabelConfig(method, 4, 8, searches=4, reuse_passing=False) for method in ("math-shepherd", "omegaprm")),
    LabelConfig("mips", 4, exact_counts=False),
    *(LabelConfig("omegaprm", 4, 8, searches=9, rollout_limit=limit) for limit in (11, 17, 30, 60)),
    LabelConfig("omegaprm", 4, 0, searches=6, rollout_limit=25, exact_counts=True),
]


def shared_solutions(problem: Problem) -> list[Solution]:
    """With many common prefixes, a text that comes twice, and one that is cut otherwise: two steps as one."""
    given = written(problem, "error=0.15,phrasings=1", 6)
    wrong = next(solution for solution in [*given, *written(problem, "error=0.9", 1)] if solution.verdict.outcome == "wrong")
    lumped = replace(wrong, id="lumped", steps=("\n".join(wrong.steps[:2]), *wrong.steps[2:]), seed=1)
    return [*given, replace(wrong, id="twin", seed=1), lumped]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.method}-{c.exact_counts}-{c.reuse_passing}-{c.rollout_limit}")
def test_an_engine_that_answers_in_any_order_gives_the_same_labels_nodes_and_costs(config: LabelConfig) -> None:
    for problem in problems(3):
        given = shared_solutions(problem)
        at_once = Asked(SCRIPT)
        expected = label(config, at_once, problem, given)
        check_costs(expected, at_once, config)
        for order in range(4):
            engine = Asked(SCRIPT, order)
            assert label(config, engine, problem, given) == expected
            assert engine.samples == at_once.samples


def check_costs(labelling: Labeling, engine: Asked, config: LabelConfig) -> None:
    """The sum over the solutions and the root is what was drawn; every sample was asked for once."""
    root = [node for node in labelling.nodes if not node.prefix]
    paid = sum((one.cost for one in labelling.solutions), Cost()) + cost_of(root)
    assert paid == cost_of(labelling.nodes)
    drawn = Counter((LINES.open(node.prefix), r.completion.index) for node in labelling.nodes for r in node.rollouts)
    assert drawn == engine.samples
    assert set(drawn.values()) <= {1}
    if config.rollout_limit:
        assert cost_of(labelling.nodes).rollouts <= config.rollout_limit


def test_a_text_that_two_solutions_cut_otherwise_is_one_node_whoever_comes_first() -> None:
    """Both ask for the first two lines in their second probe."""
    steps = tuple(f"Step {t}: {t} + 1 = {t + 1}" for t in range(1, 8))
    long = Solution("long", "p", (*steps, "The answer is 1"), Verdict("wrong", "exact"))
    lumped = replace(long, id="lumped", steps=("\n".join(steps[:2]), "Step 3: 9", *long.steps[3:]))
    problem = Problem("p", "Start with 1 and add 1, 8 times. What is the result?", "999")
    config = LabelConfig("omegaprm", 3, 0, searches=0)
    found = [label(config, Asked("", order), problem, [long, lumped]) for order in range(12)]
    assert all(one == found[0] for one in found)
    assert [node.prefix for node in found[0].nodes if len(node.prefix) == 2] == [steps[:2]]


def test_draws_at_the_same_time_share_the_limit() -> None:
    [problem] = problems(1)

    async def draw(order: int) -> tuple[Tree, list[int]]:
        tree = Tree(problem, measuring(Asked("", order)), limit=10)
        drawn = await asyncio.gather(*(tree.draw((f"Step 1: {i}",), 4) for i in range(5)))
        return tree, [len(rollouts) for rollouts in drawn]

    for order in range(5):
        tree, drawn = asyncio.run(draw(order))
        assert drawn == [4, 4, 2, 0, 0]
        assert (tree.count, tree.exhausted, cost_of(tree.finished()).rollouts) == (10, True, 10)


def test_rollouts_that_are_there_do_not_wait_for_those_that_are_not() -> None:
    [problem] = problems(1)

    async def ask() -> list[int]:
        done: list[int] = []
        engine = Asked("")
        tree = Tree(problem, measuring(engine))
        await tree.draw((), 2)
        engine.order = 0
        engine.wait.randrange = lambda *_: 50  # type: ignore[method-assign]  # a long wait

        async def draw(stop: int) -> None:
            await tree.draw((), stop)
            done.append(stop)

        await asyncio.gather(draw(3), draw(2), draw(1))
        return done

    assert asyncio.run(ask()) == [2, 1, 3]


class Trees:
    """Every tree that was made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[Tree] = []
        begin = Tree.__init__

        def keep(tree: Tree, problem: Problem, *args: object, **options: object) -> None:
            begin(tree, problem, *args, **options)  # type: ignore[arg-type]  # passed on
            self.made.append(tree)

        monkeypatch.setattr(Tree, "__init__", keep)

    def locked(self) -> int:
        return sum(turn.locked() for tree in self.made for turn in tree._turns.values())


async def left_over() -> set[str]:
    """The names of the tasks that still run when this one is done."""
    await asyncio.sleep(0)
    return {str(task.get_coro()) for task in asyncio.all_tasks() if task is not asyncio.current_task()}


ENDED_EARLY = [
    *(LabelConfig(method, 4, 6, searches=3) for method in ALONE),
    LabelConfig("omegaprm", 3, 6, searches=3, rollout_limit=80),
    LabelConfig("math-shepherd", 3, exact_counts=True),
]


@pytest.mark.parametrize("config", ENDED_EARLY, ids=lambda c: f"{c.method}-{c.exact_counts}-{c.rollout_limit}")
def test_an_engine_that_fails_in_the_middle_leaves_no_task_and_no_lock(
    config: LabelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = Trees(monkeypatch)
    [problem] = problems(1, seed=8)
    given = shared_solutions(problem)
    failed = 0
    for calls in (1, 2, 4, 7):
        engine = Asked("error=0.15,phrasings=1", order=calls)
        engine.before = failing_after(calls)

        async def run(labeler: object = build_labeler(config, engine, grade, SAMPLING, LINES)) -> tuple[bool, set[str]]:
            [ended] = await asyncio.gather(labeler(problem, given), return_exceptions=True)  # type: ignore[operator]  # a labeler
            return isinstance(ended, EngineError), await left_over()

        ended, tasks = asyncio.run(run())
        failed += ended
        assert tasks == set()
        assert trees.locked() == 0
    gc.collect()
    assert failed >= 2


def failing_after(calls: int) -> Callable[[], None]:
    left = [calls]

    def count() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise EngineError("down")

    return count


@pytest.mark.parametrize("config", ENDED_EARLY, ids=lambda c: f"{c.method}-{c.exact_counts}-{c.rollout_limit}")
def test_cancelling_at_any_moment_leaves_no_task_and_no_lock(config: LabelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = Trees(monkeypatch)
    [problem] = problems(1, seed=8)
    given = shared_solutions(problem)
    cancelled = 0
    for ticks in (1, 3, 6, 11, 20, 40):

        async def run(after: int = ticks) -> bool:
            labeler = build_labeler(config, Asked("error=0.15,phrasings=1", order=after), grade, SAMPLING, LINES)
            task = asyncio.ensure_future(labeler(problem, given))
            for _ in range(after):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await left_over() == set()
            return task.cancelled()

        cancelled += asyncio.run(run())
        assert trees.locked() == 0
    gc.collect()
    assert cancelled >= 4
