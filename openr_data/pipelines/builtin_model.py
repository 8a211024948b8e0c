"""The built-in policy as a model: made fresh, prepared for training or sampling, and written to a folder. Knows no task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from openr_data.engines.builtin.tokenizer import BOS_ID, CONTEXT, EOS_ID, PAD_ID, save_tokenizer
from openr_data.pipelines import builtin_attention
from openr_data.pipelines.builtin_config import BuiltinTraining

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


def build_model(config: BuiltinTraining, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A freshly initialised Llama with tied embeddings; the vocabulary is padded to a multiple of 64."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(config.seed)
    settings = LlamaConfig(
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=config.hidden,
        intermediate_size=config.intermediate,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        tie_word_embeddings=True,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        pad_token_id=PAD_ID,
    )
    model = LlamaForCausalLM(settings)
    torch.nn.Module.to(model, config.device)  # the method of transformers is typed as a plain function
    use_attention(model, training=True)
    return model


def use_attention(model: LlamaForCausalLM, *, training: bool) -> None:
    """On a CPU, training has its own attention; everything else, and CUDA, uses the fused kernels."""
    builtin_attention.register()
    own = training and model.device.type == "cpu"
    model.set_attn_implementation(builtin_attention.NAME if own else "sdpa")


def save_model(model: LlamaForCausalLM, folder: Path) -> None:
    """Configuration, bfloat16 weights (the tied output layer left out) and tokenizer, as any Llama is stored."""
    from copy import deepcopy

    from safetensors.torch import save_file
    from transformers import GenerationConfig

    folder.mkdir(parents=True, exist_ok=True)
    config = deepcopy(model.config)
    config.architectures, config.dtype = ["LlamaForCausalLM"], torch.bfloat16
    config.save_pretrained(folder)
    tokens = {name: getattr(config, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    GenerationConfig(do_sample=True, temperature=1.0, **tokens).save_pretrained(folder)
    weights = {name: value.to("cpu", torch.bfloat16) for name, value in model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    save_tokenizer(folder)
