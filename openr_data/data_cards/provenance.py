"""Where the problems and labels come from, under which licence, and what they were made with. Claims nothing not stated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from openr_data.data_cards.licences import NOT_STATED, licence_of, licence_of_layout
from openr_data.data_cards.markup import inline, number, prose, table

_MOST = 12
_DIGESTS = prose(
    "`sha256:` is of the file, or of the list of the files' digests; `run:` is the SHA-256 of the manifest of the run "
    "that was read; "
    "`hub:` names the data set and its commit; `builtin:` is of the first problems that the generator makes."
)


def sources(problems: Mapping[str, int], layouts: Sequence[str], inputs: Mapping[str, str], read_from: str, licence: str) -> str:
    """`problems` counts them by source; `inputs` are digests by name, as the run recorded them; `licence` is the card's own."""
    rows = [(name or "(none named)", number(count), *_licence(name)) for name, count in list(problems.items())[:_MOST]]
    more = len(problems) - _MOST
    told = [
        table(("Source of the problems", "Problems", "Licence", "As stated by"), rows),
        *([f"\nAnd {number(more)} further sources.\n"] if more > 0 else []),
        "\nA source is named by the rows, or else by its file; whether it is what it is called was not checked.\n",
        *(_published(layout) for layout in layouts),
        "\nWhat was read:\n\n",
        table(("Input", "Read from", "Digest"), [(name, read_from, digest) for name, digest in inputs.items()]),
        f"\n{_DIGESTS}\n\n{_own(licence)}\n",
    ]
    return "## Licence and provenance\n\n" + "".join(told)


def versions(attempts: Sequence[Mapping[str, str]]) -> str:
    """Packages and platform of every attempt at the run; several where they changed on the way."""
    names = list(dict.fromkeys(name for attempt in attempts for name in attempt))
    rows = [(name, ", ".join(dict.fromkeys(each[name] for each in attempts if name in each))) for name in names]
    return "## Versions\n\n" + table(("Package", "Version"), rows) if rows else ""


def _licence(source: str) -> tuple[str, str]:
    known = licence_of(source)
    if known is None:
        return NOT_STATED, "nothing is known here of this source"
    return known.licence, f"if it is {known.title}: {known.where}"


def _published(layout: str) -> str:
    known = licence_of_layout(layout)
    if known is None:
        return f"\nWhoever published the labels, in the layout {inline(layout)}, says under which licence they may be used.\n"
    licence = f"under {known.licence}" if known.licence != NOT_STATED else "without a stated licence"
    return f"\nThe labels: {inline(known.title)} was published {inline(licence)} ({inline(known.where)}), if this is it.\n"


def _own(licence: str) -> str:
    if licence:
        return f"Those who published this data set put it under {inline(licence)}."
    return prose("Those who published this data set have not stated a licence for it: `openr-data card --license ID` does.")
