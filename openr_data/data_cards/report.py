"""Statistics as a few plain tables, for a terminal and for Markdown alike. Knows numbers that were counted; counts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from openr_data.data_cards.markup import inline, table
from openr_data.data_cards.statistics import Histogram, MethodAgreement, Overlap, Spread, Statistics

_MANY = 12
_STEPS = 30
_BAR = 20
_EIGHTHS = " ▏▎▍▌▋▊▉"

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A table with a heading; without a `head` it has two columns, a name and what it is. `note` says how to read it.

    Cells may hold text of files and models: whoever draws them escapes it.
    """

    title: str
    rows: tuple[Row, ...]
    head: Row = ()
    note: str = ""


def sections(found: Statistics) -> list[Section]:
    """What there is something to say about."""
    parts = [_contents(found), *_labels(found), _lengths(found), *_oracle(found), *_agreements(found), *_overlaps(found)]
    return [part for part in parts if part.rows]


def render_report(title: str, found: Statistics) -> str:
    """The whole report as Markdown, with every histogram as a table. The same statistics give the same bytes."""
    shown = [section for section in (*sections(found), *_histograms(found)) if section.rows]
    parts = [f"# {inline(title)}\n", *map(_markdown, shown)]
    return "\n".join(parts)


def share(part: float, whole: float) -> str:
    """In whole percent, except where that would be none.

    >>> share(1, 8), share(1, 3000), share(0, 0)
    ('12%', '0.033%', '-')
    """
    if not whole:
        return "-"
    percent = 100 * part / whole
    return f"{percent:.0f}%" if percent >= 1 or not percent else f"{percent:.2g}%"


def counts(found: Mapping[str, int], most: int = _MANY) -> str:
    """As one line; a long list ends with how many more kinds there are.

    >>> counts({"a": 2, "": 1}), counts({"a": 2, "b": 1, "c": 1}, most=2)
    ('2 a, 1 (no name)', '2 a, 1 b, 1 of 1 other kinds')
    """
    shown, rest = list(found.items())[:most], list(found.values())[most:]
    told = [f"{count:,} {name or '(no name)'}" for name, count in shown]
    return ", ".join([*told, *([f"{sum(rest):,} of {len(rest):,} other kinds"] if rest else [])]) or "none"


def _contents(found: Statistics) -> Section:
    again = found.duplicates
    rows = [
        ("problems", f"{found.problems:,}", True),
        ("sources", counts(found.sources), bool(found.sources)),
        ("left out", counts(found.skipped), bool(found.skipped)),
        ("solutions", f"{found.solutions:,}", True),
        ("steps", f"{found.steps:,}", True),
        ("rollouts", f"{found.rollouts:,}", found.rollouts > 0),
        ("methods", counts(found.methods), bool(found.methods)),
        ("answers", counts(found.verdicts), bool(found.verdicts)),
        ("not graded", counts(found.unknown), bool(found.unknown)),
        ("repeated", f"{again.problems:,} questions, {again.solutions:,} solutions of the same question", True),
    ]
    return Section("Contents", tuple((name, text) for name, text, told in rows if told))


def _labels(found: Statistics) -> Iterator[Section]:
    balance, wrong = found.balance, sum(found.first_errors.values())
    if found.methods:
        whole = wrong + found.without_error + found.undecided
        rows: list[Row] = [
            ("right steps", _of(balance.right, found.steps)),
            ("wrong steps", _of(balance.wrong, found.steps)),
            ("steps without a label", _of(balance.unlabelled, found.steps)),
            ("solutions with a first wrong step", _of(wrong, whole)),
            ("solutions without one", _of(found.without_error, whole)),
            ("undecided solutions", _of(found.undecided, whole)),
        ]
        if found.undecided_reasons:
            rows.append(("undecided because of", counts(found.undecided_reasons)))
        if any(value is not None for value in found.value_by_place):
            rows.append(("mean value by tenth", " ".join("-" if v is None else f"{v:.2f}" for v in found.value_by_place)))
        yield Section("Labels", tuple(rows))
    yield _cost(found)


def _cost(found: Statistics) -> Section:
    cost = found.cost
    if not (cost.rollouts or cost.tokens):
        return Section("Cost", ())
    amounts = (("rollouts", cost.rollouts, "{:,.0f}", "{:,.2f}"), ("tokens", cost.tokens, "{:,.0f}", "{:,.1f}"))
    rows = [(name, whole.format(amount), _each(cost.per_step(amount), each)) for name, amount, whole, each in amounts]
    rows.append(("time", f"{cost.hours:,.3g} h", _each(cost.per_step(cost.hours * 3600), "{:.2g} s")))
    note = "All attempts at this run; what it took over from other runs was paid there."
    return Section("Cost", tuple(rows), ("", "in all", "per labelled step"), note)


def _each(amount: float | None, shape: str) -> str:
    return "-" if amount is None else shape.format(amount)


