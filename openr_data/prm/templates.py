"""The templates by name: our own, and those of published process reward models."""

from __future__ import annotations

from collections.abc import Mapping

from openr_data.errors import UsageError
from openr_data.prm.config import Template

_QWEN_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."

TEMPLATES: Mapping[str, Template] = {
    template.name: template
    for template in (
        Template("builtin", user="{question}\n", separator="\n"),
        Template("plain", user="{question}\n\n", separator="\n\n"),
        Template("chat", user="{question}", chat=True, separator="\n\n"),
        Template("lines", user="{question}", opened=True),
        Template("chat-lines", user="{question}", chat=True, opened=True),
        Template("math-shepherd", user="{question}", lead=" ", separator="\n", continued=True),
        Template("qwen", user="{question}", system=_QWEN_SYSTEM, chat=True),
        Template("rlhflow", user="{question}", chat=True, turns=True),
        Template("skywork", user="{question}\n", start=True),
        Template("openr", user="{question}", lead=" ", separator=" ", continued=True),
        Template("openr-published", user="{question}", lead=" ", continued=True),
        Template("trl", user="{question}", start=True),
    )
}
"""`builtin` writes as the built-in policy does. `lines` and `chat-lines` are for a line break as tag: a solution as a policy
writes it, with nothing added. `math-shepherd` is peiyi9979/math-shepherd-mistral-7b-prm, `qwen`
Qwen2.5-Math-PRM (arXiv 2501.07301), `rlhflow` Llama3.1-8B-PRM (RLHFlow), `skywork` Skywork-o1-Open-PRM. `openr` is Math-psa as
it was trained (a blank after each tag) and `openr-published` as its authors score it (none). `trl` is TRL's PRMTrainer.
"""


def template_of(name: str) -> Template:
    try:
        return TEMPLATES[name]
    except KeyError:
        raise UsageError(f"there is no PRM template '{name}'; choose one of: auto, {', '.join(TEMPLATES)}") from None
