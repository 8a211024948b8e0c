"""The graders as a run uses them: verdicts, the cache, shared flights, cancellation, laziness, the self-check on real data."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openr_data.graders import GRADERS, ExactGrader, GradingPolicy, MathGrader, OpenGrader, grades_itself
from openr_data.graders.pool import Pool, WorkerError
from openr_data.types import Grader, Verdict

SHARED = Path(os.environ.get("OPENR_SHARED_DATA", str(Path(__file__).parents[2] / "shared" / "data")))


class FakePool(Pool):
    """Counts what it is asked and answers from a script."""

    def __init__(self, *reasons: str) -> None:
        super().__init__()
        self.reasons = list(reasons)
        self.asked: list[tuple[str, str, float]] = []

    def compare(self, answer: str, gold: str, cpu_seconds: float) -> str:
        self.asked.append((answer, gold, cpu_seconds))
        return self.reasons.pop(0) if self.reasons else "equal"


def scripted(*reasons: str, cache_size: int = 100) -> tuple[MathGrader, FakePool]:
    grader, pool = MathGrader(workers=1, cpu_seconds=1.0, cache_size=cache_size), FakePool(*reasons)
    grader._pool = pool
    return grader, pool


HARD, GOLD = r"\sin 2x", r"2\sin x\cos x"


@pytest.mark.parametrize(
    ("response", "gold", "verdict"),
    [
        (r"\boxed{42}", "42", Verdict("right", "exact", "42")),
        (r"\boxed{0.5}", r"\frac{1}{2}", Verdict("right", "equal", "0.5")),
        (r"\boxed{41}", "42", Verdict("wrong", "different", "41")),
        (r"so it is \boxed{4", "4", Verdict("unknown", "no_answer", None)),
        (r"\boxed{10 20}", "30", Verdict("unknown", "unparsable_answer", "10 20")),
        (r"\boxed{5}", "((", Verdict("unknown", "unparsable_gold", "5")),
        (r"\boxed{5}", "", Verdict("unknown", "unparsable_gold", "5")),
        (r"\boxed{9^{9^9}}", "5", Verdict("unknown", "limit", "9^{9^9}")),
    ],
)
def test_verdicts(response: str, gold: str, verdict: Verdict) -> None:
    async def main(grader: OpenGrader) -> Verdict:
        async with grader:
            return await grader(response, gold)

    assert asyncio.run(main(MathGrader())) == verdict
    if gold != "((":
        assert asyncio.run(main(ExactGrader())).outcome == verdict.outcome


def test_the_graders_are_graders() -> None:
    grader: Grader = ExactGrader()
    assert callable(grader)
    made = {name: make(GradingPolicy(percent="same")) for name, make in GRADERS.items()}
    assert {name: g.identity for name, g in made.items()} == {
        "math": "math/1 percent=same,bases=optional,decimal_digits=6",
        "exact": "exact/1 percent=same,bases=optional,decimal_digits=6",
    }


@pytest.mark.parametrize(
    ("reason", "outcome"), [("equal", "right"), ("different", "wrong"), ("unparsable_answer", "unknown"), ("limit", "unknown")]
)
def test_the_outcome_follows_the_reason(reason: str, outcome: str) -> None:
    grader, _ = scripted(reason)
    assert asyncio.run(grader.grade_answer(HARD, GOLD)) == Verdict(outcome, reason, HARD)  # type: ignore[arg-type] # a literal by table


def test_decided_pairs_are_cached_by_their_spelling() -> None:
    grader, pool = scripted("different")

    async def main() -> list[str]:
        return [(await grader.grade_answer(answer, GOLD)).reason for answer in (HARD, r"$\sin  2x$", HARD)]

    assert asyncio.run(main()) == ["different"] * 3
    assert len(pool.asked) == 1
    assert grader.counts.cached == 2


def test_unreadable_pairs_are_not_cached() -> None:
    grader, pool = scripted("unparsable_answer", "equal")

    async def main() -> list[str]:
        return [(await grader.grade_answer(HARD, GOLD)).reason for _ in range(2)]

    assert asyncio.run(main()) == ["unparsable_answer", "equal"]
    assert len(pool.asked) == 2


def test_a_failed_pair_is_retried_once_with_a_larger_budget() -> None:
    for reasons, expected in (
        (["timeout", "equal"], "equal"),
        (["memory", "memory", "equal"], "memory"),
        (["crashed", "different"], "different"),
    ):
        grader, pool = scripted(*reasons)
        assert asyncio.run(grader.grade_answer(HARD, GOLD)).reason == expected
        assert [budget for _, _, budget in pool.asked] == [1.0, 4.0]


def test_a_crash_is_not_remembered() -> None:
    grader, pool = scripted("crashed", "crashed", "equal")

    async def main() -> list[str]:
        return [(await grader.grade_answer(HARD, GOLD)).reason for _ in range(2)]

    assert asyncio.run(main()) == ["crashed", "equal"]
    assert len(pool.asked) == 3


def test_the_cache_is_bounded_and_forgets_the_least_recently_used() -> None:
    grader, _ = scripted(cache_size=2)

    async def main() -> None:
        for answer in ("1", "2", "1", "3"):
            await grader.grade_answer(answer, "5")

    asyncio.run(main())
    assert [answer for answer, _ in grader._cache] == ["1", "3"]


def test_equal_pairs_in_flight_share_one_computation_and_survive_a_cancelled_caller() -> None:
    grader, pool = scripted()

    async def main() -> list[str]:
        calls = [asyncio.create_task(grader.grade_answer(HARD, GOLD)) for _ in range(20)]
        await asyncio.sleep(0)
        calls[0].cancel()
        done = await asyncio.gather(*calls, return_exceptions=True)
        await grader.close()
        assert isinstance(done[0], asyncio.CancelledError)
        return [v.reason for v in done[1:] if isinstance(v, Verdict)]

    assert asyncio.run(main()) == ["equal"] * 19
    assert len(pool.asked) == 1


def test_a_worker_that_cannot_start_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openr_data.graders.pool.sys.executable", "/bin/false")

    async def main() -> None:
        async with MathGrader() as grader:
            await grader.grade_answer(HARD, GOLD)

    with pytest.raises(WorkerError, match=r"did not start.*--grader exact"):
        asyncio.run(main())


def _until_busy(grader: MathGrader) -> None:
    while not grader._pool._busy:
        time.sleep(0.02)


def test_closing_while_grading_ends_promptly() -> None:
    async def main() -> bool:
        async with MathGrader(workers=1, cpu_seconds=500.0) as grader:
            call = asyncio.create_task(grader.grade_answer(r"(x+y+z+w)^{9999}", "0"))
            await asyncio.to_thread(_until_busy, grader)
        done = await asyncio.gather(call, return_exceptions=True)
        return isinstance(done[0], asyncio.CancelledError | Verdict | WorkerError)

    assert asyncio.run(main())


def test_what_the_fast_path_decides_starts_and_loads_nothing() -> None:
    code = (
        "import asyncio, sys, threading\n"
        "from openr_data.graders import MathGrader\n"
        "async def main():\n"
        "    async with MathGrader() as g:\n"
        "        assert (await g('The answer is 1/2', '0.5')).outcome == 'right'\n"
        "        assert g._pool.started == 0 and threading.active_count() == 1\n"
        "asyncio.run(main())\n"
        "print([m for m in ('sympy', 'math_verify', 'torch', 'transformers', 'numpy', 'pyarrow') if m in sys.modules])\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def references(name: str, field: str) -> list[str]:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [str(row[field]).rpartition("#### ")[2] for row in rows]


async def bad_references(answers: list[str]) -> list[int]:
    """By the graders themselves, boxed in a response."""
    async with MathGrader() as grader:
        verdicts = [await grader(f"so it is \\boxed{{{answer}}}", answer) for answer in answers]
    return [index for index, verdict in enumerate(verdicts) if verdict.outcome != "right"]


@pytest.mark.parametrize(
    ("name", "field", "rejected"),
    [
        ("math500.jsonl", "answer", []),
        ("gsm8k_test.jsonl", "answer", []),
        ("gsm8k_train.jsonl", "answer", []),
        ("math_train_7500.jsonl", "final_answer", [2300, 2544]),
    ],
)
def test_every_reference_answer_grades_right_against_itself(name: str, field: str, rejected: list[int]) -> None:
    answers = references(name, field)
    assert [index for index, answer in enumerate(answers) if not grades_itself(answer)] == rejected
    assert asyncio.run(bad_references(answers)) == rejected


def test_the_selfcheck_says_what_the_graders_say() -> None:
    answers = ["5", "x {", "", "}5{", r"5 and \boxed{", "x+" * 1500 + "1", r"\frac{1}{2}", "50%", r"\text{(C)}"]
    assert asyncio.run(bad_references(answers)) == [1, 2, 3, 4, 5]
    assert [index for index, answer in enumerate(answers) if not grades_itself(answer)] == [1, 2, 3, 4, 5]


def test_agreement_with_people_on_processbench() -> None:
    """ProcessBench (arXiv 2412.06559) says of each GSM8K solution whether its final answer is right."""
    path = SHARED / "processbench_gsm8k.json"
    if not path.exists():
        pytest.skip("processbench_gsm8k.json is not here")
    gold = {}
    for line in (SHARED / "gsm8k_test.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        gold[row["question"].strip()] = row["answer"].rpartition("#### ")[2]
    rows = [row for row in json.loads(path.read_text(encoding="utf-8")) if row["problem"].strip() in gold]

    async def main() -> list[bool]:
        async with MathGrader() as grader:
            verdicts = [await grader("\n\n".join(row["steps"]), gold[row["problem"].strip()]) for row in rows]
        return [(v.outcome == "right") == row["final_answer_correct"] for v, row in zip(verdicts, rows, strict=True)]

    agreement = asyncio.run(main())
    assert len(agreement) > 300
    assert sum(agreement) >= 0.99 * len(agreement)
