"""One browser for all tests of the page; without selenium nothing here is collected."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from view_tier.browser import Page

collect_ignore_glob = [] if find_spec("selenium") else ["test_*.py", "browser.py", "measure.py"]


@pytest.fixture(scope="session")
def _browser() -> Iterator[Page]:
    from view_tier.browser import browser

    with browser() as page:
        yield page


@pytest.fixture
def page(_browser: Page) -> Page:
    """The browser as if it were new: light, wide, nothing remembered, nothing said."""
    _browser.size(1440, 900)
    _browser.media(prefers_color_scheme="light")
    _browser.complaints()
    return _browser


@pytest.fixture(scope="session")
def pages() -> Path:
    """Where `run.sh` has put the pages."""
    return Path(os.environ["OPENR_VIEW_PAGES"])
