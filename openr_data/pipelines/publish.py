"""`publish`: a finished run, or an exported folder, to the Hub or to any folder. Puts source, card and place together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openr_data.data_cards.card import CardTable
from openr_data.errors import Interrupted
from openr_data.hub.retry import Patience
from openr_data.pipelines.publish_folder import FolderTarget, publish_to_folder
from openr_data.pipelines.publish_hub import HubTarget, HubWay, publish_to_hub
from openr_data.pipelines.publish_source import Cut, Source, open_source
from openr_data.pipelines.publish_staging import Card, CardMaker
from openr_data.pipelines.publish_types import Published, Sending


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
    try:
        if isinstance(target, HubTarget):
            target.checked()
        versioned = isinstance(target, FolderTarget)
        options.sending("stage", 0, 0)
        with open_source(path, options.cut, options.card, versioned=versioned) as source:
            return _publish(source, target, options)
    except KeyboardInterrupt:
        raise Interrupted("stopped; readers see one whole version, and the same command continues") from None


def _publish(source: Source, target: HubTarget | FolderTarget, options: PublishOptions) -> Published:
    if isinstance(target, FolderTarget):
        return publish_to_folder(source, target, options.sending, dry_run=options.dry_run)
    way = HubWay(options.patience, options.sending)
    return publish_to_hub(source, target, options.message or _message(source), way, dry_run=options.dry_run)


def _message(source: Source) -> str:
    rows = ", ".join(f"{sum(splits.values()):,} {table}" for table, splits in source.rows.items() if splits)
    return f"Publish {rows}"
