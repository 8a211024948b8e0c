"""kill -9 at random moments of a publication: readers see the old version or the new one, and the next attempt ends new."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from publish_crashes import Crashes

pytestmark = pytest.mark.slow


def test_a_killed_publication_leaves_one_version_and_the_next_ends_new(tmp_path: Path) -> None:
    crashes, rng = Crashes(tmp_path), random.Random(1)
    for number in range(3):
        kill = crashes.kill(rng, number)
        assert kill.state in {"old", "new"}
        assert kill.looks > 10
        assert kill.others == 0, "no reader ever saw anything else"
        assert kill.ends_new
        assert kill.commits == 3, "one commit for each version, after the first of the repository"
        assert kill.tags == ("v1", "v2")
