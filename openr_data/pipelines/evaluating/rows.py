"""What a search found, as rows of the declared tables."""

from __future__ import annotations

from collections.abc import Sequence

from openr_data.pipelines.evaluating.config import search_name
from openr_data.pipelines.evaluating.judging import Judged
from openr_data.search.base import Found
from openr_data.search.config import SearchConfig
from openr_data.search.tree import Node
from openr_data.store.codecs import problem_row, storable, verdict_fields
from openr_data.store.frames import Row
from openr_data.types import Problem

TABLES = ("candidates", "searches", "branches", "problems")


def search_tables(problem: Problem, searches: Sequence[tuple[SearchConfig, Found, Sequence[Judged]]]) -> dict[str, list[Row]]:
    """The rows of one question."""
    return {
        "candidates": [
            _candidate(problem, config, number, each) for config, _, judged in searches for number, each in enumerate(judged)
        ],
        "searches": [_search(problem, config, found) for config, found, _ in searches],
        "branches": [
            _branch(problem, config, number, node) for config, found, _ in searches for number, node in enumerate(found.tree)
        ],
        "problems": [problem_row(problem)],
    }


def _search(problem: Problem, config: SearchConfig, found: Found) -> Row:
    bill = found.bill
    return storable(
        {
            "problem_id": problem.id,
            "search": search_name(config),
            "strategy": config.strategy,
            "n": config.n,
            "generated": bill.generated,
            "discarded": bill.discarded,
            "forced": bill.forced,
            "prm_tokens": bill.prm,
            "summary_tokens": bill.summary,
            "requests": bill.requests,
            "lost": found.lost,
            "stopped": found.stopped,
        }
    )


def _candidate(problem: Problem, config: SearchConfig, number: int, judged: Judged) -> Row:
    path = judged.path
    return storable(
        {
            "problem_id": problem.id,
            "search": search_name(config),
            "candidate": number,
            "chain": path.chain,
            "steps": list(path.steps),
            "margins": list(path.margins),
            "unscored": path.unscored,
            "answer": judged.answer,
            **verdict_fields(judged.verdict),
            "end": path.end,
            "node": path.node,
            "tokens": path.tokens,
            "logprob": path.logprob,
            "forced_text": path.forced,
            "summary": path.summary,
        }
    )


def _branch(problem: Problem, config: SearchConfig, number: int, node: Node) -> Row:
    return storable(
        {
            "problem_id": problem.id,
            "search": search_name(config),
            "node": number,
            "parent": node.parent,
            "steps": list(node.steps),
            "end": node.end,
            "tokens": node.tokens,
            "spent": node.spent,
            "copies": node.copies,
            "logprob": node.logprob,
            "margin": node.margin,
            "visits": node.visits,
            "value": node.value,
            "prior": node.prior,
        }
    )
