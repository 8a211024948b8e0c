"""`prm_config.json`: what a process reward model is asked and where its answer is read, for training, scoring and serving."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from openr_data.errors import InputError

NAME = "prm_config.json"
VERSION = 1
IGNORE = -100.0
"""The target of a step that carries no loss."""

Head = Literal["causal", "token_classification", "value", "process_reward", "value_head", "likelihood"]
"""Where the answer comes from.

`causal`: the logits of + and - of the language model itself (Math-psa, Math-Shepherd, RLHFlow). `token_classification`: two
classes over the last hidden state, the good one second (TRL). `value`: one logit over the last hidden state, whose sigmoid is a
Monte Carlo value. `process_reward`: Linear, ReLU, Linear to two classes, the good one second (Qwen2.5-Math-PRM). `value_head`:
one logit from `v_head.summary` beside a language model (Skywork). `likelihood`: one logit from the least and the total
log-probability of the tokens of a step under the language model itself (ours).
"""
Kind = Literal["hard", "soft"]
AfterError = Literal["mask", "keep"]


@dataclass(frozen=True, slots=True)
class Template:
    r"""How question and steps are written.

    `user` holds `{question}` once. With `chat` the tokenizer's chat template wraps `system` and `user`, and the steps are the
    assistant's turn; without, `user` is the text before the first step. `step` holds `{step}` once, and the tag follows its last
    token; `lead` stands before the first step and `separator` between a tag and the next step. With `turns` each step is a user
    turn and its judgement the assistant's (RLHFlow): the first turn is `user`, a blank and the step.

    Every part is encoded alone. With `continued` a step is encoded together with its `lead` or `separator`, as the rest of a text
    and not as a text of its own: the tokens are those of an author who encoded the whole (Math-Shepherd, OpenR). With `start` the
    tokenizer's start token, where it has one, stands in front, also where the tokenizer would not put it (Skywork, TRL). With
    `opened` the tag also stands before the first step, so that tags alone tell the tokens of every step; it is then in no step.
    """

    name: str
    user: str
    system: str = ""
    chat: bool = False
    turns: bool = False
    step: str = "{step}"
    separator: str = ""
    lead: str = ""
    continued: bool = False
    start: bool = False
    opened: bool = False


@dataclass(frozen=True, slots=True)
class LabelReading:
    """How labels became targets. `hard`: 1 before the first error and 0 from it on, or for published counts: value > `threshold`.
    `soft`: the value itself. Steps after the first wrong one are masked, or kept (`after_error`).
    """

    kind: Kind = "hard"
    threshold: float = 0.0
    after_error: AfterError = "mask"


@dataclass(frozen=True, slots=True)
class PRMConfig:
    """Everything that fixes a score but the weights. Ids of -1 are not used by the head.

    The score of a step is read at the position of its tag plus `read_offset` (0: at the tag; -1: at the token before it, where a
    model was trained with the usual shift). `scale` and `shift` calibrate the logit difference (Platt): p = sigmoid(scale * d +
    shift). `context` is the longest sequence in tokens. `fingerprint` tells whether a tokenizer still encodes as in training
    (`encode.fingerprint`), and `base_digest` whether a base's weights are those an adapter was trained on; models of others have
    neither.
    """

    head: Head
    template: Template
    tag: str
    tag_id: int
    positive: str = ""
    positive_id: int = -1
    negative: str = ""
    negative_id: int = -1
    read_offset: int = 0
    context: int = 4096
    labels: LabelReading = field(default_factory=LabelReading)
    scale: float = 1.0
    shift: float = 0.0
    base_model: str = ""
    base_digest: str = ""
    fingerprint: str = ""
    version: int = VERSION

    def save(self, folder: Path) -> None:
        (folder / NAME).write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> PRMConfig:
        """Raises `InputError` in one sentence for a file that is missing, damaged or of another version."""
        path = folder / NAME
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{folder} holds no process reward model: there is no {NAME} in it") from None
        except (OSError, ValueError) as fault:
            raise InputError(f"{path} cannot be read: {fault}") from fault
        if not isinstance(found, dict) or found.get("version") != VERSION:
            raise InputError(f"{path} is not of version {VERSION}; it was written by another version of openr-data")
        return cls.of(found, path)

    @classmethod
    def of(cls, found: Mapping[str, Any], path: Path) -> PRMConfig:
        """From the values of a file, each of them checked."""
        try:
            parts = {"template": Template(**found["template"]), "labels": LabelReading(**found["labels"])}
            config = cls(**{**found, **parts})
        except (KeyError, TypeError) as fault:
            raise InputError(f"{path} is not what openr-data writes: {fault}") from fault
        wrong = [name for name, kinds in _TYPES.items() if not isinstance(getattr(config, name), kinds)]
        if wrong or config.head not in get_args(Head) or config.template.user.count("{question}") != 1:
            raise InputError(f"{path} is not what openr-data writes: look at {', '.join(wrong) or 'head and template'}")
        return config


_KINDS: Mapping[str, tuple[type, ...]] = {"int": (int,), "float": (int, float)}
_TYPES: Mapping[str, tuple[type, ...]] = {
    each.name: _KINDS.get(str(each.type), (str,))
    for each in fields(PRMConfig)
    if str(each.type) in {"int", "float", "str", "Head"}
}
