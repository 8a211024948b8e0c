"""The prompt that an engine would continue, without the engine: tokenizer and template only, for dry runs."""

from __future__ import annotations

from openr_data.engines.base import EngineSpec
from openr_data.engines.prompts import PromptTemplate, resolve_template
from openr_data.errors import EngineError, UsageError


def preview_prompt(spec: EngineSpec, question: str) -> str:
    """The exact first prompt; for a server whose chat template is not at hand, its messages one after the other."""
    if spec.engine == "scripted":
        return resolve_template(spec.template, auto="builtin", separator=spec.separator).render(question, ())
    if spec.engine == "openai":
        return _served(spec, question)
    from openr_data.engines.local import render_only

    return render_only(spec).prompt(question, ())


def _served(spec: EngineSpec, question: str) -> str:
    template = resolve_template(spec.template, auto="boxed" if spec.api == "chat" else "plain", separator=spec.separator)
    if spec.api == "chat":
        return transcript(template, question)
    from openr_data.engines.local import render_only

    try:
        return render_only(spec).prompt(question, ())
    except (EngineError, UsageError):  # a name that only the server knows: the engine then takes the plain template as well
        return transcript(template, question) if template.chat else template.render(question, ())


def transcript(template: PromptTemplate, question: str) -> str:
    return "\n".join(f"[{message['role']}] {message['content']}" for message in template.messages(question))
