"""Step scores with vLLM in this process: one pooling request per solution, token ids in and logits out.

vLLM does not reuse prefixes for pooling (0.32), so candidates of one question cost their whole length each. Works with vLLM from
0.30; its engine runs in this process, not in one of its own, and ends with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from openr_data.errors import EngineError, UsageError
from openr_data.models.devices import choose_device, choose_dtype
from openr_data.models.files import model_folder
from openr_data.prm.encode import Encoded, Encoder
from openr_data.prm.load import load_encoder
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.identity import identity_of
from openr_data.prm.score.pooling import TASK, engine_options, pools_at_tags, refuse_old, step_margins
from openr_data.prm.score.scorer import ModelScorer, quiet

QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
}
"""What vLLM is told before it is imported: no telemetry, no chatter. A variable that is already set wins."""
_AT_ONCE = 1024
"""Solutions handed to vLLM together: enough to fill it, few enough to hear of progress."""


def open_vllm(spec: ScorerSpec) -> ModelScorer:
    """Raises `UsageError` where vLLM is missing, too old or cannot serve the model, and `EngineError` where it does not start."""
    refuse_absent()
    folder = model_folder(spec.model, spec.revision)
    encoder = load_encoder(folder, spec.style)
    device = choose_device(spec.device)
    dtype = str(choose_dtype(spec.dtype, device)).removeprefix("torch.")
    options = engine_options(encoder, architecture_of(folder), dtype, on_cpu=device.type == "cpu")
    engine = _start(folder, options)
    context = min(encoder.config.context, int(engine.model_config.max_model_len))
    held = Encoder(encoder.tokenizer, replace(encoder.config, context=context))
    backend = VllmBackend(engine, at_tags=pools_at_tags(encoder))
    return ModelScorer(held, backend, identity_of(folder, encoder.config, f"vllm:{dtype}"))


def refuse_absent() -> None:
    """Raises `UsageError` where vLLM is not installed. A mere folder of that name on the path is none."""
    spec = find_spec("vllm")
    if spec is None or spec.origin is None:
        raise UsageError("this needs vLLM, which is not installed: pip install 'openr-data[vllm]'")


def architecture_of(folder: Path) -> str:
    """The first architecture that `config.json` names, or nothing."""
    settings = json.loads((folder / "config.json").read_text("utf-8"))
    return str((settings.get("architectures") or [""])[0])


def _start(folder: Path, options: dict[str, Any]) -> Any:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with _in_this_process():
        from vllm.config import PoolerConfig
        from vllm.entrypoints.llm import LLM
        from vllm.version import __version__

        refuse_old(str(__version__))
        try:
            settings = {**options, "pooler_config": PoolerConfig(**options["pooler_config"])}
            return LLM(str(folder), disable_log_stats=True, use_tqdm_on_load=False, **settings)
        except Exception as error:  # vLLM raises what it likes, and tells its reason first
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise EngineError(f"vLLM could not start '{folder}': {reason}") from error


@contextmanager
def _in_this_process() -> Iterator[None]:
    """Where the engine shall run is read from the environment when it is made."""
    name = "VLLM_ENABLE_V1_MULTIPROCESSING"
    before = os.environ.get(name)
    os.environ.setdefault(name, "0")
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


class VllmBackend:
    """`engine` is vLLM's `LLM`, made with `engine_options`."""

    def __init__(self, engine: Any, *, at_tags: bool) -> None:
        self._engine, self._at_tags = engine, at_tags

    def margins(self, batch: Sequence[Encoded], /, on_done: Callable[[int], None] = quiet) -> list[tuple[float, ...]]:
        found: list[tuple[float, ...]] = []
        for start in range(0, len(batch), _AT_ONCE):
            part = batch[start : start + _AT_ONCE]
            found += self._pooled(part)
            on_done(len(part))
        return found

    def _pooled(self, part: Sequence[Encoded]) -> list[tuple[float, ...]]:
        from vllm.pooling_params import PoolingParams

        prompts = [{"prompt_token_ids": list(row.ids)} for row in part]
        params = PoolingParams(task=TASK, use_activation=False)
        try:
            answers = self._engine.encode(prompts, params, pooling_task=TASK, use_tqdm=False)
        except Exception as error:
            raise EngineError(
                f"vLLM could not score: {(str(error).strip().splitlines() or [type(error).__name__])[0]}"
            ) from error
        return [
            step_margins(answer.outputs.data.float().tolist(), row, at_tags=self._at_tags)
            for answer, row in zip(answers, part, strict=True)
        ]
