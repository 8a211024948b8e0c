"""The parts of a card that are counted: key numbers, measured quality, checks and costs. Reads `Statistics`, opens no run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from openr_data.data_cards.markup import inline, number, prose, share, table
from openr_data.data_cards.statistics import MethodAgreement, OracleQuality, Overlap, Spread, Statistics

Row = tuple[str, str]
_MOST = 8


def key_numbers(counted: Statistics) -> str:
    """The numbers that one asks for first."""
    return "## Key numbers\n\n" + table(("Quantity", "Value"), [*_sizes(counted), *_labels(counted), *_lengths(counted)])


def quality(counted: Statistics) -> str:
    """Labels against the exact oracle; empty where there is none."""
    found = counted.oracle
    return "## Measured label quality\n\n" + _against(found) if found is not None and found.solutions else ""


def checks(counted: Statistics) -> str:
    """Duplicates, and agreement between methods where others labelled the same solutions."""
    agreed = f"\n## Agreement\n\n{_agreements(counted.agreements)}" if counted.agreements else ""
    return f"## Duplicates\n\n{_duplicates(counted)}{agreed}"


def contamination(counted: Statistics) -> str:
    """What is shared with benchmarks, or that none was looked for."""
    return "## Contamination\n\n" + (_overlaps(counted.overlaps) if counted.overlaps else _UNCHECKED)


def costs(counted: Statistics) -> str:
    """What the run cost, in all and per step with a hard label; empty where nothing was drawn."""
    cost = counted.cost
    if not cost.rollouts and not cost.tokens:
        return ""
    amounts = (("Completions drawn", cost.rollouts), ("Generated tokens", cost.tokens))
    rows = [(name, number(amount), _each(cost.per_step(amount))) for name, amount in amounts]
    rows.append(("Time of all attempts and parts", _time(cost.hours), _time(cost.per_step(cost.hours))))
    return "## Cost\n\n" + table(("Amount", "The whole run", "Per labelled step"), rows) + _SHARED


_UNCHECKED = prose("No benchmark was looked for: `openr-data card --against FILE` does it.") + "\n"
_SHARED = "\nCompletions that the run took over from an earlier one are not counted: they were paid there.\n"


def _sizes(counted: Statistics) -> list[Row]:
    skipped = sum(counted.skipped.values())
    rows = [
        (
            "Problems",
            number(counted.problems) + (f", of them {number(skipped)} not searched ({_few(counted.skipped)})" * bool(skipped)),
        )
    ]
    rows += [("Solutions", number(counted.solutions)), ("Steps", number(counted.steps))]
    return [*rows, *([("Rollouts kept", number(counted.rollouts))] if counted.rollouts else [])]


def _labels(counted: Statistics) -> list[Row]:
    rows: list[Row] = []
    answers = sum(counted.verdicts.values())
    if answers:
        rows.append(("Answers", ", ".join(f"{share(n, answers)} {name}" for name, n in counted.verdicts.items())))
    balance = counted.balance
    labelled = balance.right + balance.wrong
    if labelled:
        rows.append(("Steps with a hard label", f"{number(labelled)} ({share(labelled, labelled + balance.unlabelled)})"))
        rows.append(("Of these right, wrong", f"{share(balance.right, labelled)}, {share(balance.wrong, labelled)}"))
        rows.append(("Solutions with a first error", _of(sum(counted.first_errors.values()), counted)))
        rows.append(("Solutions without one", _of(counted.without_error, counted)))
        reasons = f": {_few(counted.undecided_reasons)}" if counted.undecided else ""
        rows.append(("Solutions not decided", _of(counted.undecided, counted) + reasons))
    return rows


def _lengths(counted: Statistics) -> list[Row]:
    spreads = (
        ("Steps per solution", counted.steps_per_solution),
        ("Tokens per solution", counted.tokens_per_solution),
        ("Characters per solution", counted.characters_per_solution),
        ("Rollouts per measured step", counted.rollouts_per_step),
    )
    return [(name, _spread(spread)) for name, spread in spreads if spread.count]


def _spread(spread: Spread) -> str:
    low, high = f"{spread.minimum:,.0f}", f"{spread.maximum:,.0f}"
    return f"mean {spread.mean:,.1f}, median {spread.median:,.0f}, 90 % up to {spread.p90:,.0f}, from {low} to {high}"


def _of(count: int, counted: Statistics) -> str:
    return f"{number(count)} ({share(count, counted.solutions)})"


def _few(counts: Mapping[str, int]) -> str:
    shown = [f"{number(count)} {name}" for name, count in list(counts.items())[:_MOST]]
    more = sum(list(counts.values())[_MOST:])
    return ", ".join([*shown, *([f"{number(more)} for other reasons"] if more else [])])


def _against(found: OracleQuality) -> str:
    told = (
        "The problems have an exact oracle: it knows the first step after which exact work no longer reaches the answer, as "
        "rollouts see it. The labels of the given solutions with a wrong answer, against it:"
    )
    rows = [
        ("Given solutions with a wrong answer", number(found.solutions)),
        ("First error decided", f"{number(found.decided)} ({share(found.decided, found.solutions)})"),
        ("First error exactly right", _percent(found.exact)),
        ("First error too early", _percent(found.early)),
        ("First error too late", _percent(found.late)),
        ("Precision of the steps called wrong", _percent(found.precision)),
        ("Recall of the steps called wrong", _percent(found.recall)),
    ]
    return f"{told}\n\n{table(('Quantity', 'Value'), rows)}\nThe last five are shares of what was decided.\n"


def _duplicates(counted: Statistics) -> str:
    found = counted.duplicates
    problems = f"{number(found.problems)} of {number(counted.problems)} problems repeat an earlier question"
    solutions = f"{number(found.solutions)} of {number(counted.solutions)} solutions repeat an earlier one of the same question"
    return f"{problems}, and {solutions}, word for word.\n"


def _overlaps(overlaps: Sequence[Overlap]) -> str:
    rows = [
        (each.benchmark, number(each.questions), number(each.exact), number(each.overlapping), _sample(each)) for each in overlaps
    ]
    first = overlaps[0]
    told = f"A problem overlaps when it holds at least {100 * first.threshold:g} % of a benchmark question's {first.ngram}-grams."
    head = ("Benchmark", "Its questions", "Our problems with the same question", "That overlap", "Such as")
    return f"{told}\n\n{table(head, rows)}"


def _sample(overlap: Overlap) -> str:
    return "; ".join(f"{ours} and {theirs} ({100 * part:.0f} %)" for ours, theirs, part in overlap.examples[:2])


def _agreements(agreements: Sequence[MethodAgreement]) -> str:
    told = "Runs that labelled the same solutions, compared where both decided:"
    head = (
        "Runs",
        "Solutions",
        "Decided by both",
        "Same first error",
        "Within one step",
        "Steps labelled alike",
        "Cohen's kappa",
    )
    return f"{told}\n\n{table(head, [_agreement(each) for each in agreements])}"


def _agreement(each: MethodAgreement) -> tuple[str, ...]:
    kappa = "not defined" if each.kappa is None else f"{each.kappa:.2f}"
    shares = (share(each.same, each.both), share(each.near, each.both), share(each.steps_same, each.steps))
    return (f"{each.left}, {each.right}", number(each.shared), number(each.both), *shares, kappa)


def _each(amount: float | None) -> str:
    return "" if amount is None else f"{amount:,.3g}" if amount < 1000 else f"{amount:,.0f}"


def _time(hours: float | None) -> str:
    """In the unit that leaves a number one can read.

    >>> _time(2.5), _time(0.01), _time(0.0000025)
    ('2.5 h', '36 s', '9 ms')
    """
    for unit, name in ((1, "h"), (60, "min"), (3600, "s"), (3_600_000, "ms")):
        if hours and hours * unit >= 1:
            return f"{hours * unit:,.3g} {name}"
    return "" if hours is None else "below 1 ms"


def _percent(value: float | None) -> str:
    return "nothing to compare" if value is None else f"{100 * value:.1f} %"


def named(counts: Mapping[str, int]) -> str:
    """What occurs how often, as one escaped line."""
    return inline(_few(counts))
