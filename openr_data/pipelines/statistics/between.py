"""How far methods agree that labelled the same solutions: the same question and the same steps, whatever their ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from openr_data.data_cards.statistics import MethodAgreement
from openr_data.errors import UsageError
from openr_data.pipelines.statistics.frames import collect
from openr_data.pipelines.statistics.texts import question_digests, text_digest
from openr_data.store.read import RunReader

if TYPE_CHECKING:
    import polars as pl

_KEY = ["question", "text"]


@dataclass(frozen=True, slots=True)
class _Labels:
    """What one method of one run says: a row for each distinct solution (the first, where it comes again), with its digests,
    its `first_error` and its `hard` labels.
    """

    reader: RunReader
    method: str
    rows: pl.DataFrame


def agreements(readers: Sequence[RunReader]) -> tuple[MethodAgreement, ...]:
    """Every two methods of the runs. About 30 bytes a solution are in memory, and a bit a step."""
    found = [labels for reader in readers for labels in _labels(reader)]
    names = _names(found)
    return tuple(
        _agreement(name, other, left.rows, right.rows)
        for (name, left), (other, right) in combinations(zip(names, found, strict=True), 2)
    )


def _labels(reader: RunReader) -> list[_Labels]:
    import polars as pl

    if "labeled" not in reader.manifest.tables:
        raise UsageError(f"{reader.path} has no labels to compare; give runs of `openr-data label` or `openr-data import`")
    if not reader.manifest.shards:
        return []
    wanted = ("item", "method", text_digest(), "first_error", "hard")
    rows = collect(reader, reader.scan("labeled").select(wanted))
    rows = rows.join(question_digests(reader), on="item", how="left", maintain_order="left").drop("item")
    methods = rows["method"].unique(maintain_order=True).to_list()
    parts = [(str(method), rows.filter(pl.col("method") == method).drop("method")) for method in methods]
    return [_Labels(reader, method, part.unique(_KEY, keep="first", maintain_order=True)) for method, part in parts]


def _names(found: Sequence[_Labels]) -> list[str]:
    """The method where that tells two apart, otherwise with the directory of its run, or with the whole path."""
    short = [labels.method for labels in found]
    longer = [f"{labels.method} ({labels.reader.path.name})" for labels in found]
    whole = [f"{labels.method} ({labels.reader.path})" for labels in found]
    once, twice = Counter(short), Counter(longer)
    return [a if once[a] == 1 else b if twice[b] == 1 else c for a, b, c in zip(short, longer, whole, strict=True)]


def _agreement(left: str, right: str, ours: pl.DataFrame, theirs: pl.DataFrame) -> MethodAgreement:
    import polars as pl

    shared = ours.join(theirs, on=_KEY, how="inner", suffix="_right")
    mine, other = pl.col("first_error"), pl.col("first_error_right")
    both = shared.drop_nulls(["first_error", "first_error_right"])
    close = (mine == other) | ((mine >= 0) & (other >= 0) & ((mine - other).abs() <= 1))
    table = _cross_table(shared)
    return MethodAgreement(
        left=left,
        right=right,
        shared=shared.height,
        both=both.height,
        same=both.filter(mine == other).height,
        near=both.filter(close).height,
        steps=sum(table.values()),
        steps_same=table[True, True] + table[False, False],
        kappa=cohens_kappa(table),
    )


def _cross_table(shared: pl.DataFrame) -> Counter[tuple[bool, bool]]:
    """Steps by both hard labels, where both are known."""
    import polars as pl

    paired = shared.filter(pl.col("hard").list.len() == pl.col("hard_right").list.len()).select("hard", "hard_right")
    steps = paired.explode("hard", "hard_right").drop_nulls().group_by("hard", "hard_right").agg(pl.len())
    return Counter({(bool(mine), bool(other)): int(count) for mine, other, count in steps.iter_rows()})


def cohens_kappa(table: Counter[tuple[bool, bool]]) -> float | None:
    """(p_o - p_e) / (1 - p_e) (Cohen 1960): what two agree on beyond what the shares of their labels make likely by chance.

    `None` without steps, and where both give one and the same label throughout.

    >>> round(cohens_kappa(Counter({(True, True): 20, (True, False): 5, (False, True): 10, (False, False): 15})), 3)
    0.4
    """
    total = sum(table.values())
    if not total:
        return None
    seen = (table[True, True] + table[False, False]) / total
    mine, other = ((table[True, True] + table[pair]) / total for pair in ((True, False), (False, True)))
    chance = mine * other + (1 - mine) * (1 - other)
    return (seen - chance) / (1 - chance) if chance < 1 else None
