"""The worker processes: hostile answers, limits, replacement, clean ends; and no evaluation of text anywhere."""

from __future__ import annotations

import asyncio
import builtins
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from openr_data.graders import MathGrader
from openr_data.graders.limits import plain_formulas, refuse
from openr_data.graders.normalise import normalise
from openr_data.graders.policy import GradingPolicy
from openr_data.graders.pool import Pool, Worker
from openr_data.graders.worker import answer_task, serve

BOMBS = [
    r"9^{9^{9^9}}", r"10^{10^{10}}", r"10^{-10^{10}}", r"2^{10^9}", r"2^{10^{10}}+1", r"7^{123456789}", r"(10^8)!",
    r"((((9!)!)!)!)!", r"\sum_{1}^{10^9}\sqrt{n}", r"\prod_{1}^{10^6}k", r"\sin(10^{10^{10}})", r"(1+10^{-9})^{10^{18}}",
    r"\log_2 3^{10^8}", r"\binom{10^6}{5*10^5}", r"\binom{100000000}{50000000}", "(" * 1000, "{" * 5000,
    "x^{" * 400 + "x" + "}" * 400, "|" * 4000, "$" * 100_000, " " * 100_000 + "1", "final answer " * 4000, "\\(" * 20_000,
    "\\[ " * 15_000, "1 000 " * 16_666, "A " * 20_000, "1," * 50_000, "7" * 100_000, "\\boxed{" * 12_500,
    "(x^{800}-1)/(x-1)-(" + "+".join(f"x^{{{i}}}" for i in range(800)) + ")", "4\x002", "\ud800", "1 000 " * 300, "A " * 900,
    "\\frac" * 390, "\\sqrt" * 390,
]  # fmt: skip
SLOW = [r"(x+y+z+w)^{9999}", "|" * 1900, r"\frac{\sqrt{\sqrt{11}+\sqrt{194}}}{15+2\sqrt{33}}"]

PAYLOADS = [
    "open('{}','w')",
    "__import__('os').system('touch {}')",
    "exec(\"open('{}','w')\")",
    "[open('{}','w')]",
    "lambda: open('{}','w')",
]
WRAPPERS = [
    "{}",
    r"\boxed{{{}}}",
    r"\text{{{}}}",
    r"\frac{{{}}}{{1}}",
    "${}$",
    "x = {}",
    "({})",
    r"\sqrt{{{}}}",
    "({}, 1)",
    "f({})",
]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda b: b[:16].encode("ascii", "replace").decode())
def test_bombs_are_refused_before_a_worker_sees_them(bomb: str) -> None:
    async def main() -> None:
        async with MathGrader() as grader:
            for answer, gold in ((bomb, "5"), ("5", bomb), (bomb, "x+1")):
                verdict = await grader.grade_answer(answer, gold)
                assert verdict.outcome != "right"
            assert (await grader(bomb, "123454321")).outcome != "right"
            assert grader.counts.worker == 0

    asyncio.run(main())


def test_slow_pairs_end_in_a_timeout_and_the_next_pair_is_graded() -> None:
    async def main() -> None:
        async with MathGrader(cpu_seconds=0.05, workers=1) as grader:
            assert (await grader.grade_answer(SLOW[0], "0")).reason == "timeout"
            worker_runs = grader.counts.worker
            assert (await grader.grade_answer(SLOW[0], "0")).reason == "timeout"
            assert grader.counts.worker == worker_runs, "a pair that ran out of its budget twice is remembered"
        async with MathGrader(cpu_seconds=0.25, workers=1) as grader:
            for slow in SLOW[1:]:
                verdict = await grader.grade_answer(slow, "x+2")
                assert verdict.outcome in ("wrong", "unknown")
            assert (await grader.grade_answer(r"\sqrt[3]{8}", "2")).reason == "equal"

    asyncio.run(main())


