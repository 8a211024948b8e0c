"""Tiny random models for the tests of the local engine, saved as a real folder of transformers."""
# ruff: noqa: S106  (special tokens are no passwords)

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors

PHRASES = ["Step 1: ", "Step 2: ", "The answer is ", " + ", " = ", "\n\n", " the", "wait, "]
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_tokenizer(**options: Any) -> Any:
    """Byte-level: any UTF-8 text, with a few phrases as whole tokens. A character outside ASCII is several tokens."""
    from transformers import PreTrainedTokenizerFast

    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    phrases = [level.pre_tokenize_str(phrase)[0][0] for phrase in PHRASES]
    special = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {piece: index for index, piece in enumerate([*special, *sorted(level.alphabet()), *phrases])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    pattern = Regex("|".join(sorted((phrase.replace("+", r"\+") for phrase in PHRASES), key=len, reverse=True)))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(pattern, "isolated"), level])
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        clean_up_tokenization_spaces=False,
        **options,
    )


def metaspace_tokenizer() -> Any:
    """Llama-2 style: words with a leading mark for the space, byte fallback, and a start token of its own."""
    from transformers import PreTrainedTokenizerFast

    words = ["▁the", "▁answer", "▁is", "▁", "4", "2", "=", "+", "s", "o", "a", ".", "\n"]
    table = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(i)) for i, piece in enumerate(table)], unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def save_llama(folder: Path, *, seed: int = 0, spread: float = 0.2, tokenizer: Any = None, **options: Any) -> Path:
    """A Llama with random weights. `spread` is the deviation of the weights: it decides how peaked the distributions are."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return _save(
        folder, LlamaConfig, LlamaForCausalLM, seed, tokenizer or byte_tokenizer(), {"initializer_range": spread, **options}
    )


def save_qwen2(folder: Path, *, seed: int = 0, spread: float = 0.2, **options: Any) -> Path:
    """A Qwen2 (grouped key heads, biases) whose tokenizer has a chat template."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    settings = {"num_key_value_heads": 2, "initializer_range": spread, **options}
    return _save(folder, Qwen2Config, Qwen2ForCausalLM, seed, byte_tokenizer(chat_template=CHAT_TEMPLATE), settings)


def save_mistral(folder: Path, **options: Any) -> Path:
    """A Mistral with a sliding window."""
    from transformers import MistralConfig, MistralForCausalLM

    settings = {"num_key_value_heads": 2, "initializer_range": 0.2, "head_dim": 16, **options}
    return _save(folder, MistralConfig, MistralForCausalLM, 0, byte_tokenizer(), settings)


def save_gemma2(folder: Path, **options: Any) -> Path:
    """A Gemma 2: layers with and without a window in turn, and capped scores."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    settings = {"num_key_value_heads": 2, "initializer_range": 0.2, "head_dim": 16, "query_pre_attn_scalar": 16, **options}
    return _save(folder, Gemma2Config, Gemma2ForCausalLM, 0, byte_tokenizer(), settings)


def save_gpt_oss(folder: Path, **options: Any) -> Path:
    """A GPT-OSS: attention sinks, a mixture of experts, windows in turn."""
    from transformers import GptOssConfig, GptOssForCausalLM

    settings = {"num_key_value_heads": 2, "initializer_range": 0.2, "head_dim": 16, "num_local_experts": 4, "pad_token_id": 0}
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    return _save(folder, GptOssConfig, GptOssForCausalLM, 0, byte_tokenizer(), {**settings, "rope_parameters": rope, **options})


def _save(folder: Path, config: Any, model: Any, seed: int, tokenizer: Any, options: dict[str, Any]) -> Path:
    import torch

    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": None,
        **options,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = model(config(**settings))
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
