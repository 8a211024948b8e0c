"""How a question is searched, and the process reward model that guides it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from openr_data.cli.options.shared import option
from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.prm.score.base import ScorerSpec
    from openr_data.search.config import SearchConfig

_SEARCH, _MCTS, _OTHER, _PRM = "Search", "Search: MCTS", "Search: revision and forcing", "Process reward model"


def _number(flag: str, help: str, panel: str = _SEARCH, **more: Any) -> Any:  # noqa: A002
    return option(flag, help, panel, **more)


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """The fold into a configuration checks everything; a budget and a strategy are said by the command."""

    width: Annotated[int, _number("--width", "Continuations of a prefix (beam, dvts, mcts).", min=1)] = 4
    depth: Annotated[int, _number("--depth", "Most steps of a solution.", min=1)] = 64
    step_tokens: Annotated[int, _number("--step-tokens", "Most tokens of a step (0: as the solution).", min=0)] = 0
    rank_by: Annotated[str, _number("--rank-by", "How scores of a prefix are aggregated: min, last, product or mean.")] = "min"
    refill: Annotated[
        str, _number("--refill", "Places of finished beams: none (fewer samples) or copy (as many from the others).")
    ] = "none"
    max_question_tokens: Annotated[
        int, _number("--max-question-tokens", "Cap on the generated tokens of a question (0: none).", min=0)
    ] = 0
    force_answer: Annotated[
        bool, _number("--force-answer", "A solution that is cut gets the cue, and answers from there (budget forcing).")
    ] = False
    cue: Annotated[
        str, _number("--cue", "Words before a forced answer; \\n is a line end.", show_default="'\\n Therefore the answer is '")
    ] = ""
    answer_tokens: Annotated[int, _number("--answer-tokens", "Most tokens of a forced answer.", min=1)] = 32
    formula: Annotated[str, _number("--formula", "puct or uct.", _MCTS)] = "puct"
    backup: Annotated[str, _number("--backup", "Values are backed up as their mean or max.", _MCTS)] = "mean"
    c_base: Annotated[float, _number("--c-base", "Of PUCT.", _MCTS)] = 19652.0
    c_init: Annotated[float, _number("--c-init", "Of PUCT.", _MCTS)] = 1.25
    c_uct: Annotated[float, _number("--c-uct", "Of UCT.", _MCTS)] = 2.0
    noise: Annotated[float, _number("--noise", "Share of Dirichlet noise at the root (for data).", _MCTS)] = 0.0
    chains: Annotated[int, _number("--chains", "Chains of attempts (0: about the square root).", _OTHER, min=0)] = 0
    shown: Annotated[int, _number("--shown", "Earlier attempts that an attempt is shown.", _OTHER, min=1)] = 4
    think_end: Annotated[str, _number("--think-end", "The mark that ends thinking, such as </think>.", _OTHER)] = ""
    min_think: Annotated[int, _number("--min-think", "Thinking that ends before goes on behind --wait.", _OTHER, min=0)] = 0
    wait: Annotated[str, _number("--wait", "What thinking that ended too early goes on with.", _OTHER)] = "Wait"
    waits: Annotated[int, _number("--waits", "How often at most.", _OTHER, min=0)] = 1

    def config(self, strategy: str = "best_of_n", n: int = 16) -> SearchConfig:
        from openr_data.search.config import CUE, SearchConfig

        return SearchConfig(
            strategy=strategy,
            n=1 if strategy == "greedy" else n,
            width=self.width,
            depth=self.depth,
            step_tokens=self.step_tokens,
            rank=self.rank_by,
            refill=self.refill,  # type: ignore[arg-type]  # `checked` says what is wrong with it
            cap=self.max_question_tokens,
            force=self.force_answer,
            cue=self.cue.replace("\\n", "\n") or CUE,
            answer_tokens=self.answer_tokens,
            formula=self.formula,  # type: ignore[arg-type]
            backup=self.backup,  # type: ignore[arg-type]
            c_base=self.c_base,
            c_init=self.c_init,
            c_uct=self.c_uct,
            noise=self.noise,
            chains=self.chains,
            shown=self.shown,
            think_end=self.think_end,
            min_tokens=self.min_think,
            wait=self.wait,
            waits=self.waits,
        )


@dataclass(frozen=True, slots=True)
class PrmOptions:
    """The model that scores steps, and where it runs."""

    prm: Annotated[str, _number("--prm", "Folder, Hub name, or builtin for the built-in model's own.", _PRM)] = ""
    prm_backend: Annotated[str, _number("--prm-backend", "transformers, vllm or http.", _PRM)] = "transformers"
    prm_url: Annotated[str, _number("--prm-url", "Address of a vLLM server (backend http).", _PRM)] = ""
    prm_revision: Annotated[str, _number("--prm-revision", "Branch, tag or commit on the Hub.", _PRM)] = ""
    prm_style: Annotated[str, _number("--prm-style", "How a model of others is asked.", _PRM)] = ""
    prm_device: Annotated[str, _number("--prm-device", "auto, cpu or cuda.", _PRM)] = "auto"
    prm_dtype: Annotated[str, _number("--prm-dtype", "auto, float32, bfloat16 or float16.", _PRM)] = "auto"
    prm_batch_tokens: Annotated[int, _number("--prm-batch-tokens", "Of a forward pass (0: as suits).", _PRM, min=0)] = 0

    def spec(self) -> ScorerSpec | None:
        """`None` where no model is named. Raises `UsageError` for options without one."""
        from openr_data.prm.score.base import ScorerSpec

        if not self.prm:
            if self != PrmOptions():
                raise UsageError("the --prm-... options say how a model runs: name it with --prm")
            return None
        return ScorerSpec(
            self.prm,
            backend="http" if self.prm_url else self.prm_backend,
            revision=self.prm_revision,
            base_url=self.prm_url,
            device=self.prm_device,
            dtype=self.prm_dtype,
            batch_tokens=self.prm_batch_tokens,
            style=self.prm_style,
        )
