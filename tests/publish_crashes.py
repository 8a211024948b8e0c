"""Kill a publication at a random moment while a reader looks, publish again, and say what readers saw. Real processes."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub_server import WRITE
from hub_state import HubState
from publishing import small_run

HERE = Path(__file__).parent
REPO = "alice/steps"
Files = dict[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Kill:
    """`after`: seconds from the first moment of the publication to the kill. `state`: what readers saw then.

    `looks` counts how often a reader looked while it ran; `others` are looks that showed neither version.
    """

    after: float
    state: str
    looks: int
    others: int
    ends_new: bool
    commits: int
    tags: tuple[str, ...]


@contextmanager
def hub_process(folder: Path) -> Iterator[str]:
    """A stand-in Hub in a process of its own."""
    command = [sys.executable, str(HERE / "hub_server.py"), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()
            server.wait(20)


def client_environment(url: str, home: Path, mode: str = "lfs") -> dict[str, str]:
    offline = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
    kept = {name: value for name, value in os.environ.items() if name not in offline}
    xet = {} if mode == "xet" else {"HF_HUB_DISABLE_XET": "1"}
    return {**kept, **xet, "HF_ENDPOINT": url, "HF_TOKEN": WRITE, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}


def start(run: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    """A publication that has loaded everything and begins now."""
    command = [sys.executable, str(HERE / "publish_child.py"), str(run), "repo", REPO]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n", child.communicate()[1]
    return child


def finish(child: subprocess.Popen[str]) -> str:
    out, error = child.communicate(timeout=120)
    assert child.returncode == 0, error
    return out.strip()


class Reader(threading.Thread):
    """Looks at the branch again and again, as a loader does: the head first, then the files of that commit."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.stop = url, threading.Event()
        self.seen: list[Files] = []

    def run(self) -> None:
        while not self.stop.is_set():
            self.seen.append(read_files(self.url))
            time.sleep(0.005)


def read_files(url: str) -> Files:
    head = _get(f"{url}/api/datasets/{REPO}")["sha"]
    rows = _get(f"{url}/api/datasets/{REPO}/tree/{head}?recursive=True")
    return {row["path"]: (row.get("lfs", row)["oid"], row["size"]) for row in rows if row["type"] == "file"}


def _get(url: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {WRITE}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


class Crashes:
    """An old version on a stand-in Hub, a new one to publish, and what a clean publication of it makes."""

    def __init__(self, folder: Path, mode: str = "lfs", items: tuple[int, int] = (24, 60)) -> None:
        self.folder, self.mode = folder, mode
        self.old_run, self.new_run = small_run(folder / "old", items[0]), small_run(folder / "new", items[1])
        with hub_process(folder / "old-hub") as url:
            finish(start(self.old_run, self._environment(url)))
            self.old = read_files(url)
        shutil.copytree(folder / "old-hub", folder / "new-hub")
        with hub_process(folder / "new-hub") as url:
            child = start(self.new_run, self._environment(url))
            began = time.monotonic()
            finish(child)
            self.seconds = time.monotonic() - began
            self.new = read_files(url)
        assert self.old != self.new

    def kill(self, rng: random.Random, number: int) -> Kill:
        """One publication killed at a random moment, then one that runs to its end, with a reader all the time."""
        state = self.folder / f"hub-{number}"
        shutil.copytree(self.folder / "old-hub", state)
        with hub_process(state) as url:
            reader = Reader(url)
            reader.start()
            after = rng.uniform(0, self.seconds)
            child = start(self.new_run, self._environment(url))
            time.sleep(after)
            child.kill()
            child.communicate()
            then = read_files(url)
            finish(start(self.new_run, self._environment(url)))
            reader.stop.set()
            reader.join()
            others = sum(files not in (self.old, self.new) for files in reader.seen)
            ends_new = read_files(url) == self.new
        hub = HubState(state)
        name = "new" if then == self.new else "old" if then == self.old else "other"
        commits, tags = len(hub.history("datasets", REPO)), tuple(sorted(hub.repo("datasets", REPO).tags))
        shutil.rmtree(state)
        return Kill(after, name, len(reader.seen), others, ends_new, commits, tags)

    def _environment(self, url: str) -> dict[str, str]:
        return client_environment(url, self.folder / "home", self.mode)
