"""Out of memory: advice instead of a stack trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from openr_data.errors import EngineError
from openr_data.prm.train_config import TrainConfig

_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


@contextmanager
def memory_advice(config: TrainConfig, budget: int) -> Iterator[None]:
    """Turns what torch raises when memory runs out into an `EngineError`; `budget` is the tokens of a forward pass."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise EngineError(advice(config, budget)) from error
    except RuntimeError as error:
        if not any(sign in str(error).lower() for sign in _SIGNS):
            raise
        raise EngineError(advice(config, budget)) from error


def advice(config: TrainConfig, budget: int) -> str:
    """One sentence with what is left to try, the cheapest first.

    >>> advice(TrainConfig(checkpointing=True), 8192)
    'the training does not fit the memory: try --batch-tokens 4096 (now 8192) or --lora 16'
    """
    tries = [f"--batch-tokens {budget // 2} (now {budget})"]
    tries += [] if config.checkpointing else ["--checkpointing"]
    tries += [] if config.lora.rank else ["--lora 16"]
    tries += [] if config.dtype != "float32" else ["--dtype bfloat16"]
    shown = tries[0] if len(tries) == 1 else f"{', '.join(tries[:-1])} or {tries[-1]}"
    return f"the training does not fit the memory: try {shown}"