def _lengths(found: Statistics) -> Section:
    spreads = (
        ("steps in a solution", found.steps_per_solution),
        ("characters in a solution", found.characters_per_solution),
        ("tokens in a solution", found.tokens_per_solution),
        ("rollouts at a measured step", found.rollouts_per_step),
    )
    rows = tuple((name, *_spread(spread)) for name, spread in spreads if spread.count)
    return Section("Lengths", rows, ("", "mean", "least", "median", "90%", "99%", "most"))


def _spread(spread: Spread) -> Row:
    values = (spread.minimum, spread.median, spread.p90, spread.p99, spread.maximum)
    return (f"{spread.mean:,.1f}", *(f"{value:,.10g}" if value == int(value) else f"{value:,.1f}" for value in values))


def _oracle(found: Statistics) -> Iterator[Section]:
    oracle = found.oracle
    if oracle is None:
        return
    shares = (
        ("first wrong step found exactly", oracle.exact),
        ("too early", oracle.early),
        ("too late", oracle.late),
        ("precision of wrong steps", oracle.precision),
        ("recall of wrong steps", oracle.recall),
    )
    decided = ("decided", f"{oracle.decided:,} of {oracle.solutions:,} solutions with a wrong answer")
    yield Section("Against the exact oracle", (decided, *((name, _each(each, "{:.3f}")) for name, each in shares)))


def _agreements(found: Statistics) -> Iterator[Section]:
    head = ("methods", "shared", "decided", "same", "within 1", "steps alike", "kappa")
    note = (
        "Solutions with the same question and steps. Same and within 1: the same first wrong step, or one next to it, of those "
        "that both decided. Kappa: Cohen's, of the labels of the steps."
    )
    yield Section("Agreement", tuple(map(_agreement, found.agreements)), head, note)


def _agreement(each: MethodAgreement) -> Row:
    alike = (share(each.same, each.both), share(each.near, each.both), share(each.steps_same, each.steps))
    return (f"{each.left}, {each.right}", f"{each.shared:,}", f"{each.both:,}", *alike, _each(each.kappa, "{:.2f}"))


def _overlaps(found: Statistics) -> Iterator[Section]:
    if not found.overlaps:
        return
    measure = found.overlaps[0]
    note = (
        f"Problems of this run with the same question as the benchmark, or with at least {share(measure.threshold, 1)} of the "
        f"{measure.ngram}-grams of words of one of its questions. Look at the nearest: shared boilerplate counts, too."
    )
    head = ("benchmark", "its questions", "same question", "overlapping", "of our problems")
    rows = tuple(
        (
            each.benchmark,
            f"{each.questions:,}",
            f"{each.exact:,}",
            f"{each.overlapping:,}",
            share(each.overlapping, found.problems),
        )
        for each in found.overlaps
    )
    yield Section("Overlap with benchmarks", rows, head, note)
    nearest = tuple(row for each in found.overlaps for row in _examples(each))
    yield Section("Nearest", nearest, ("problem", "benchmark", "its question", "shared"))


def _examples(each: Overlap) -> Iterator[Row]:
    return ((ours, each.benchmark, theirs, share(part, 1)) for ours, theirs, part in each.examples)


def _of(part: int, whole: int) -> str:
    return f"{part:,} ({share(part, whole)})" if whole else f"{part:,}"


def _histograms(found: Statistics) -> Iterator[Section]:
    first = {f"step {index + 1}": count for index, count in found.first_errors.items() if index < _STEPS}
    if later := sum(count for index, count in found.first_errors.items() if index >= _STEPS):
        first["later"] = later
    yield Section("First wrong step", _bars(first), ("", "solutions", ""))
    shown = [
        ("First wrong step, as a share of the solution", "solutions", found.first_error_place),
        *((f"Value of a step ({inline(name)})", "steps", values) for name, values in found.values.items()),
        ("Share of right answers", "problems", found.pass_rates),
        ("Steps in a solution", "solutions", found.step_counts),
        ("Characters in a solution", "solutions", found.character_counts),
    ]
    for title, what, histogram in shown:
        yield Section(title, _bars(_ranges(histogram)), ("", what, ""))


def _ranges(histogram: Histogram | None) -> dict[str, int]:
    if histogram is None:
        return {}
    named = (f"{low:g} to {high:g}" for low, high in pairwise(histogram.edges))
    return dict(zip(named, histogram.counts, strict=True))


def _bars(found: Mapping[str, int]) -> tuple[Row, ...]:
    most = max(found.values(), default=0)
    return tuple((name, f"{count:,}", bar(count / most if most else 0.0)) for name, count in found.items())


def bar(part: float, width: int = _BAR) -> str:
    """Block characters, in eighths; something for every part above nothing.

    >>> bar(0.5, 4), bar(0.0), bar(0.001, 4)
    ('██', '', '▏')
    """
    eighths = max(round(part * width * 8), int(part > 0))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _markdown(section: Section) -> str:
    parts = [
        f"## {section.title}\n",
        table(section.head or ("", ""), section.rows),
        *([f"{inline(section.note)}\n"] * bool(section.note)),
    ]
    return "\n".join(parts)