def test_hostile_text_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "pwned"

    async def main() -> None:
        async with MathGrader(cpu_seconds=1.0, workers=2) as grader:
            texts = [w.format(p.format(target)) for w in WRAPPERS for p in PAYLOADS]
            verdicts = await asyncio.gather(*(grader(t, g) for t in texts for g in ("5", r"\sin x")))
            swapped = await asyncio.gather(*(grader.grade_answer(r"\sin x", t) for t in texts))
            assert all(v.outcome != "right" for v in (*verdicts, *swapped))

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_math_verify_never_evaluates_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's own code, run here with every way to evaluate a string forbidden."""
    from openr_data.graders.math import compare, forbid_evaluation

    def forbidden(*arguments: object, **named: object) -> None:
        raise AssertionError(f"evaluates {arguments[:1]!r}")

    monkeypatch.setattr("sympy.parsing.sympy_parser.parse_expr", forbidden)  # and put back at the end
    forbid_evaluation()
    monkeypatch.setattr("sympy.parsing.sympy_parser.eval_expr", forbidden)
    monkeypatch.setattr("latex2sympy2_extended.latex2sympy2.parse_expr", forbidden)
    monkeypatch.setattr("math_verify.parser.parse_expr", forbidden)
    for module in ("sympy", "math_verify.grader", "latex2sympy2_extended.latex2sympy2"):
        monkeypatch.setattr(f"{module}.eval", forbidden, raising=False)
    real = builtins.eval
    monkeypatch.setattr(builtins, "eval", forbidden)
    try:
        reasons = [compare(answer, gold) for answer, gold, _ in MATH]
        hostile = [compare(w.format(p.format("x")), "5") for w in WRAPPERS[:4] for p in PAYLOADS[:3]]
    finally:
        builtins.eval = real
    assert reasons == [reason for *_, reason in MATH]
    assert "equal" not in hostile


def test_sympy_reads_numbers_and_names_only_once_evaluation_is_forbidden() -> None:
    from openr_data.graders.math import number_or_name

    assert [str(number_or_name(text)) for text in ("12", "0.5", "x")] == ["12", "0.500000000000000", "x"]
    for text in ("1+1", "open('x')", "__import__('os')", "[1]", ""):
        with pytest.raises(SyntaxError):
            number_or_name(text)


MATH = [
    (r"\sin(2x)", r"2\sin x\cos x", "equal"),
    (r"\log_2 8", "3", "equal"),
    (r"2^{1/1000000007}", r"2^{1/1000000009}", "different"),
    ("e^{-40}", "e^{-41}", "different"),
    (r"e^{i\pi}", "-1", "equal"),
    ("41=42", "42", "different"),
    ("a+b=10", "10", "unparsable_answer"),
    ("a+b=10", "11", "different"),
    ("7=5", "5", "different"),
    ("5 + (", "5", "unparsable_answer"),
    ("5", "5 + (", "unparsable_gold"),
    (r"x^2+y^2=4", r"y^2+x^2-4=0", "equal"),
    (r"(0,2)\cup(2,3)", "(0,3)", "different"),
    (r"\tan 15^{\circ}", r"2-\sqrt{3}", "equal"),
    (r"\tan 15", r"2-\sqrt{3}", "different"),
    (r"5+\operatorname{foo}(3)", "5", "unparsable_answer"),
]


@pytest.mark.parametrize(("answer", "gold", "reason"), MATH)
def test_math_verify_in_a_worker(pool: Pool, answer: str, gold: str, reason: str) -> None:
    assert pool.compare(answer, gold, 5.0) == reason
    swapped = {"unparsable_answer": "unparsable_gold", "unparsable_gold": "unparsable_answer"}
    assert pool.compare(gold, answer, 5.0) == swapped.get(reason, reason)


def test_refusals() -> None:
    fine = [
        r"\frac{1}{2}",
        "e^{x^2}",
        "2^{n}",
        "10!",
        r"\binom{10}{5}",
        r"\log_2 8",
        "x^{9999}",
        r"e^{-x^{2}}",
        r"\sum_{k=1}^{n} k",
    ]
    assert [refuse(normalise(t)) for t in fine] == [""] * len(fine)
    assert {refuse(normalise(t)) for t in ("10 20", "__class__", "a\x00b")} == {"unreadable"}


def test_units_and_percent_signs_do_not_reach_math_verify() -> None:
    assert plain_formulas(r"\sqrt[3]{2}%", r"\sqrt[3]{2}\text{ m}", GradingPolicy()) == (r"\sqrt[3]{2}", r"\sqrt[3]{2}")
    assert plain_formulas("x%", "x", GradingPolicy(percent="hundredth")) == (r"\frac{x}{100}", "x")


def test_a_killed_worker_is_replaced_and_the_pair_is_graded() -> None:
    async def main() -> None:
        async with MathGrader(workers=1) as grader:
            assert (await grader.grade_answer(r"\sqrt[3]{8}", "2")).reason == "equal"
            os.kill(grader._pool._idle[0].process.pid, signal.SIGKILL)
            assert (await grader.grade_answer(r"\sqrt[3]{27}", "3")).reason == "equal"
            assert grader._pool.started == 2

    asyncio.run(main())


