"""`publish`: a finished run, or an exported folder, to the Hub or to any folder. Puts source, card and place together."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from openr_data.data_cards.card import CardTable
from openr_data.errors import Interrupted
from openr_data.hub.retry import Patience
from openr_data.pipelines.publishing.folder import FolderTarget, publish_to_folder
from openr_data.pipelines.publishing.hub import HubTarget, HubWay, publish_to_hub
from openr_data.pipelines.publishing.source import Cut, Source, Sources, source_of
from openr_data.pipelines.publishing.staging import Card, CardMaker
from openr_data.pipelines.publishing.types import Published, Sending


def run_card(run: Path, tables: Sequence[CardTable], existing: str, location: str) -> Card:
    """The data card of a run, with what people wrote into the one that is there."""
    from openr_data.pipelines.data_card import data_card

    card = data_card(run, tables, existing=existing, location=location)
    return Card(card.text, card.figures)


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """`message` is the commit's ("": one that counts the rows)."""

    cut: Cut = field(default_factory=Cut)
    message: str = ""
    dry_run: bool = False
    card: CardMaker = run_card
    patience: Patience = field(default_factory=Patience)
    sending: Sending = lambda *_: None


def publish(path: Path, target: HubTarget | FolderTarget, options: PublishOptions) -> Published:
    """Raises `OpenRDataError`. Whatever goes wrong, readers see the old version or the new one, and the same call continues."""
    staged = source_of(path, options.cut, options.card, versioned=isinstance(target, FolderTarget))
    way = HubWay(options.patience, options.sending)
    return publish_sources(staged, target, options.message, way, dry_run=options.dry_run)


def publish_sources(
    staged: Sources, target: HubTarget | FolderTarget, message: str, way: HubWay, *, dry_run: bool = False
) -> Published:
    """What is staged, of any kind, to the Hub or to any folder."""

    def sources() -> AbstractContextManager[Source]:
        way.sending("prepare", 0, 0)
        return staged()

    try:
        if isinstance(target, FolderTarget):
            return publish_to_folder(sources, target, way.sending, dry_run=dry_run)
        return publish_to_hub(sources, target.checked(), message, way, dry_run=dry_run)
    except KeyboardInterrupt:
        raise Interrupted("stopped; readers see one whole version, and the same command continues") from None
