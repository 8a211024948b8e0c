"""What a process reward model learned from: its data sets, what was left out of them, and whether they hold the benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from openr_data.data_cards.licences import NOT_STATED, licence_of, licence_of_layout
from openr_data.data_cards.markup import number, prose, share, table

ROLLOUTS = frozenset(
    {"monte-carlo", "math-shepherd", "omegaprm", "adaptive", "mips", "scan", "epicprm", "er-prm", "pav", "genprm"}
    | {"math-aps", "math-aps-tree", "openr"}
)
"""Methods and layouts whose labels are read off where rollouts of a model end."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """One data set as it was trained on. `method` is the labelling method or the layout, `foreign` says that it is the layout of
    a file of others; `rows` are as they were seen, copies included; steps are `good`, `bad`, or `masked` (they carry no loss).
    `left_out` counts solutions by reason.
    """

    name: str
    method: str = ""
    weight: float = 1.0
    rows: int = 0
    good: int = 0
    bad: int = 0
    masked: int = 0
    held_out: int = 0
    foreign: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """`compared` are the questions of each evaluation set that was looked for, `contaminated` the solutions left out for it."""

    sources: Sequence[DataSource]
    compared: Mapping[str, int] = field(default_factory=dict)
    contaminated: Mapping[str, int] = field(default_factory=dict)
    context: int = 0
    longest: int = 0

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.sources)

    @property
    def good(self) -> int:
        return sum(each.good for each in self.sources)

    @property
    def bad(self) -> int:
        return sum(each.bad for each in self.sources)

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.method for each in self.sources if each.method))

    @property
    def too_long(self) -> int:
        return sum(each.left_out.get("too_long", 0) for each in self.sources)


def training_data(data: TrainingData | None) -> str:
    if data is None:
        return "## Training data\n\nWhat it was trained on is not recorded here.\n"
    head = ("Data set", "Labels", "Weight", "Rows seen", "Good steps", "Wrong steps", "Without loss", "Left out", "Licence")
    whole = ("all", "", "", number(data.rows), _of(data.good, data), _of(data.bad, data), _masked(data), "", "")
    rows = [*map(_row, data.sources), *([whole] if len(data.sources) > 1 else [])]
    told = prose(
        "Rows are solutions as they were seen, those of a data set with a weight above 1 several times. A data set is named as "
        "it was when it was read; whether it is that was not checked."
    )
    return f"## Training data\n\n{table(head, rows)}\n{told}\n"


def contamination(data: TrainingData | None) -> str:
    if data is None:
        return ""
    if not data.compared:
        told = "Nothing was compared with evaluation sets: their questions may be among those that it was trained on."
        return f"## Contamination\n\n{told}\n"
    rows = [(name, number(questions), number(data.contaminated.get(name, 0))) for name, questions in data.compared.items()]
    told = "Solutions whose question stands in an evaluation set, or nearly so, were left out of the training data."
    return f"## Contamination\n\n{told}\n\n{table(('Evaluation set', 'Its questions', 'Solutions left out'), rows)}"


def _row(each: DataSource) -> tuple[str, ...]:
    steps = each.good + each.bad
    counted = tuple(f"{number(count)} ({share(count, steps)})" if steps else "0" for count in (each.good, each.bad))
    left = ", ".join(f"{number(count)} {reason.replace('_', ' ')}" for reason, count in each.left_out.items() if count)
    return (each.name, each.method, f"{each.weight:g}", number(each.rows), *counted, number(each.masked), left, _licence(each))


def _of(count: int, data: TrainingData) -> str:
    return f"{number(count)} ({share(count, data.good + data.bad)})"


def _masked(data: TrainingData) -> str:
    return number(sum(each.masked for each in data.sources))


def _licence(each: DataSource) -> str:
    known = licence_of(each.name.split("@")[0]) or (licence_of_layout(each.method) if each.foreign else None)
    return NOT_STATED if known is None else f"{known.licence} (if it is {known.title})"
