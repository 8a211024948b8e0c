"""Which questions a training has held out: those that are not of its train split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openr_data.errors import UsageError
from openr_data.pipelines.prm.record import NAME, PRMRunRecord
from openr_data.pipelines.splits import Splits


def training_splits(models: Sequence[str]) -> Splits:
    """Those that the models' trainings recorded, the usual ones for models without a record.

    Raises `UsageError` where the models were trained with different ones: a question may be held out of one and not of another.
    """
    recorded = {splits for model in models if (splits := _recorded(Path(model).expanduser())) is not None}
    if len(recorded) > 1:
        raise UsageError("these models were trained with different splits; say with --splits which questions are to count")
    return recorded.pop() if recorded else Splits()


def _recorded(folder: Path) -> Splits | None:
    if not (folder / NAME).is_file():
        return None
    shares = PRMRunRecord.load(folder).config.get("splits")
    return Splits(**shares) if isinstance(shares, dict) else None
