"""Tiny models in the layouts of published process reward models: the files, names and tokenizers that their authors have."""
# ruff: noqa: S106  (special tokens are no passwords)

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForTokenClassification,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

QUESTION = "What is (3 + 4) - 1?"
STEPS = ("Step 1: 3 + 4 = 7.", "Step 2: 7 - 1 = 6.\nSo it is 6.", "The answer is 6")
TAG = " \n\n\n\n\n"
QWEN_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3_CHAT = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
QWEN_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_level(special: Sequence[str], *, start: str | None = None, chat: str | None = None) -> Any:
    """Bytes cut into words as Qwen2.5 does, with the tokens that OpenR, RLHFlow, Skywork and TRL need, and some words."""
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    pairs = [("Ċ", "Ċ"), ("ĊĊ", "ĊĊ"), ("ĊĊĊĊ", "Ċ"), ("Ġ", "ĊĊĊĊĊ"), ("Ġ", "+"), ("Ġ", "-"), (".", "Ċ")]
    pairs += [("S", "t"), ("St", "e"), ("Ste", "p"), ("Ġ", "Step")]
    table = [*sorted(level.alphabet()), *dict.fromkeys(left + right for left, right in pairs)]
    tokenizer = Tokenizer(models.BPE({piece: number for number, piece in enumerate(table)}, pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN_WORDS), "isolated"), level])
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=start, eos_token=special[0], extra_special_tokens=list(special), chat_template=chat
    )


def sentence_pieces() -> Any:
    """Mistral's kind: words begin with a mark for the blank, also the first of a text; byte fallback; a start token."""
    pairs = [("▁", "▁"), ("S", "t"), ("St", "e"), ("Ste", "p"), ("▁", "Step"), ("к", "и"), ("▁", "ки"), ("▁", "+"), ("▁", "-")]
    characters = sorted({*"▁ки", *(chr(code) for code in range(33, 127))})
    table = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *characters]
    table += [left + right for left, right in pairs]
    vocabulary = {piece: number for number, piece in enumerate(table)}
    tokenizer = Tokenizer(models.BPE(vocabulary, pairs, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def math_shepherd(folder: Path) -> Path:
    return _saved(folder, LlamaForCausalLM, LlamaConfig, sentence_pieces())


def rlhflow(folder: Path) -> Path:
    special = ("<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>")
    tokenizer = byte_level(special, start="<|begin_of_text|>", chat=LLAMA3_CHAT)
    return _saved(folder, LlamaForCausalLM, LlamaConfig, tokenizer)


def openr(folder: Path) -> Path:
    return _saved(folder, Qwen2ForCausalLM, Qwen2Config, byte_level(("<|endoftext|>",)))


def trl(folder: Path, **options: Any) -> Path:
    tokenizer = byte_level(("<|endoftext|>",), start="<|startoftext|>")
    return _saved(folder, LlamaForTokenClassification, LlamaConfig, tokenizer, **options)


def qwen(folder: Path) -> Path:
    """`score.0` and `score.2` beside `model`, and `lm_head` as well: so the published weights are."""
    tokenizer = byte_level(("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>"), chat=QWEN_CHAT)
    _saved(folder, Qwen2ForCausalLM, Qwen2Config, tokenizer)
    head = {"score.0.weight": (32, 32), "score.0.bias": (32,), "score.2.weight": (2, 32), "score.2.bias": (2,)}
    return _with_head(folder, "Qwen2ForProcessRewardModel", head)


def skywork(folder: Path) -> Path:
    _saved(folder, Qwen2ForCausalLM, Qwen2Config, byte_level(("<|im_end|>",), start="<|endoftext|>"))
    return _with_head(folder, "Qwen2ForPrmModel", {"v_head.summary.weight": (1, 32), "v_head.summary.bias": (1,)})


def _saved(folder: Path, model: Any, config: Any, tokenizer: Any, **options: Any) -> Path:
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": None,
        **options,
    }
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model(config(**settings)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _with_head(folder: Path, architecture: str, head: dict[str, tuple[int, ...]]) -> Path:
    random = torch.Generator().manual_seed(7)
    weights = load_file(folder / "model.safetensors")
    weights |= {name: 0.3 * torch.randn(shape, generator=random) for name, shape in head.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "architectures": [architecture]}))
    return folder
