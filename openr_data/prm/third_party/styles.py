"""How the makers of published process reward models ask them: the text, the tag, the tokens of the answer, where it is read.

Each style is the published code of its authors, named beside it, and a test scores as that code does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from openr_data.prm.config import Head


@dataclass(frozen=True, slots=True)
class Style:
    """`template` is a name of `prm.templates`. `positive` and `negative` are the texts of the two answers of a causal model.

    `architectures` is how `config.json` names the models, or how those names end.
    """

    name: str
    head: Head
    template: str
    tag: str
    architectures: tuple[str, ...]
    positive: str = ""
    negative: str = ""
    read_offset: int = 0

    def fits(self, architecture: str) -> bool:
        return architecture.endswith(self.architectures)


_CAUSAL = ("ForCausalLM", "LMHeadModel")
_CLASSES = ("ForTokenClassification",)

STYLES: Mapping[str, Style] = {
    style.name: style
    for style in (
        # Model card of peiyi9979/math-shepherd-mistral-7b-prm; openreasoner/openr prm/infer_fns.py `_math_shepherd_infer_fn`.
        Style("math-shepherd", "causal", "math-shepherd", " ки", _CAUSAL, "+", "-"),
        # RLHFlow/RLHF-Reward-Modeling math-rm/prm_evaluate.py: the logits before the + of the assistant's turn.
        Style("rlhflow", "causal", "rlhflow", "+", _CAUSAL, "+", "-", read_offset=-1),
        # openreasoner/openr prm/code/finetune_qwen.py: labels at the tag and the usual shift, so the token before it is trained.
        Style("openr", "causal", "openr", " \n\n\n\n\n", _CAUSAL, " +", " -", read_offset=-1),
        # The same models as their authors score them: prm/infer_fns.py `_qwen_math_infer_fn`, reason/inference/rm_call.py.
        Style("openr-published", "causal", "openr-published", " \n\n\n\n\n", _CAUSAL, " +", " -"),
        # Model card of Qwen/Qwen2.5-Math-PRM-7B: `make_step_rewards`.
        Style("qwen", "process_reward", "qwen", "<extra_0>", ("Qwen2ForProcessRewardModel",)),
        # SkyworkAI/skywork-o1-prm-inference: `prepare_input`, `derive_step_rewards`.
        Style("skywork", "value_head", "skywork", "\n", ("Qwen2ForPrmModel", *_CAUSAL)),
        # trl/experimental/prm (to 1.13): `tokenize_row`; the separator of training is in no file of the model.
        Style("trl", "token_classification", "trl", "\n", _CLASSES),
        Style("trl-blank-line", "token_classification", "trl", "\n\n", _CLASSES),
    )
}
"""`trl` separates steps by a line break (TRL's default), `trl-blank-line` by two (the models of HuggingFaceH4)."""

KNOWN: Mapping[str, str] = {
    "peiyi9979/math-shepherd-mistral-7b-prm": "math-shepherd",
    "OpenRLHF/Mistral-7b-PRM-Math-Shepherd": "math-shepherd",
    "RLHFlow/Llama3.1-8B-PRM-Deepseek-Data": "rlhflow",
    "RLHFlow/Llama3.1-8B-PRM-Mistral-Data": "rlhflow",
    "openreasoner/Math-psa": "openr",
    "HuggingFaceH4/Qwen2.5-Math-1.5B-Instruct-PRM-0.2": "trl-blank-line",
    "HuggingFaceH4/Qwen2.5-Math-7B-Instruct-PRM-0.2": "trl-blank-line",
}
"""Models of the Hub whose files alone do not tell."""
