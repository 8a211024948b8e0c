"""Tiny random models of every family, each with a small tokenizer of its class and rules, trained here on a few lines."""
# ruff: noqa: S106  (special tokens are no passwords)

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

CORPUS = [
    "We have 3 + 4 = 7.\n\nThe answer is 7.\n\nSo 12 - 5 = 7.\n\nIt is (3)+(4).\n\n" * 4,
    "Let x be the answer. The sum is 1 + 2 - 3 = 0.\n\nStep 1: add. Step 2: add the rest.\n\n",
]
_LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3_CHAT = (
    "{{ bos_token }}{% set today = date_string if date_string is defined else strftime_now('%d %b %Y') %}"
    "<|start_header_id|>system<|end_header_id|>\n\nToday Date: {{ today }} {{ strftime_now('%d') }}<|eot_id|>"
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] | trim }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
MISTRAL_CHAT = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }}[/INST]"
    "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
GEMMA_CHAT = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def bytes_bpe(pattern: str, special: list[str]) -> tuple[dict[str, int], Any]:
    """Vocabulary and merges of a byte-level BPE, `.\\n\\n` and ` +` among them."""
    tokenizer = Tokenizer(models.BPE())
    cut = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return _trained(tokenizer, special, pre_tokenizers.ByteLevel.alphabet())


def pieces_bpe(special: list[str]) -> tuple[dict[str, int], Any]:
    """Vocabulary and merges in the manner of sentencepiece: blanks are `▁`, and any byte is a piece."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    return _trained(tokenizer, [*special, *(f"<0x{byte:02X}>" for byte in range(256))], list("▁+-"))


def _trained(tokenizer: Any, special: list[str], alphabet: list[str]) -> tuple[dict[str, int], Any]:
    trainer: Any = trainers.BpeTrainer(
        vocab_size=len(special) + 400, special_tokens=special, initial_alphabet=alphabet, show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def qwen(tag: str = "<|quad_end|>") -> Any:
    from transformers import Qwen2Tokenizer

    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *([tag] if tag else [])]
    vocabulary, merges = bytes_bpe(pattern, special)
    return Qwen2Tokenizer(vocab=vocabulary, merges=merges, extra_special_tokens=special[1:], chat_template=CHATML)


def llama3() -> Any:
    """Its control tokens are known as such to the tokenizer's file alone, as in the published one."""
    from transformers import PreTrainedTokenizerFast

    headers = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", *headers]
    vocabulary, merges = bytes_bpe(_LLAMA3, special)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    cut = pre_tokenizers.Split(Regex(_LLAMA3), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    start = [("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))]
    tokenizer.post_processor = processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=start)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|begin_of_text|>", eos_token="<|end_of_text|>", chat_template=LLAMA3_CHAT
    )


def mistral() -> Any:
    """No control token to spare: the tag is a new one."""
    from transformers import LlamaTokenizer

    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    vocabulary, merges = pieces_bpe(special)
    return LlamaTokenizer(
        vocab=vocabulary, merges=merges, extra_special_tokens=special[3:], add_bos_token=True, chat_template=MISTRAL_CHAT
    )


def gemma() -> Any:
    from transformers import GemmaTokenizer

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<unused0>", "<start_of_turn>", "<end_of_turn>"]
    vocabulary, merges = pieces_bpe(special)
    return GemmaTokenizer(
        vocab=vocabulary, merges=merges, extra_special_tokens=special[5:], add_bos_token=True, chat_template=GEMMA_CHAT
    )


@dataclass(frozen=True)
class Family:
    """`model` is the class name of transformers before `Config` and `ForCausalLM`."""

    model: str
    tokenizer: Callable[[], Any]
    tag: str
    options: Mapping[str, Any]
    config: str = ""


FAMILIES: Mapping[str, Family] = {
    "llama": Family("Llama", llama3, "<|reserved_special_token_0|>", {}),
    "qwen2": Family("Qwen2", qwen, "<|quad_end|>", {"tie_word_embeddings": True}),
    "qwen3": Family("Qwen3", qwen, "<|quad_end|>", {"head_dim": 8}),
    "mistral": Family("Mistral", mistral, "<step>", {"sliding_window": 24, "head_dim": 8}),
    "gemma": Family("Gemma", gemma, "<unused0>", {"head_dim": 8, "tie_word_embeddings": True}),
    "gemma2": Family(
        "Gemma2",
        gemma,
        "<unused0>",
        {
            "head_dim": 8,
            "tie_word_embeddings": True,
            "query_pre_attn_scalar": 8,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 3.0,
            "sliding_window": 24,
        },
    ),
    "gemma3": Family(
        "Gemma3",
        gemma,
        "<unused0>",
        {"head_dim": 8, "tie_word_embeddings": True, "query_pre_attn_scalar": 8, "sliding_window": 24},
        config="Gemma3TextConfig",
    ),
}


@cache
def tokenizer_of(family: str) -> Any:
    return FAMILIES[family].tokenizer()


def save_family(folder: Path, family: str, *, tokenizer: Any = None, **options: Any) -> Path:
    """The base model as its makers would publish it. Two layers of 16; weights wide enough for scores that differ."""
    import torch
    import transformers

    chosen, tokenizer = FAMILIES[family], tokenizer or tokenizer_of(family)
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 512,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": None,
        **chosen.options,
        **options,
    }
    config = getattr(transformers, chosen.config or f"{chosen.model}Config")(**settings)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = getattr(transformers, f"{chosen.model}ForCausalLM")(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
