"""Which method finds the first wrong step, at what price? Every labeler on the same rollouts, with intervals and a figure.

    .venv/bin/python benchmarks/labelling.py chain [--steps 8 16 32] [--recovery 0 .01 .03] [--figure chain.png]
    .venv/bin/python benchmarks/labelling.py builtin [--journal rollouts.sqlite] [--figure builtin.png]

Questions with right and wrong answers among 32 (OmegaPRM's filter); the wrong ones of the first four answers are labelled. Tokens
are what a method drew for a wrong solution as if it had been alone. Two costs stand in columns of their own, per wrong solution:
`root` (the 28 rollouts of the filter that are not solutions; math-shepherd can do without them) and `pilot` (what fitting the
adaptive model drew; its rollouts are used again for the labels of those solutions). Intervals: 95 %, bootstrap over questions,
paired; `points` and `x tokens` are against OmegaPRM with k = 8 as published.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from labelling_run import Domain, Method, Results, Row, builtin, chain, measure
from numpy.typing import NDArray

from openr_data.labelers import LabelConfig

DRAWS = 2000
REFERENCE = "omegaprm k=8"
KS = (2, 4, 8, 16, 32)
ENDS = ((0.8, 0), (0.9, 0), (0.95, 0), (0.95, 64))


def config(method: str, k: int = 8, **more: Any) -> LabelConfig:
    return LabelConfig(method, rollouts=k, filter_rollouts=32, searches=0, **more)


def methods() -> list[Method]:
    """Fixed k as published first, then each saving by itself, then the adaptive finishes."""
    exact: dict[str, Any] = {"exact_counts": True}
    alone: dict[str, Any] = {"reuse_passing": False}
    certified: dict[str, Any] = {"finish": "certified"}
    return [
        *(Method(f"math-shepherd k={k}", config("math-shepherd", k, **exact)) for k in KS),
        *(Method(f"omegaprm k={k}", config("omegaprm", k, **exact)) for k in KS),
        *(Method(f"omegaprm k={k}, early stop", config("omegaprm", k, **alone)) for k in (4, 8, 16, 32)),
        *(Method(f"omegaprm k={k}, early stop, reuse", config("omegaprm", k)) for k in (4, 8, 16, 32)),
        *(Method(f"math-shepherd k={k}, early stop", config("math-shepherd", k, **alone)) for k in (4, 8, 16, 32)),
        *(Method(f"scan k={k}", config("scan", k, **alone)) for k in (4, 8, 16, 32)),
        *(Method(f"epicprm k={k}", config("epicprm", k)) for k in (8, 16, 32)),
        *(Method(f"genprm k={k}", config("genprm", k)) for k in (8, 32)),
        *(Method(f"adaptive certified k={k}, no reuse", config("adaptive", k, **certified, **alone)) for k in (4, 8, 16)),
        *(Method(f"adaptive certified k={k}", config("adaptive", k, **certified)) for k in (4, 8, 9, 10, 16)),
        *(
            Method(f"adaptive {end:.0%}{_cap(cap)}, no reuse", config("adaptive", confidence=end, cap=cap, **alone), pilot=True)
            for end, cap in ENDS
        ),
        *(Method(f"adaptive {end:.0%}{_cap(cap)}", config("adaptive", confidence=end, cap=cap), pilot=True) for end, cap in ENDS),
    ]


def _cap(cap: int) -> str:
    return f" cap {cap}" if cap else ""


@dataclass(frozen=True, slots=True)
class Line:
    """One method: shares and means over wrong solutions, each with its interval; `ece` is the calibration error in ten bins."""

    method: str
    accuracy: tuple[float, float, float]
    early: float
    late: float
    tokens: tuple[float, float, float]
    rollouts: float
    pilot: float
    gain: tuple[float, float, float]
    price: tuple[float, float, float]
    ece: float | None


def summarise(results: Results) -> list[Line]:
    by_method: dict[str, list[Row]] = defaultdict(list)
    for row in results.rows:
        by_method[row.method].append(row)
    samples = resampled(results.questions)
    reference = sums(by_method[REFERENCE], results.questions)
    return [line(name, rows, results, samples, reference) for name, rows in by_method.items()]


Sums = NDArray[np.float64]


def sums(rows: Sequence[Row], questions: int) -> Sums:
    """(questions, 3): right labels, tokens and wrong solutions of each question."""
    total = np.zeros((questions, 3))
    for row in rows:
        total[row.problem] += (row.said == row.truth, row.tokens, 1)
    return total


def resampled(questions: int) -> Sums:
    """(draws, questions): how often each question is in each bootstrap sample."""
    rng = np.random.default_rng(0)
    return rng.multinomial(questions, np.full(questions, 1 / questions), size=DRAWS).astype(float)


def line(name: str, rows: Sequence[Row], results: Results, samples: Sums, reference: Sums) -> Line:
    own = sums(rows, results.questions)
    drawn, theirs = samples @ own, samples @ reference
    wrong = own[:, 2].sum()
    accuracy, tokens = drawn[:, 0] / drawn[:, 2], drawn[:, 1] / drawn[:, 2]
    gain = accuracy - theirs[:, 0] / theirs[:, 2]
    price = tokens / (theirs[:, 1] / theirs[:, 2])
    early = sum(row.said is not None and row.said < row.truth for row in rows) / wrong
    late = sum(row.said is not None and row.said > row.truth for row in rows) / wrong
    base = reference.sum(0)
    return Line(
        name,
        interval(own[:, 0].sum() / wrong, accuracy),
        early,
        late,
        interval(own[:, 1].sum() / wrong, tokens),
        sum(row.rollouts for row in rows) / wrong,
        results.pilot.get(name, 0) / wrong,
        interval(own[:, 0].sum() / wrong - base[0] / base[2], gain),
        interval(own[:, 1].sum() / wrong / (base[1] / base[2]), price),
        calibration([(row.confidence, row.said == row.truth) for row in rows if row.confidence is not None]),
    )


def interval(value: float, draws: Sums) -> tuple[float, float, float]:
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(value), float(low), float(high)


def calibration(pairs: Sequence[tuple[float, bool]]) -> float | None:
    """Expected calibration error: the mean distance of confidence and accuracy over ten bins, weighted by their size."""
    if not pairs:
        return None
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for confidence, right in pairs:
        bins[min(9, int(confidence * 10))].append((confidence, right))
    gaps = (abs(sum(c for c, _ in each) - sum(r for _, r in each)) for each in bins.values())
    return sum(gaps) / len(pairs)


def show(results: Results, lines: Iterable[Line]) -> None:
    print(
        f"\n{results.domain}: {results.solutions} wrong solutions of {results.questions} questions, "
        f"root {results.root * results.questions / results.solutions:,.0f} tokens per wrong solution"
    )
    heads = f"{'accuracy':>20} {'early':>5} {'late':>5} {'tokens':>22} {'rollouts':>8} {'pilot':>6}"
    print(f"{'method':<34}{heads} {'points':>20} {'x tokens':>18} {'ECE':>5}")
    for each in lines:
        cells = f"{_share(each.accuracy):>20} {each.early:>5.2f} {each.late:>5.2f} {_whole(each.tokens):>22}"
        ece = "" if each.ece is None else f"{each.ece:.3f}"
        against = f"{_points(each.gain):>20} {_ratio(each.price):>18} {ece:>5}"
        print(f"{each.method:<34}{cells} {each.rollouts:>8.1f} {each.pilot:>6,.0f} {against}")


def draw(tables: Sequence[tuple[Results, Sequence[Line]]], path: Path) -> None:
    """Accuracy against tokens, one panel per domain; bars are the intervals."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    columns = min(3, len(tables))
    rows = -(-len(tables) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(max(6.5, 5.2 * columns), 4 * rows + 1.2), squeeze=False, sharey=len(tables) > 1
    )
    for panel, (results, lines) in zip(axes.flat, tables, strict=False):
        for name, style in _STYLES.items():
            chosen = [each for each in lines if _family(each.method) == name]
            if not chosen:
                continue
            x, y = [each.tokens[0] for each in chosen], [each.accuracy[0] for each in chosen]
            below = [each.accuracy[0] - each.accuracy[1] for each in chosen]
            above = [each.accuracy[2] - each.accuracy[0] for each in chosen]
            panel.errorbar(x, y, [below, above], label=name, capsize=2, linewidth=1.2, markersize=5, **style)
        panel.set_xscale("log")
        panel.set_title(results.domain, fontsize=10)
        panel.set_xlabel("generated tokens per wrong solution")
        panel.grid(visible=True, alpha=0.3)
    for unused in axes.flat[len(tables) :]:
        unused.axis("off")
    axes[0][0].set_ylabel("first error named exactly")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=2 if columns == 1 else 4, fontsize=9, frameon=False)
    figure.tight_layout(rect=(0, (1.5 if columns == 1 else 0.9) / (4 * rows + 1.2), 1, 1))
    figure.savefig(path, dpi=150)


