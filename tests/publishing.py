"""Runs to publish and a plain card for them; what the tests of publishing share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hub_server import WRITE, HubServer
from store_runs import IDENTITY, write_run

from openr_data.data_cards.card import CardFacts, CardTable, render_card
from openr_data.hub.retry import Patience
from openr_data.pipelines.publishing.publish import PublishOptions
from openr_data.pipelines.publishing.source import Cut
from openr_data.pipelines.publishing.staging import Card
from openr_data.pipelines.splits import Splits

FIGURE = b"\x89PNG\r\n\x1a\nfigure of the tests"


def plain_card(run: Path, tables: Sequence[CardTable], existing: str, location: str) -> Card:
    """A card of fixed words: as `run_card`, without the statistics of a whole run."""
    facts = CardFacts("Steps", tables, {"engine": "scripted"}, {"problems": 1}, ["By hand."], ["None."], location=location)
    return Card(render_card(facts, existing), {"figures/values.png": FIGURE})


def small_run(path: Path, items: int = 24, seed: int = 7) -> Path:
    given = {
        "source": {"location": "problems.jsonl"},
        "engine": {"engine": "builtin"},
        "sampling": {"temperature": 1.0, "max_tokens": 64, "seed": seed},
        "label": {"method": "omegaprm"},
    }
    identity = replace(IDENTITY, config={"run": given})
    write_run(path, range(items), total=items, identity=identity)
    return path


def options(**changes: Any) -> PublishOptions:
    """Splits in which 24 items fill all three, and a patience that does not sleep."""
    given: dict[str, Any] = {
        "cut": Cut(Splits(0.6, 0.2, 0.2)),
        "card": plain_card,
        "patience": Patience(attempts=4, sleep=lambda _: None),
    }
    return PublishOptions(**{**given, **changes})


def use_hub(monkeypatch: Any, hub: HubServer, token: str | None = WRITE, *, xet: bool = False) -> None:
    """The client of this process speaks to the stand-in, as if it had been started so."""
    import huggingface_hub.constants as constants
    import huggingface_hub.utils._http as http

    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN_PATH", "/nonexistent/token")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nonexistent/token")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", not xet)
    monkeypatch.setattr(http, "time", _NoSleep())


class _NoSleep:
    """The module `time` as the client's own retries use it."""

    def sleep(self, _: float) -> None:
        """At once."""
