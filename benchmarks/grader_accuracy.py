r"""How well and how fast answers are graded: reference answers against rewritten (still right) and perturbed (now wrong) ones.

    python benchmarks/grader_accuracy.py [FILE.jsonl] [--limit N]

The file has an `answer` (or `final_answer`) per line; without one, `math500.jsonl` in $OPENR_SHARED_DATA or ../shared/data.
Prints false negatives, false positives, undecided pairs, the share that the fast path decided, and CPU milliseconds per pair.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from openr_data.graders import GradingPolicy, MathGrader
from openr_data.graders.exact import decide
from openr_data.graders.extract import extract
from openr_data.graders.limits import refuse
from openr_data.graders.normalise import normalise

_INTEGER = re.compile(r"-?\d+")
_FRACTION = re.compile(r"(-?)\\frac\{(\d+)\}\{(\d+)\}")
_TUPLE = re.compile(r"\(([^(),\\]+),([^(),\\]+)\)")
Rewrite = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Pair:
    kind: str
    response: str
    gold: str
    right: bool


def _fraction(gold: str, change: Callable[[str, int, int], str | None]) -> str | None:
    match = _FRACTION.fullmatch(gold)
    return change(match[1], int(match[2]), int(match[3])) if match else None


def _integer(gold: str, change: Callable[[int], str | None]) -> str | None:
    return change(int(gold)) if _INTEGER.fullmatch(gold) and len(gold) < 15 else None


def _formula(gold: str) -> bool:
    """A single formula: something may be added to it."""
    return not re.search(r"[=,:<>%_]|\\(?:text|mbox|cup|in|infty|begin|pm|\$|circ|leq|geq)", gold)


def _decimal(sign: str, top: int, bottom: int) -> str | None:
    value = Fraction(top, bottom)
    scaled = value * 10**6
    return f"{sign}{float(value):.6f}".rstrip("0") if scaled.denominator == 1 and value.denominator > 1 else None


def _replaced(old: str, new: str) -> Rewrite:
    return lambda gold: gold.replace(old, new) if old in gold else None


def _swapped_list(gold: str) -> str | None:
    items = gold.split(",")
    plain = len(items) > 1 and not re.search(r"[(\[{\\]", gold)
    return ", ".join(item.strip() for item in reversed(items)) if plain else None


def _sized(gold: str) -> str | None:
    opened = re.sub(r"(?<!\\)[(\[]", r"\\left\g<0>", gold)
    return None if opened == gold or "\\left\\left" in opened else re.sub(r"[)\]]", r"\\right\g<0>", opened)


def _without_spaces(gold: str) -> str | None:
    tight = re.sub(r"(?<![a-z\\]) +| +(?![a-z])", "", gold)
    return None if tight == gold or re.search(r"text|mbox", gold) else tight


def _unicode(gold: str) -> str | None:
    new = gold.replace("\\pi", "π").replace("-", "−").replace("\\sqrt", "√").replace("\\infty", "∞")
    return None if new == gold or "√[" in new else new


def _other_root(gold: str) -> str | None:
    new = re.sub(r"\\sqrt\{(\d+)\}", lambda m: f"\\sqrt{{{int(m[1]) + 1}}}", gold)
    return None if new == gold or "-\\sqrt" in gold else new


def _first_digit(gold: str) -> str | None:
    return re.sub(r"\d", lambda m: str((int(m[0]) + 3) % 10), gold, count=1) if "frac{" not in gold else None


def _last_digit(gold: str) -> str | None:
    """Another last digit, unless it belongs to a unit."""
    return re.sub(r"\d(?=\D*$)", lambda m: str((int(m[0]) + 1) % 10), gold) if not re.search(r"inches|cm", gold) else None


def _other_word(gold: str) -> str | None:
    return re.sub(r"[a-zA-Z]+(?=[)}]*$)", "north", gold) if "\\text{" in gold and not re.search(r"\d", gold) else None


REWRITES: dict[str, Rewrite] = {
    "itself": lambda g: g,
    "$..$": lambda g: f"${g}$",
    "\\(..\\)": lambda g: f"\\({g}\\)",
    "\\[..\\]": lambda g: f"\\[ {g} \\]",
    "trailing dot": lambda g: g + ".",
    "spaces around": lambda g: f"  {g} ",
    "displaystyle": lambda g: "\\displaystyle " + g,
    "braces": lambda g: "{" + g + "}" if _formula(g) else None,
    "thin space at the end": lambda g: g + "\\,",
    "\\left \\right": _sized,
    "no spaces": _without_spaces,
    "dfrac": _replaced("\\frac", "\\dfrac"),
    "tfrac": _replaced("\\frac", "\\tfrac"),
    "a/b": lambda g: _fraction(g, lambda s, a, b: f"{s}{a}/{b}"),
    "unreduced": lambda g: _fraction(g, lambda s, a, b: f"{s}\\frac{{{3 * a}}}{{{3 * b}}}"),
    "short braces": lambda g: _fraction(g, lambda s, a, b: f"{s}\\frac{a}{b}" if a < 10 and b < 10 else None),
    "decimal": lambda g: _fraction(g, _decimal),
    "\\text{}": lambda g: f"\\text{{{g}}}" if g.isalnum() else None,
    "integer.0": lambda g: _integer(g, lambda n: f"{n}.0"),
    "thousands comma": lambda g: _integer(g, lambda n: f"{n:,}" if abs(n) > 999 else None),
    "thousands {,}": lambda g: _integer(g, lambda n: f"{n:,}".replace(",", "{,}") if abs(n) > 999 else None),
    "x =": lambda g: "x = " + g if _formula(g) else None,
    "unicode": _unicode,
    "fullwidth digits": lambda g: _integer(g, lambda n: str(n).translate({48 + i: 0xFF10 + i for i in range(10)})),
    "no degree sign": _replaced("^\\circ", ""),
    "other order": _swapped_list,
    "bold": lambda g: f"**{g}**",
    "doubled and halved": lambda g: f"\\frac{{2({g})}}{{2}}" if _formula(g) else None,
    "plus zero": lambda g: f"{g} + 0" if _formula(g) else None,
    "times a root": lambda g: f"\\frac{{\\sqrt{{8}}({g})}}{{2\\sqrt{{2}}}}" if _formula(g) else None,
}  # fmt: skip

PERTURBATIONS: dict[str, Rewrite] = {
    "n+1": lambda g: _integer(g, lambda n: str(n + 1)),
    "n-1": lambda g: _integer(g, lambda n: str(n - 1)),
    "10n": lambda g: _integer(g, lambda n: str(n * 10) if n else None),
    "n.5": lambda g: _integer(g, lambda n: f"{n}.5"),
    "-n": lambda g: _integer(g, lambda n: str(-n) if n else None),
    "1n": lambda g: _integer(g, lambda n: f"1{n}" if n > 0 else None),
    "n/7": lambda g: _integer(g, lambda n: f"\\frac{{{n}}}{{7}}" if n else None),
    "n, n+1": lambda g: _integer(g, lambda n: f"{n}, {n + 1}"),
    "(n, 2)": lambda g: _integer(g, lambda n: f"({n}, 2)"),
    "n newline n": lambda g: _integer(g, lambda n: f"{n}\n{n}"),
    "n with a control character": lambda g: _integer(g, lambda n: f"{n}\x002"),
    "n+i": lambda g: f"{g} + i" if _formula(g) else None,
    "+1": lambda g: f"{g} + 1" if _formula(g) else None,
    "negated": lambda g: f"-({g})" if _formula(g) and g != "0" else None,
    "doubled": lambda g: f"2({g})" if _formula(g) and g != "0" else None,
    "times pi": lambda g: f"({g})\\pi" if _formula(g) and g != "0" else None,
    "b/a": lambda g: _fraction(g, lambda s, a, b: f"{s}\\frac{{{b}}}{{{a}}}" if a != b else None),
    "a/(b+1)": lambda g: _fraction(g, lambda s, a, b: f"{s}\\frac{{{a}}}{{{b + 1}}}"),
    "(a+1)/b": lambda g: _fraction(g, lambda s, a, b: f"{s}\\frac{{{a + 1}}}{{{b}}}"),
    "rounded to 2": lambda g: _fraction(g, lambda s, a, b: f"{s}{a / b:.2f}" if Fraction(a, b) * 100 % 1 else None),
    "root of n+1": _other_root,
    "swapped": lambda g: f"({m[2]},{m[1]})" if (m := _TUPLE.fullmatch(g)) and m[1].strip() != m[2].strip() else None,
    "first digit changed": _first_digit,
    "last digit changed": _last_digit,
    "another word": _other_word,
    "an item more": lambda g: g + ", 1234567" if "=" not in g else None,
}  # fmt: skip


def pairs(golds: list[str]) -> Iterator[Pair]:
    """Every rewriting and perturbation that applies, boxed at the end of a response."""
    for table, right in ((REWRITES, True), (PERTURBATIONS, False)):
        for gold in golds:
            for kind, rewrite in table.items():
                answer = rewrite(gold)
                if answer is not None and (right or answer != gold):
                    yield Pair(kind, f"Therefore it is \\boxed{{{answer}}}.", gold, right)


def cpu_seconds(pair: Pair, policy: GradingPolicy) -> tuple[float, bool]:
    """CPU time of one pair without caches or process round trips, and whether the fast path decided it."""
    from openr_data.graders.math import compare

    start = time.process_time()
    answer, gold = normalise(extract(pair.response) or ""), normalise(pair.gold)
    fast = decide(answer, gold, policy) != "undecided"
    if not fast and not refuse(answer) and not refuse(gold):
        compare(answer, gold)
    return time.process_time() - start, fast


async def grade(cases: list[Pair]) -> tuple[list[str], list[str]]:
    """Outcome and reason of every pair, by the grader itself."""
    async with MathGrader(cache_size=1) as grader:
        verdicts = [await grader(case.response, case.gold) for case in cases]
    return [v.outcome for v in verdicts], [v.reason for v in verdicts]


def read_golds(path: Path, limit: int) -> list[str]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    answers = [str(row.get("answer", row.get("final_answer", ""))).split("####")[-1].strip() for row in rows]
    return list(dict.fromkeys(a for a in answers if a))[: limit or None]


def report(cases: list[Pair], outcomes: list[str], reasons: list[str], times: list[tuple[float, bool]], show: int) -> None:
    wrong: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    for case, outcome, reason in zip(cases, outcomes, reasons, strict=True):
        expected = "right" if case.right else "wrong"
        kind = "" if outcome == expected else "undecided" if outcome == "unknown" else "FN" if case.right else "FP"
        wrong[("P " if case.right else "N ") + (kind or "ok")] += 1
        if kind and shown[kind] < show:
            shown[kind] += 1
            print(f"  {kind:10} {reason:18} {case.kind:20} {case.gold!r} <- {extract(case.response)!r}")
    positives, negatives = (sum(c.right is side for c in cases) for side in (True, False))
    milliseconds = sorted(seconds * 1000 for seconds, _ in times)
    print(f"pairs               {len(cases)}  (should be right {positives}, should be wrong {negatives})")
    print(f"false negatives     {wrong['P FN']}  ({wrong['P FN'] / max(1, positives):.2%}), undecided {wrong['P undecided']}")
    print(f"false positives     {wrong['N FP']}, undecided {wrong['N undecided']}")
    print(f"fast path decides   {statistics.mean(fast for _, fast in times):.1%}")
    fast_only = [seconds * 1e6 for seconds, fast in times if fast]
    mean, p99 = statistics.mean(milliseconds), milliseconds[int(len(times) * 0.99)]
    print(f"CPU ms per pair     mean {mean:.3f}, p99 {p99:.2f}, max {milliseconds[-1]:.1f}")
    print(f"CPU us, fast path   mean {statistics.mean(fast_only):.0f}")


def main() -> None:
    default = Path(os.environ.get("OPENR_SHARED_DATA", str(Path(__file__).parents[2] / "shared" / "data"))) / "math500.jsonl"
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=default)
    parser.add_argument("--limit", type=int, default=0, help="use only so many distinct answers")
    parser.add_argument("--show", type=int, default=20, help="print so many mistakes of each kind")
    options = parser.parse_args()
    if not options.file.exists():
        sys.exit(f"there is no file {options.file}; name a JSONL file with an 'answer' per line")
    cases = list(pairs(read_golds(options.file, options.limit)))
    outcomes, reasons = asyncio.run(grade(cases))
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    times = [cpu_seconds(case, GradingPolicy()) for case in cases]
    report(cases, outcomes, reasons, times, options.show)
    print(f"CPU s of workers    {children.ru_utime + children.ru_stime:.1f} (start included)")


if __name__ == "__main__":
    main()
