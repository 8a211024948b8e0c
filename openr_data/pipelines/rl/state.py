"""How far a run is, and its checkpoints: whole folders, renamed into place, from which a run goes on exactly.

`OUT/.checkpoints/UPDATE` holds weights, optimiser and `state.json`. The newest one and the best one are kept.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from openr_data.errors import RunDirError
from openr_data.rl.guards import Signs, signs
from openr_data.rl.trajectory import Group
from openr_data.store.atomic import read_checked_json, storage_errors, sync_directory, write_checked_json, write_text

WORK = ".checkpoints"
STATE, OPTIMIZER = "state.json", "optimizer.pt"
METRICS = "metrics.jsonl"
_ASIDE, _GONE = "old-", "gone-"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The held-out questions after `update` updates, answered greedily: 1 right, 0 wrong, `None` not known; in their order."""

    update: int
    right: tuple[float | None, ...]
    tokens: int

    @property
    def accuracy(self) -> float:
        """Over what is known; 0 where nothing is."""
        known = [each for each in self.right if each is not None]
        return sum(known) / len(known) if known else 0.0


@dataclass(slots=True)
class State:
    """`metrics` are what was logged of each update, `stopped` the reason for which a guard ended the run."""

    metrics: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    seconds: float = 0.0
    stopped: str = ""

    @property
    def updates(self) -> int:
        """How many are done."""
        return len(self.metrics)

    @property
    def sampled(self) -> int:
        """Tokens that were generated to learn from."""
        return sum(each["sampled_tokens"] for each in self.metrics)

    @property
    def evaluated(self) -> int:
        """Tokens that were generated to measure."""
        return sum(each.tokens for each in self.evaluations)

    def signs(self, level: int) -> list[Signs]:
        """Of the updates that asked questions of this level."""
        names = [each.name for each in fields(Signs)]
        return [Signs(**{name: each[name] for name in names}) for each in self.metrics if each["level"] == level]

    @property
    def best(self) -> Evaluation | None:
        """The one with most right answers, and the earliest of those that are as good. What is not known is not right here: an
        evaluation of few known answers is not the best one.
        """
        return max(self.evaluations, key=lambda each: (sum(filter(None, each.right)), -each.update), default=None)

    def note(self, groups: Sequence[Group], tokens: int, level: int, told: Mapping[str, float]) -> dict[str, Any]:
        """An update more, and what was logged of it: what the learner told, and the signs of what the policy wrote."""
        noted: dict[str, Any] = {"update": self.updates + 1, "level": level, **told, "sampled_tokens": tokens}
        if groups:
            noted |= asdict(signs(groups, told["kl"], told["learnt"]))
        self.metrics.append(noted)
        return noted

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> State:
        known = dict(body)
        known["evaluations"] = [Evaluation(each["update"], tuple(each["right"]), each["tokens"]) for each in known["evaluations"]]
        return cls(**known)


def checkpoint(out: Path, update: int) -> Path:
    return out / WORK / f"{update:06d}"


def newest(out: Path) -> Path | None:
    """The last whole checkpoint. What was being written or removed goes; one that was to be replaced comes back."""
    for path in (out / WORK).glob(f"{_ASIDE}*"):
        whole = path.with_name(path.name.removeprefix(_ASIDE))
        shutil.rmtree(path) if whole.exists() else path.rename(whole)
    for path in (*(out / WORK).glob("*.partial"), *(out / WORK).glob(f"{_GONE}*")):
        shutil.rmtree(path)
    return max((path for path in (out / WORK).glob("[0-9]*") if (path / STATE).is_file()), default=None)


def load_state(folder: Path) -> State:
    """Raises `RunDirError` for one that is damaged."""
    try:
        return State.read(read_checked_json(folder / STATE, "begin again in another directory"))
    except (KeyError, TypeError) as fault:
        raise RunDirError(f"{folder / STATE} is of another version of openr-data; begin again in another directory") from fault


class Writer:
    """Writes a checkpoint by parts: `with Writer(out, update) as folder:`; it stands once the block ends without an error."""

    def __init__(self, out: Path, state: State) -> None:
        self._out, self._state = out, state
        self._whole = checkpoint(out, state.updates)
        self._partial = self._whole.with_name(f"{self._whole.name}.partial")

    def __enter__(self) -> Path:
        shutil.rmtree(self._partial, ignore_errors=True)
        with storage_errors(self._partial):
            self._partial.mkdir(parents=True)
        return self._partial

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self._partial, ignore_errors=True)
            return
        write_checked_json(self._partial / STATE, json.loads(json.dumps(self._state.plain())))
        aside = self._whole.with_name(_ASIDE + self._whole.name)
        with storage_errors(self._whole):
            if self._whole.exists():
                self._whole.rename(aside)
            self._partial.rename(self._whole)
            sync_directory(self._whole.parent)
        shutil.rmtree(aside, ignore_errors=True)
        self._forget()

    def _forget(self) -> None:
        best = self._state.best
        kept = {self._whole, checkpoint(self._out, best.update if best else 0)}
        for path in (self._out / WORK).glob("[0-9]*"):
            if path not in kept:
                gone = path.with_name(_GONE + path.name)  # so that half of one is never taken for a whole
                path.rename(gone)
                shutil.rmtree(gone)


def keep(best: Path, out: Path) -> None:
    """The model of a checkpoint into the directory of the run."""
    for path in best.iterdir():
        if path.is_file() and path.name not in {OPTIMIZER, STATE}:
            shutil.copyfile(path, out / path.name)


def write_metrics(out: Path, state: State) -> None:
    write_text(out / METRICS, "".join(json.dumps(each) + "\n" for each in state.metrics))
