"""Named prompt templates: how a question and the steps so far become the text that a model continues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from openr_data.errors import UsageError
from openr_data.steps import StepFormat
from openr_data.types import Steps

Message = dict[str, str]
ChatRenderer = Callable[[list[Message]], str]
"""Renders messages with the tokenizer's chat template, up to and including the start of the assistant's turn."""


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """`user` holds `{question}` once. A chat template is rendered by the tokenizer and the prefix appended verbatim.

    `separator` stands between steps; `stop` are strings that end a completion (the model's own end always does).
    """

    name: str
    user: str
    separator: str
    system: str = ""
    chat: bool = False
    stop: tuple[str, ...] = ()

    @property
    def steps(self) -> StepFormat:
        return StepFormat(self.separator)

    def messages(self, question: str) -> list[Message]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": self.user.replace("{question}", question)}]

    def render(self, question: str, prefix: Steps, chat: ChatRenderer | None = None) -> str:
        """The text to continue. `chat` is needed by chat templates only."""
        if not self.chat:
            return self.user.replace("{question}", question) + self.steps.open(prefix)
        if chat is None:
            raise UsageError(f"the template '{self.name}' needs a model with a chat template; use --template plain")
        return chat(self.messages(question)) + self.steps.open(prefix)


_BOXED = "Please reason step by step, separate the steps by blank lines, and put your final answer within \\boxed{}."

TEMPLATES: Mapping[str, PromptTemplate] = {
    template.name: template
    for template in (
        PromptTemplate("builtin", user="{question}\n", separator="\n"),
        PromptTemplate(
            "plain",
            user="Question: {question}\n\nAnswer: Let's think step by step, and end with 'The answer is' and the result.\n\n",
            separator="\n\n",
            stop=("\n\nQuestion:",),
        ),
        PromptTemplate("bare", user="{question}", separator="\n\n", chat=True),
        PromptTemplate("boxed", user="{question}", system=_BOXED, separator="\n\n", chat=True),
        PromptTemplate("boxed-user", user="{question}\n\n" + _BOXED, separator="\n\n", chat=True),
    )
}
"""`boxed` puts the instruction in the system turn (Qwen2.5-Math style); `boxed-user` suits models without a system role; `bare`
says nothing but the question, for one that says itself what to do (a judge's)."""


def resolve_template(name: str, *, auto: str, separator: str | None = None) -> PromptTemplate:
    """The template of that name; `auto` stands for the engine's own choice, `separator` replaces the template's.

    >>> resolve_template("auto", auto="plain").name
    'plain'
    """
    try:
        template = TEMPLATES[auto if name == "auto" else name]
    except KeyError:
        raise UsageError(f"there is no prompt template '{name}'; choose one of: auto, {', '.join(TEMPLATES)}") from None
    return template if separator is None else replace(template, separator=separator)
