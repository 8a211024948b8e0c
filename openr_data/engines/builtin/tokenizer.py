"""The tokenizer of the built-in policy: digits one by one, the task's phrases whole, and bytes for everything else.

It is byte-level BPE without merges: a text is cut at the phrases, a phrase is one piece, and what lies between is one piece per
byte. Every UTF-8 text therefore comes back exactly. It adds no token of its own: a prompt continued verbatim is
encoded as the training texts were. Knows no model.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, BOS, EOS = "<pad>", "<s>", "</s>"
PAD_ID, BOS_ID, EOS_ID = 0, 1, 2
PAD_ID, BOS_ID, EOS_ID = 0, 1, 2
STEP_TAG = "<step>"
"""Marks the end of a step where a process reward model is asked for its judgement."""
LABELS = (" +", " -")
"""The judgements good and bad, each a single piece."""
CONTEXT = 512
"""Longest sequence in tokens. Twelve operations with several revisions stay under it."""

_STEPS = tuple(f"{lead}Step {number}: " for number in range(1, 17) for lead in ("", " "))
_PHRASES = (
    *_STEPS,
    *("Start with ", "add ", "subtract ", "multiply by ", "result ", "drop the last digit", "keep the last two digits"),
    *(" What is the result?", "wait, ", " + ", " - ", " * ", " // ", " % ", " = ", "The answer is ", "Check: ", "yes", "no"),
    *LABELS,
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer, built from the phrases alone."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {piece: index for index, piece in enumerate(_pieces())}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    longest_first = sorted(_PHRASES, key=len, reverse=True)
    pattern = Regex("|".join(re.escape(phrase) for phrase in longest_first))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        additional_special_tokens=[STEP_TAG],
        padding_side="left",
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def _pieces() -> list[str]:
    from tokenizers import pre_tokenizers

    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    phrases = [level.pre_tokenize_str(phrase)[0][0] for phrase in _PHRASES]
    return [PAD, BOS, EOS, STEP_TAG, *sorted(pre_tokenizers.ByteLevel.alphabet()), *phrases]


def save_tokenizer(folder: Path) -> None:
    """Write the tokenizer's files into a model folder, in the form that transformers 4, transformers 5 and vLLM all read."""
    build_tokenizer().save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings.pop("backend", None)
    settings.pop("extra_special_tokens", None)
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "additional_special_tokens": [STEP_TAG]}
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
