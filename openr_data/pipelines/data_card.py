"""The full card of a run, with its figures: what the run recorded, what is counted over it, and what people wrote beside that.

Where the tables lie, and under which name they load, is told by the caller; only `write_data_card` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openr_data.data_cards.blocks import Block, block_texts
from openr_data.data_cards.card import CardFacts, CardTable, render_card
from openr_data.data_cards.licences import is_identifier
from openr_data.data_cards.metadata import read_head, split_card
from openr_data.errors import InputError, RunDirError, UsageError
from openr_data.pipelines.card import described, run_tables
from openr_data.pipelines.run_card import README, STALE, read_readme, recorded_words
from openr_data.store.atomic import partial_name, publish, storage_errors, write_text
from openr_data.store.lock import DirectoryLock
from openr_data.store.read import RunReader
from openr_data.store.run_record import RunRecord

if TYPE_CHECKING:
    from openr_data.data_cards.figures import Figure
    from openr_data.data_cards.statistics import Statistics


@dataclass(frozen=True, slots=True)
class CardOptions:
    """What a person asks of a card. `license` and `title` replace what is there ("": as it is); `cite` is a file of BibTeX.

    `against` are files of questions to look for contamination with; `every`: also write blocks that a person has deleted.
    """

    title: str = ""
    license: str = ""
    cite: Path | None = None
    against: tuple[Path, ...] = ()
    every: bool = False

    def checked(self) -> CardOptions:
        if self.license and not is_identifier(self.license):
            told = "give an identifier of the Hub, such as mit, apache-2.0 or cc-by-4.0; `other` for any else"
            raise UsageError(f"'{self.license}' is no licence as a card names it: {told}")
        return self


@dataclass(frozen=True, slots=True)
class DataCard:
    """A README.md, and the figures that it shows by their paths relative to it."""

    text: str
    figures: Mapping[str, bytes] = field(default_factory=dict)


def data_card(
    run: Path,
    tables: Sequence[CardTable],
    *,
    existing: str = "",
    location: str = "PATH",
    options: CardOptions = CardOptions(),
    counted: Statistics | None = None,
) -> DataCard:
    """The card of a run whose `tables` lie where their splits say, below the card; the first one is what loads by default.

    `existing` is the README.md that is there now: its text and its own metadata stay. Without one, those of the run's own card
    are taken over. `location` is what `load_dataset` is to be called with. `counted` are the run's statistics, where they are
    known. What an option asked for stays on the run's card, and is on this one too. Raises `InputError` for a card that cannot
    be read, `RunDirError` for a run that is damaged or not finished, `UsageError` for an option that cannot be used.
    """
    options, reader = options.checked(), _finished(run)
    own = _own_card(run)
    base = existing or own.text
    head = read_head(split_card(base)[0])  # a broken card is refused before anything is counted
    asked = _asked(options, own)
    if counted is None:
        from openr_data.pipelines.statistics import statistics

        counted = statistics(run, benchmarks=options.against)
    from openr_data.data_cards.figures import figures

    drawn = figures(counted)
    licence = options.license or head.get("license") or own.head.get("license") or ""
    words = recorded_words(reader.record)
    facts = CardFacts(
        tables=[described(table) for table in tables],
        counts=_counts(reader),
        **{**words, "title": options.title or str(own.head.get("pretty_name") or words["title"])},
    )
    facts = replace(facts, location=location, exact=_exact(options), usual=_usual(reader.record, licence))
    blocks = [*_blocks(reader.record, counted, drawn, licence), *asked(counted)]
    text = render_card(facts, base, blocks, every=options.every)
    return DataCard(text, {figure.path: figure.png for figure in drawn})


def write_data_card(run: Path, options: CardOptions = CardOptions()) -> DataCard:
    """The card of a run in its own directory: figures first, so that the text never shows one that is not there.

    Raises what `data_card` does, and `RunDirError` while another process has the run.
    """
    reader = _finished(run)
    tables = run_tables({name: reader.size(name) for name in reader.manifest.tables})
    with DirectoryLock(run):
        card = data_card(run, tables, existing=read_readme(run), options=options)
        _write(run, card)
    return card


def _write(run: Path, card: DataCard) -> None:
    for name, content in card.figures.items():
        path = run / name
        with storage_errors(path):
            path.parent.mkdir(exist_ok=True)
            partial = partial_name(path)
            partial.write_bytes(content)
            publish(partial, path)
    write_text(run / README, card.text)


def _finished(run: Path) -> RunReader:
    reader = RunReader.open(run)
    if not reader.complete:
        raise RunDirError(f"{run} is not finished, and its card would tell of a part; continue it with --resume first")
    return reader


@dataclass(frozen=True, slots=True)
class _Own:
    """The run's own card: its whole text, its metadata and what its blocks say."""

    text: str = ""
    head: Mapping[str, Any] = field(default_factory=dict)
    blocks: Mapping[str, str] = field(default_factory=dict)