_STYLES: dict[str, dict[str, Any]] = {
    "math-shepherd": {"color": "#999999", "marker": "s", "linestyle": "-"},
    "omegaprm": {"color": "#d95f02", "marker": "o", "linestyle": "-"},
    "omegaprm, early stop": {"color": "#d95f02", "marker": "o", "linestyle": "--", "mfc": "white"},
    "omegaprm, early stop, reuse": {"color": "#e6ab02", "marker": "o", "linestyle": ":"},
    "scan": {"color": "#a6761d", "marker": "x", "linestyle": ":"},
    "epicprm": {"color": "#7570b3", "marker": "^", "linestyle": "-"},
    "adaptive certified": {"color": "#1b9e77", "marker": "D", "linestyle": "--"},
    "adaptive posterior, no reuse": {"color": "#2166ac", "marker": "v", "linestyle": "--", "mfc": "white"},
    "adaptive posterior": {"color": "#2166ac", "marker": "v", "linestyle": "-"},
}


def _family(method: str) -> str:
    head, _, rest = method.partition(" k=")
    if method.startswith("adaptive") and "certified" not in method:
        return "adaptive posterior" + (", no reuse" if "no reuse" in method else "")
    if "no reuse" in method:
        return ""
    return head + rest.lstrip("0123456789")


