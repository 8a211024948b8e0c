"""The prompt that an engine would continue, without the engine: tokenizer and template only, for dry runs."""

from __future__ import annotations

from openr_data.engines.base import EngineSpec


def preview_prompt(spec: EngineSpec, question: str) -> str:
    """The exact first prompt; for a server whose chat template is not at hand, its messages one after the other."""
    if spec.engine == "scripted":
        from openr_data.engines.scripted import scripted_prompt

        return scripted_prompt(spec, question)
    if spec.engine == "openai":
        return _served(spec, question)
    from openr_data.engines.local import render_only

    return render_only(spec).prompt(question, ())


def _served(spec: EngineSpec, question: str) -> str:
    from openr_data.engines.openai_requests import Requests
    from openr_data.engines.remote_text import find_text_side, remote_template

    text = find_text_side(spec, (spec.model,))
    return Requests(spec.model, spec.api, remote_template(spec, text), text).prompt(question, ())