def _own_card(run: Path) -> _Own:
    text = read_readme(run)
    try:
        head, body = split_card(text)
        return _Own(text, read_head(head), block_texts(body))
    except InputError as fault:
        raise InputError(f"{run / README}: {fault}") from None


def _asked(options: CardOptions, own: _Own) -> Callable[[Statistics], list[Block]]:
    """The blocks that hold what an option has asked for, now or before."""
    from openr_data.data_cards.citation import checked_bibtex, cite
    from openr_data.data_cards.numbers import contamination

    bibtex = checked_bibtex(_text(options.cite), options.cite.name) if options.cite else ""
    cited = cite(bibtex) or own.blocks.get("cite", "")

    def blocks(counted: Statistics) -> list[Block]:
        found = own.blocks.get("contamination", "")
        kept = found if found.split() != STALE.split() and not counted.overlaps else ""
        return [Block("contamination", kept or contamination(counted)), *([Block("cite", cited)] if cited else [])]

    return blocks


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not in UTF-8; save it so") from None
    except OSError as fault:
        raise InputError(f"{path} cannot be read ({fault.strerror or fault}); give a file of BibTeX") from None


def _blocks(record: RunRecord, counted: Statistics, drawn: Sequence[Figure], licence: object) -> list[Block]:
    from openr_data import __version__
    from openr_data.data_cards.citation import citation
    from openr_data.data_cards.figures import show_figures
    from openr_data.data_cards.numbers import checks, costs, key_numbers, quality
    from openr_data.data_cards.provenance import sources, versions

    layouts = list(counted.methods) if record.identity["command"] == "import" else []
    source = record.identity["config"]["run"]["source"]
    read_from = " at ".join(filter(None, (str(source["location"]), str(source.get("revision") or ""))))
    return [
        Block("numbers", key_numbers(counted)),
        Block("figures", show_figures(drawn)),
        Block("versions", versions(record.versions)),
        Block("quality", quality(counted)),
        Block("checks", checks(counted)),
        Block("costs", costs(counted)),
        Block("sources", sources(counted.sources, layouts, record.identity["inputs"], read_from, _named(licence))),
        Block("citation", citation(__version__, list(counted.methods))),
    ]


def _named(licence: object) -> str:
    """A card may name several."""
    return ", ".join(map(str, licence)) if isinstance(licence, list) else str(licence)


def _counts(reader: RunReader) -> dict[str, object]:
    failed = sum(len(shard.failed) for shard in reader.manifest.shards.values())
    return {
        "problems": reader.record.items or 0,
        "rejected rows": _lines(reader.path / "rejects.jsonl"),
        "failed problems": failed,
    }


def _lines(path: Path) -> int:
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _exact(options: CardOptions) -> dict[str, Any]:
    asked = {"license": options.license, "pretty_name": " ".join(options.title.split())}
    return {name: value for name, value in asked.items() if value}


def _usual(record: RunRecord, licence: object) -> dict[str, Any]:
    """The licence that the run's own card names, and the data sets of the Hub that the run was read from."""
    hub = [value.removeprefix("hub:").split("@")[0] for value in record.identity["inputs"].values() if value.startswith("hub:")]
    return {**({"license": licence} if licence else {}), **({"source_datasets": hub} if hub else {})}