def _share(value: tuple[float, float, float]) -> str:
    return f"{value[0]:.3f} [{value[1]:.3f},{value[2]:.3f}]"


def _whole(value: tuple[float, float, float]) -> str:
    return f"{value[0]:,.0f} [{value[1]:,.0f},{value[2]:,.0f}]"


def _points(value: tuple[float, float, float]) -> str:
    return f"{100 * value[0]:+.1f} [{100 * value[1]:+.1f},{100 * value[2]:+.1f}]"


def _ratio(value: tuple[float, float, float]) -> str:
    return f"{value[0]:.2f} [{value[1]:.2f},{value[2]:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("domain", choices=["chain", "builtin"])
    parser.add_argument("--wrong", type=int, default=1000, help="wrong solutions per domain")
    parser.add_argument("--pilot", type=int, default=160, help="wrong solutions that the adaptive model is fitted to")
    parser.add_argument("--steps", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--recovery", type=float, nargs="+", default=[0.0, 0.01, 0.03])
    parser.add_argument("--phrasings", type=int, default=16)
    parser.add_argument("--script", default="", help="more settings of the chain's script")
    parser.add_argument("--seed", type=int, default=11, help="of the built-in task")
    parser.add_argument("--journal", type=Path, help="where the built-in policy's rollouts are kept for the next time")
    parser.add_argument("--reuse", type=Path, nargs="*", default=[], help="journals of earlier runs")
    parser.add_argument("--only", default="", help="methods whose name holds this, besides the reference")
    parser.add_argument("--skip", nargs="*", default=[], help="methods whose name begins so (genprm draws ten times the rest)")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    tables = []
    for domain in _domains(arguments):
        chosen = [each for each in methods() if arguments.only in each.name or each.name == REFERENCE]
        chosen = [each for each in chosen if not each.name.startswith(tuple(arguments.skip))]
        results = asyncio.run(
            measure(
                domain, chosen, wanted=arguments.wrong, pilot=arguments.pilot, journal=arguments.journal, reuse=arguments.reuse
            )
        )
        lines = summarise(results)
        show(results, lines)
        tables.append((results, lines))
    if arguments.figure:
        draw(tables, arguments.figure)
    if arguments.json:
        found = [
            {"domain": r.domain, "solutions": r.solutions, "root": r.root, "methods": [asdict(x) for x in t]} for r, t in tables
        ]
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


def _domains(arguments: argparse.Namespace) -> Iterable[Domain]:
    if arguments.domain == "builtin":
        return [builtin(arguments.seed)]
    script = arguments.script
    return [chain(steps, rate, arguments.phrasings, script) for steps in arguments.steps for rate in arguments.recovery]


if __name__ == "__main__":
    main()
