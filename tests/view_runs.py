"""Runs for the tests of the page: one with everything that could break it, and one of any size."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from openr_data.store.codecs import generation_tables, labeling_tables
from openr_data.store.frames import Row
from openr_data.store.run_dir import open_run
from openr_data.store.run_record import RunIdentity
from openr_data.types import (
    NO_ERROR,
    Completion,
    Cost,
    Estimate,
    LabeledSolution,
    Labeling,
    Node,
    Outcome,
    Problem,
    Rollout,
    Solution,
    StepLabel,
    Verdict,
)

HOSTILE = (
    "<script>document.title = 'run'</script>",
    "<img src=x onerror=\"document.title = 'run'\">",
    "</script><script>document.title = 'run'</script><!-- <script>",
    "${document.title = 'run'} {{7*7}} `x` \u2028 \u2029 \0 &lt;b&gt;",
    "$\\href{javascript:alert(1)}{x}$ and \\(\\includegraphics{http://127.0.0.1:9/x.png}\\)",
    "$\\htmlId{main}{x}$ and $\\class{notice}{y}$ \"quoted\" 'single'",
)
"""Steps that a page must show as they are."""

MATHS = (
    "We have \\(\\frac{x^2 - 1}{x - 1} = x + 1\\) for $x \\neq 1$, and it costs $5 or $6.",
    "\\[\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix} \\cdot \\left(\\sqrt[3]{\\alpha}\\right)\\]",
    "\\begin{align*} a &= b \\\\ &= c \\end{align*}",
    "A broken one stays: \\(\\frac{1}{\\) and $\\nosuchcommand{2}$.",
    "So the answer is \\boxed{\\text{even}} $\\mbox{cm}$.",
    "Then \\$5 of 10\\% is $\\$0.50$.",
)


def identity(command: str, tables: tuple[str, ...], shard_items: int = 4) -> RunIdentity:
    config = {
        "run": {
            "source": {"location": "problems.jsonl"},
            "engine": {"engine": "scripted"},
            "sampling": {"temperature": 1.0, "max_tokens": 64, "seed": 7},
            **({"label": {"method": "omegaprm"}} if command == "label" else {}),
        }
    }
    return RunIdentity(command, config, "scripted:abc", {}, tables, shard_items)


def write(path: Path, made: RunIdentity, items: Iterable[dict[str, list[Row]]], *, finish: bool = True) -> None:
    """The items as a run; one that is not finished keeps only its full shards."""

    async def attempt() -> None:
        count = 0
        async with open_run(path, made, mode="new") as run:
            for tables in items:
                await run.finish_item(count, tables)
                count += 1
            if finish:
                await run.complete(count)
                await run.close("finished")

    asyncio.run(attempt())


def write_labeled(path: Path, *, finish: bool = True) -> None:
    """Six problems: hostile texts, mathematics, a tree, one dropped, one undecided, one without values."""
    tables = ("labeled", "problems", "nodes", "rollouts")
    items = [_hostile(), _maths(), _tree(), _dropped(), _undecided(), _published()]
    write(path, identity("label", tables), [labeling_tables(*item) for item in items], finish=finish)


def write_odd(path: Path) -> None:
    """Labels that are not monotone, errors that nobody measured, texts that are slow to read, and more solutions than fit."""
    tables = ("labeled", "problems", "nodes", "rollouts")
    items = [_not_monotone(), _concluded(), _slow(), _many()]
    write(path, identity("label", tables), [labeling_tables(*item) for item in items])


def write_imported(path: Path) -> None:
    config = {"run": {"source": {"location": "published.jsonl"}, "format": "prm800k", "reading": {"neutral": "bad"}}}
    made = RunIdentity("import", config, "published:prm800k", {}, ("labeled", "problems"), 4)
    tables = labeling_tables(*_not_monotone())
    write(path, made, [{name: tables[name] for name in made.tables}])
    (path / "rejects.jsonl").write_text('{"reason": "give_up"}\n{"reason": "screening"}\n')


def write_generated(path: Path) -> None:
    problems = [Problem(f"g{n}", f"What is {n} + 1?", str(n + 1), "sums", "easy") for n in range(3)]
    items = [
        generation_tables(each, [_solution(each, 0, (f"{n} + 1 = {n + 1}", f"So {n + 1}"), "right")])
        for n, each in enumerate(problems)
    ]
    write(path, identity("generate", ("solutions", "problems")), items)


def write_large(path: Path, steps: int) -> None:
    """A run of `steps` labelled steps: four solutions of eight steps per problem, and a tree of four prefixes with rollouts."""
    made = identity("label", ("labeled", "problems", "nodes", "rollouts"), shard_items=500)
    write(path, made, (labeling_tables(*_large(item)) for item in range(steps // 32)))


def _solution(problem: Problem, index: int, steps: tuple[str, ...], outcome: Outcome, reason: str = "exact") -> Solution:
    answer = None if outcome == "unknown" else "7"
    return Solution(
        f"{problem.id}/{index}",
        problem.id,
        steps,
        Verdict(outcome, reason, answer),
        40,
        "scripted",
        index=index,
        seed=2**62 + index,
    )


def _labeled(solution: Solution, counts: list[tuple[int, int] | None], first: int | None, reason: str) -> LabeledSolution:
    labels = tuple(pair and StepLabel(*pair) for pair in counts)
    estimates = tuple(Estimate(label.value, "mean") if label else None for label in labels)
    return LabeledSolution(solution, labels, first, "omegaprm", Cost(24, 480), reason, estimates=estimates)


def _hostile() -> tuple[Problem, Labeling]:
    problem = Problem(
        "p</script>/1", "Is <b>this</b> bold? </title><script>document.title = 'run'</script>", "<i>7</i>", "<u>x</u>", "1"
    )
    steps = _labeled(_solution(problem, 0, HOSTILE, "wrong", "<s>"), [(8 - n, 8) for n in range(6)], 3, "binary_search")
    notes = LabeledSolution(
        steps.solution,
        steps.labels,
        3,
        "omegaprm",
        steps.cost,
        steps.reason,
        notes={"<b>note</b>": "</script>"},
        estimates=steps.estimates,
    )
    texts = [
        Rollout(Completion(text, 9, "stop", n, n), Verdict("wrong", "different", "<i>1</i>")) for n, text in enumerate(HOSTILE)
    ]
    return problem, Labeling(problem.id, (notes,), (Node("n0", problem.id, "", (), tuple(texts)),))


def _maths() -> tuple[Problem, Labeling]:
    problem = Problem("maths", "Find \\(x\\) with $\\frac{x}{2} = 3$.", "\\frac{12}{2}", "books", "2")
    return problem, Labeling(
        problem.id, (_labeled(_solution(problem, 0, MATHS, "right"), [(8, 8)] * 6, NO_ERROR, "right_answer"),), ()
    )


def _tree() -> tuple[Problem, Labeling]:
    problem = Problem("tree", "Grow a tree.", "7", "books", "10")
    steps = tuple(f"step {n}" for n in range(6))
    solution = _labeled(_solution(problem, 0, steps, "wrong"), [None, (6, 8), None, (1, 8), (0, 8), None], 4, "binary_search")
    other = _labeled(_solution(problem, 1, (*steps[:2], "another"), "right"), [(7, 8), (6, 8), (8, 8)], NO_ERROR, "right_answer")
    nodes = [_node(problem, "root", "", (), 5), _node(problem, "a", "root", steps[:2], 6), _node(problem, "b", "a", steps[:4], 1)]
    nodes += [_node(problem, "c", "b", steps[:5], 0), _node(problem, "d", "root", ("elsewhere",), 3)]
    return problem, Labeling(problem.id, (solution, other), tuple(nodes))


def _node(problem: Problem, name: str, parent: str, prefix: tuple[str, ...], hits: int) -> Node:
    outcomes: list[Outcome] = ["right" if n < hits else "wrong" if n < 8 else "unknown" for n in range(9)]
    rollouts = [
        Rollout(Completion(f"rollout {n} of {name}", 12, "stop", n, n), Verdict(outcome, "exact", "7" if n % 2 else None))
        for n, outcome in enumerate(outcomes)
    ]
    return Node(name, problem.id, parent, prefix, tuple(rollouts), visits=hits)


def _dropped() -> tuple[Problem, Labeling]:
    problem = Problem("dropped", "Too easy a question?", "yes", "books", "3")
    return problem, Labeling(problem.id, (), (), "too_easy")


def _undecided() -> tuple[Problem, Labeling]:
    problem = Problem("undecided", "Who knows?", "nobody", "riddles", "3")
    solution = _solution(problem, 0, ("Perhaps.", "Perhaps not."), "unknown", "truncated")
    return problem, Labeling(problem.id, (_labeled(solution, [None, (2, 4)], None, "no_decided_rollouts"),), ())


def _published() -> tuple[Problem, Labeling]:
    problem = Problem("published", "Labels without values?", "", "human")
    solution = _solution(problem, 0, ("One.", "Two.", "Three."), "wrong", "published")
    labeled = LabeledSolution(solution, (None, None, None), 1, "processbench", Cost(), "published")
    return problem, Labeling(problem.id, (labeled,), ())


def _not_monotone() -> tuple[Problem, Labeling]:
    problem = Problem("mixed", "Where is the caf\u00e9?", "7", "human")
    solution = _solution(problem, 0, ("One.", "Two.", "Three.", "Four.", "Five."), "wrong", "published")
    hard = (True, False, True, False, None)
    ratings = tuple(None if each is None else Estimate(1.0 if each else -1.0, "rating") for each in hard)
    rated = LabeledSolution(solution, (None,) * 5, 1, "prm800k", Cost(), "published", estimates=ratings, hard=hard)
    told = LabeledSolution(_again(solution, 1), (None,) * 5, 1, "prm800k", Cost(), "published", hard=hard)
    return problem, Labeling(problem.id, (rated, told), ())


def _again(solution: Solution, index: int) -> Solution:
    return replace(solution, id=f"{solution.problem_id}/{index}", index=index)


def _concluded() -> tuple[Problem, Labeling]:
    """Measured after steps 2 and 6; the first wrong steps are 4 (between them) and 2 of another solution (nothing below it)."""
    problem = Problem("concluded", "Which step?", "7", "books")
    steps = tuple(f"step {n}" for n in range(6))
    solutions = (
        _labeled(_solution(problem, 0, steps, "wrong"), [None, (6, 8), None, None, None, (0, 8)], 3, "posterior"),
        _labeled(_solution(problem, 1, ("step 0", "aside"), "wrong"), [None, None], 1, "posterior"),
    )
    nodes = (
        _node(problem, "root", "", (), 5),
        _node(problem, "a", "root", steps[:2], 6),
        _node(problem, "b", "a", steps, 0),
    )
    return problem, Labeling(problem.id, solutions, nodes)


def _slow() -> tuple[Problem, Labeling]:
    problem = Problem("slow", "Slow?", "7", "books")
    texts = ("\\(" * 24_000, "\n" * 45_000 + "x \\[y\\]", "$a$ " * 12_000)
    return problem, Labeling(
        problem.id, (_labeled(_solution(problem, 0, texts, "right"), [None] * 3, NO_ERROR, "right_answer"),), ()
    )


def _many() -> tuple[Problem, Labeling]:
    problem = Problem("many", "Many?", "7", "books")
    steps = tuple(f"step {n}" for n in range(350))
    long = _labeled(_solution(problem, 0, steps, "right"), [(8, 8)] * 350, NO_ERROR, "right_answer")
    short = [_labeled(_solution(problem, n, ("One.",), "right"), [(8, 8)], NO_ERROR, "right_answer") for n in range(1, 250)]
    return problem, Labeling(problem.id, (long, *short), ())


_WORDS = ("therefore", "the", "sum", "of", "both", "sides", "product", "divide", "prime", "factor", "angle", "remainder", "root")


def _large(item: int) -> tuple[Problem, Labeling]:
    rng = random.Random(item)
    problem = Problem(
        f"large-{item:05d}", f"Question {item}: " + _sentence(rng, 18), str(item), f"source {item % 5}", str(item % 6)
    )
    solutions = tuple(_large_solution(problem, index, rng) for index in range(4))
    shared = solutions[0].solution.steps
    nodes = [Node(f"{item}-{k}", problem.id, f"{item}-{k - 1}" if k else "", shared[: 2 * k], _draws(rng), k) for k in range(4)]
    return problem, Labeling(problem.id, solutions, tuple(nodes))


def _large_solution(problem: Problem, index: int, rng: random.Random) -> LabeledSolution:
    first = rng.randrange(-1, 8)
    steps = tuple(f"Step {k + 1}: {_sentence(rng, 12)}, so \\(x_{{{k}}} = {rng.randrange(1000)}\\)" for k in range(8))
    counts: list[tuple[int, int] | None] = [(rng.randrange(1, 9) if first == NO_ERROR or k < first else 0, 8) for k in range(8)]
    solution = _solution(problem, index, steps, "right" if first == NO_ERROR else "wrong")
    return _labeled(solution, counts, first, "binary_search")


def _draws(rng: random.Random) -> tuple[Rollout, ...]:
    outcomes: list[Outcome] = [rng.choice(("right", "wrong")) for _ in range(8)]
    return tuple(
        Rollout(Completion(_sentence(rng, 30), 40, "stop", n, n), Verdict(each, "exact", "7")) for n, each in enumerate(outcomes)
    )


def _sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(_WORDS, k=words)) + f" {rng.randrange(10**6)}"
