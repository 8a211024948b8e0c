"""vLLM's pooling of a process reward model: the options it is started with, and step scores out of its rows. Does not load vLLM.

The same options start vLLM in this process and as a server, so that both answer alike. A causal model becomes a classifier whose
weight is the difference of its two rows of the vocabulary, in fp32: its logit is the margin, and no two large logits cancel. No
activation is asked for, so that nothing is lost where a probability is 1.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from openr_data.errors import EngineError, UsageError
from openr_data.prm.encode import Encoded, Encoder

TASK = "token_classify"
OLDEST = (0, 30)
_LONGEST = 32768
_QWEN = "Qwen2ForProcessRewardModel"


def pools_at_tags(encoder: Encoder) -> bool:
    """May vLLM find the steps by their tag? Not where the tag may stand in a text, or a step is read elsewhere."""
    config = encoder.config
    return config.read_offset == 0 and config.tag_id in getattr(encoder.tokenizer, "added_tokens_decoder", {})


def engine_options(encoder: Encoder, architecture: str, dtype: str, *, on_cpu: bool) -> dict[str, Any]:
    """Arguments of vLLM's engine, by the names of its `EngineArgs`. Raises `UsageError` for a head that vLLM cannot serve."""
    config = encoder.config
    if config.head == "likelihood":
        raise UsageError("vLLM does not pool the likelihood of steps: score with --backend transformers")
    if config.head == "value_head":
        raise UsageError("vLLM has no value head (Skywork): score with --backend transformers")
    if config.head == "process_reward" and architecture != _QWEN:
        raise UsageError(f"vLLM knows {_QWEN} and no '{architecture}'; export the model to token classification first")
    pooler: dict[str, Any] = {"task": TASK, "tok_pooling_type": "ALL", "use_activation": False}
    if pools_at_tags(encoder):
        pooler |= {"tok_pooling_type": "STEP", "step_tag_id": config.tag_id}
    options: dict[str, Any] = {"runner": "pooling", "pooler_config": pooler, "dtype": dtype, "trust_remote_code": False}
    if config.head == "causal":
        pair = encoder.tokenizer.convert_ids_to_tokens([config.negative_id, config.positive_id])
        options |= {"convert": "classify", "hf_overrides": {"classifier_from_token": pair, "method": "from_2_way_softmax"}}
    options["max_model_len"] = config.context if config.context <= _LONGEST else -1
    return options | (_on_cpu() if on_cpu else {})


def _on_cpu() -> dict[str, Any]:
    """Compiling takes longer than it saves on a CPU, and vLLM's own cache there is 90 % of all memory, filled at the start."""
    options: dict[str, Any] = {"enforce_eager": True, "block_size": 32}
    if "VLLM_CPU_KVCACHE_SPACE" not in os.environ:
        options["kv_cache_memory_bytes"] = 1 << 30
    return options


def refuse_old(version: str) -> None:
    """Raises `UsageError` for a vLLM that cannot do all this; a version that cannot be read is trusted."""
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if len(parts) == 2 and parts < OLDEST:
        raise UsageError(f"vLLM {version} is too old to score steps; install {'.'.join(map(str, OLDEST))} or later")


def step_margins(rows: Sequence[Sequence[float]], row: Encoded, *, at_tags: bool) -> tuple[float, ...]:
    """One margin per step, of rows of logits for every token, or for every tag. Raises `EngineError` for any other number."""
    if len(rows) == len(row.ids):
        rows = [rows[position] for position in row.reads]
    elif not at_tags or len(rows) != len(row.reads):
        raise EngineError(
            f"vLLM answered {len(rows)} rows for a solution of {len(row.reads)} steps and {len(row.ids)} tokens: it runs with "
            "other options than this model needs; start it with `openr-data prm serve`"
        )
    if wide := {len(each) for each in rows} - {1, 2}:
        raise EngineError(
            f"vLLM answered {max(wide)} numbers per step, not one or two: it serves another kind of model; "
            "start it with `openr-data prm serve`"
        )
    return tuple(each[-1] - each[0] if len(each) == 2 else each[0] for each in rows)