def test_a_worker_of_a_large_parent_stays() -> None:
    """A parent with a model in memory is larger than a worker may be, and its peak shows up in the worker's own usage."""
    script = """
import asyncio
from openr_data.graders import MathGrader
from openr_data.graders.worker import RESIDENT_LIMIT

async def main():
    held = bytearray(b"x") * (RESIDENT_LIMIT + 100_000_000)
    async with MathGrader(workers=1) as grader:
        for n in range(2, 6):
            await grader.grade_answer(rf"\\sqrt[3]{{{n}}}", "7")
        print(grader._pool.started)

asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "1\n"


def test_the_budget_is_cpu_time_and_not_wall_time() -> None:
    worker = Worker()
    try:
        os.kill(worker.process.pid, signal.SIGSTOP)
        threading.Timer(1.0, os.kill, (worker.process.pid, signal.SIGCONT)).start()
        assert worker.ask(r"\sqrt[3]{8}", "2", 0.9)[0] == "equal"
    finally:
        worker.kill()


def test_workers_hold_no_secrets_and_little_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    worker = Worker()
    try:
        environment = Path(f"/proc/{worker.process.pid}/environ")
        if not environment.exists():
            pytest.skip("no /proc on this system")
        assert b"hf_secret" not in environment.read_bytes()
        limits = Path(f"/proc/{worker.process.pid}/limits").read_text()
        assert "1500000000" in limits
        maps = Path(f"/proc/{worker.process.pid}/maps").read_text()
        assert not any(heavy in maps for heavy in ("libtorch", "libarrow", "tokenizers"))
    finally:
        worker.kill()


def test_serving_stops_at_the_end_of_input_after_memory_errors_and_with_age() -> None:
    def exhausted(answer: str, gold: str) -> str:
        raise MemoryError

    def broken(answer: str, gold: str) -> str:
        raise ZeroDivisionError

    def deep(answer: str, gold: str) -> str:
        return deep(answer, gold)

    task = json.dumps({"answer": "1", "gold": "1", "cpu": 5}).encode() + b"\n"
    for compare, limit, expected in (
        (exhausted, 9, [("memory", True)]),
        (broken, 9, [("crashed", True)]),
        (lambda a, g: "equal", 2, [("equal", False), ("equal", True)]),
        (lambda a, g: "equal", 9, [("equal", False)] * 3),
    ):
        sink = io.BytesIO()
        serve(io.BytesIO(task * 3), sink, compare, task_limit=limit)
        replies = [json.loads(line) for line in sink.getvalue().splitlines()]
        assert [(r["reason"], r["last"]) for r in replies] in (expected, [(r, True) for r, _ in expected[:1]])
    assert answer_task({"answer": "1", "gold": "1", "cpu": 5}, deep) == "limit"


def test_the_memory_limit_holds() -> None:
    code = "from openr_data.graders.worker import limit_resources\nlimit_resources()\nbytearray(2_000_000_000)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MemoryError" in done.stderr


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


SCRIPT = textwrap.dedent(
    """
    import asyncio, os, sys
    from openr_data.graders import MathGrader
    async def main():
        async with MathGrader(workers=1) as grader:
            print((await grader.grade_answer(r"\\sqrt[3]{8}", "2")).reason, grader._pool._idle[0].process.pid, flush=True)
            await asyncio.sleep(60 if "wait" in sys.argv else 0)
    asyncio.run(main())
    """
)


def test_workers_end_when_their_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT, "wait"], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        reason, pid = parent.stdout.readline().split()
        parent.kill()
    assert reason == "equal"
    for _ in range(100):
        if not _alive(int(pid)):
            break
        time.sleep(0.1)
    assert not _alive(int(pid))


def test_a_program_read_from_a_closed_stdin_can_grade() -> None:
    command = f'"{sys.executable}" -c "$SCRIPT" <&-'
    done = subprocess.run(["sh", "-c", command], env=os.environ | {"SCRIPT": SCRIPT}, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("equal"), done.stderr


def test_no_child_is_left_behind() -> None:
    async def main() -> list[int]:
        async with MathGrader(workers=2) as grader:
            await asyncio.gather(*(grader.grade_answer(rf"\sqrt[3]{{{n}}}", "7") for n in range(2, 6)))
            return [worker.process.pid for worker in grader._pool._idle]

    pids = asyncio.run(main())
    assert pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_it_works_in_a_loop_of_another_thread() -> None:
    reasons: list[str] = []

    async def main() -> None:
        async with MathGrader(workers=1) as grader:
            reasons.append((await grader.grade_answer(r"\sqrt[3]{8}", "2")).reason)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join()
    assert reasons == ["equal"]
