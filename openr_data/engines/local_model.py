"""A causal language model of transformers, loaded for the batch: forward pass, end tokens and limits. Knows no requests."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoConfig, GenerationConfig

from openr_data.engines.local_cache import ATTENTION, Place, RowCache
from openr_data.errors import EngineError, UsageError
from openr_data.models.devices import choose_device, choose_dtype
from openr_data.models.weights import read_weights

_LAYERS = {"full_attention", "sliding_attention"}


class LocalModel:
    """`ends[token]` says whether a token ends a text; `context` is the longest sequence, prompt included."""

    def __init__(self, model: Any, ends: Iterable[int], memory: int) -> None:
        config = model.config.get_text_config(decoder=True)
        self._model = model
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self.layers: int = config.num_hidden_layers
        self.vocabulary: int = config.vocab_size
        self.context: int = getattr(config, "max_position_embeddings", None) or 2**20
        self.chunk = 256 if self.device.type == "cpu" else 1024
        self.ends = np.zeros(self.vocabulary, np.bool_)
        self.ends[[end for end in ends if 0 <= end < self.vocabulary]] = True
        self._memory = memory
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._token_bytes: int = 2 * self.layers * heads * size * self.dtype.itemsize
        kinds: Sequence[str] = getattr(config, "layer_types", None) or []
        self._window: int | None = getattr(config, "sliding_window", None)
        self._kinds = set(kinds) or {"sliding_attention" if self._window else "full_attention"}

    def load(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Weights of the same names and shapes, copied: `RuntimeError` for others."""
        self._model.load_state_dict(weights)

    def affordable_rows(self, capacity: int) -> int:
        """How many rows of that many positions fit the memory set aside for keys and values."""
        return max(0, self._memory // (self._token_bytes * capacity))

    def forward(self, ids: torch.Tensor, cache: RowCache, place: Place) -> torch.Tensor:
        """Logits of the last column, (rows, vocabulary). `ids` is (rows, columns), as `place.positions` is."""
        cache.go_to(place)
        output = self._model(
            input_ids=ids,
            attention_mask=self._mask(place.positions, place.span),
            position_ids=place.positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _mask(self, positions: torch.Tensor, span: int) -> Any:
        """Additive masks: each token sees the positions up to its own, within the window where layers have one."""
        keys = torch.arange(span, device=self.device)
        at = positions[:, None, :, None]
        masks = {}
        for kind in self._kinds:
            hidden = keys > at
            if kind == "sliding_attention" and self._window:
                hidden = hidden | (keys <= at - self._window)
            masks[kind] = torch.zeros(hidden.shape, dtype=self.dtype, device=self.device).masked_fill_(hidden, float("-inf"))
        return masks if len(masks) > 1 else next(iter(masks.values()))


def load_model(folder: Path, *, dtype: str, device: str, memory_share: float) -> LocalModel:
    """The weights in `folder` on `device` (`auto`: CUDA if there is one), float32 on a CPU and bfloat16 on CUDA unless said.

    `memory_share` is the part of the device's memory that weights and keys may take. `UsageError` for what cannot be run here.
    """
    place = choose_device(device)
    number_format = choose_dtype(dtype, place)
    try:
        config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        _refuse_unfit(config)
        model = read_weights(folder, number_format, attn_implementation=ATTENTION).to(place).eval()
    except torch.OutOfMemoryError as error:
        raise EngineError(f"the model in '{folder}' does not fit the memory of {place}") from error
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"the model in '{folder}' cannot be loaded: {reason}") from error
    local = LocalModel(model, _ends(folder, config), _memory(place, memory_share))
    _check_forward(model, local)
    return local


def _refuse_unfit(config: Any) -> None:
    text = config.get_text_config(decoder=True)
    kinds = set(getattr(text, "layer_types", None) or ()) - _LAYERS
    if getattr(config, "is_encoder_decoder", False) or kinds:
        what = ", ".join(sorted(kinds)) or "an encoder"
        raise UsageError(
            f"the local engine runs decoder-only attention models, and {config.model_type} has {what}: use --engine vllm"
        )


def _ends(folder: Path, config: Any) -> list[int]:
    """The end tokens: those of generation_config.json, else of config.json."""
    try:
        found = GenerationConfig.from_pretrained(folder).eos_token_id
    except OSError:
        found = None
    found = config.get_text_config(decoder=True).eos_token_id if found is None else found
    return [] if found is None else [found] if isinstance(found, int) else list(found)


def _memory(device: torch.device, share: float) -> int:
    """Bytes for keys and values, once the weights are in place."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return max(0, int(free - (1 - share) * total))
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"  # macOS knows only the latter
    return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE") // 2


@torch.inference_mode()
def _check_forward(model: Any, local: LocalModel) -> None:
    """Refuse an architecture that our cache or masks do not suit: a few tokens must score as they do without them."""
    ids = torch.arange(4, 12, device=local.device)[None] % local.vocabulary
    positions = torch.arange(ids.shape[1], device=local.device)[None]
    try:
        cache = RowCache(local.layers, 1, 32)
        local.forward(ids[:, :-1], cache, Place(positions[:, :-1], 32))
        ours = local.forward(ids[:, -1:], cache, Place(positions[:, -1:], 32)).float()
        model.set_attn_implementation("eager")
        plain = model(input_ids=ids, use_cache=False).logits[:, -1].float()
        model.set_attn_implementation(ATTENTION)
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UsageError(f"the local engine cannot run {model.config.model_type} models: use --engine vllm") from error
    tolerance = 1e-3 if local.dtype in {torch.float32, torch.float64} else 0.1
    if not torch.allclose(ours, plain, atol=tolerance * float(plain.abs().max()), rtol=tolerance):
        raise UsageError(f"the local engine does not compute {model.config.model_type} models rightly: use --engine vllm")
