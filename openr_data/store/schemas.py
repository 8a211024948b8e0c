"""The tables of a run: their columns, types and meaning. Knows Arrow types; how values become rows is in `codecs`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 2
"""Grows whenever a table changes in a way that an older reader would misread."""


@dataclass(frozen=True, slots=True)
class Column:
    """`dtype` is the name of the type in Arrow and in the `datasets` library alike; `is_list`: a list of it."""

    name: str
    dtype: str
    doc: str
    is_list: bool = False
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class TableSpec:
    name: str
    doc: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


_ITEM = Column("item", "int64", "Position of the problem in the input, from 0; the same in every table.")
_PROBLEM = Column("problem_id", "string", "The problem this record belongs to.")
_LOSSY = Column("lossy", "bool", "True where a text held a lone surrogate, which is stored as U+FFFD.")
_DRAWN = (
    Column("sampler", "string", "Who wrote the solution."),
    Column("finish_reason", "string", "`stop`: ended by itself; `length`: cut; `error`: the engine gave up on it."),
    Column("index", "int64", "Sample index within its request."),
    Column("seed", "int64", "Seed the sample was drawn with."),
    Column("tokens", "int64", "Generated tokens; 0 where unknown."),
)
_SEARCH = Column("search", "string", "Which search: the strategy and its budget.")
_LOGPROB = Column("logprob", "float64", "Sum of the token log-probabilities, where the engine gives it.", nullable=True)
_GRADED = (
    Column("verdict", "string", "Grade of the final answer: right, wrong or unknown (neither, and never counted as wrong)."),
    Column("verdict_reason", "string", "Why the grader says so, as a short code."),
    Column("extracted", "string", "The answer the grader found in the text.", nullable=True),
)

_SPECS = (
    TableSpec(
        "problems",
        "The questions, in input order.",
        (
            _ITEM,
            Column("problem_id", "string", "Unique within a source."),
            Column("question", "string", "The question as it was asked."),
            Column("answer", "string", "The reference answer, where there is one. No policy of ours is shown it."),
            Column("source", "string", "Where the problem comes from."),
            Column("difficulty", "string", "Level in its source, where it has one."),
            Column("metadata", "string", "Further fields of the source: a JSON object of strings."),
            Column("skipped", "string", "Empty, or why the labeler dropped the problem."),
            _LOSSY,
        ),
    ),
    TableSpec(
        "solutions",
        "Sampled solutions with the grade of their answer; no step labels.",
        (
            _ITEM,
            _PROBLEM,
            Column("solution_id", "string", "Unique within the run."),
            Column("steps", "string", "The solution, step by step.", is_list=True),
            *_GRADED,
            *_DRAWN,
            _LOSSY,
        ),
    ),
    TableSpec(
        "labeled",
        "Solutions with a label per step: counts where they were measured, and readings of them.",
        (
            _ITEM,
            _PROBLEM,
            Column("solution_id", "string", "Unique within the run."),
            Column("question", "string", "The question as it was asked."),
            Column("answer", "string", "The reference answer."),
            Column("steps", "string", "The solution, step by step.", is_list=True),
            Column("first_error", "int32", "Index of the first wrong step; -1: none; null: not decided.", nullable=True),
            Column(
                "hits", "int32", "Right answers among `rollouts`, per step; not those of repairs that are ignored.", is_list=True
            ),
            Column(
                "rollouts", "int32", "Decided rollouts from or through the prefix ending here; null: not measured.", is_list=True
            ),
            Column(
                "hard",
                "bool",
                "Reading: stands before the first error (or its published label); null: not known.",
                is_list=True,
            ),
            Column("mc", "float64", "Reading: what `estimator` makes of the step; null: none.", is_list=True),
            Column(
                "estimator",
                "string",
                "What `mc` is: a success probability, or one of scan, progress, entropy, advantage, label, rating, value.",
                is_list=True,
            ),
            Column("good", "float64", "Probability that this step stands before the first error; null: none.", is_list=True),
            Column("confidence", "float64", "Probability of `first_error`; null where the method has none.", nullable=True),
            Column("method", "string", "The labeling method."),
            Column("reason", "string", "The evidence for `first_error`, or why it is not decided."),
            Column("notes", "string", "What else the method has to say: a JSON object of strings."),
            Column("origin", "string", "`given`: an input solution; `rollout`: sampled by the labeler itself."),
            Column("cost_rollouts", "int64", "Rollouts begun inside this solution and not counted before; not the question's."),
            Column("cost_tokens", "int64", "Tokens of these rollouts; those of a judge stand in `notes`."),
            *_GRADED,
            *_DRAWN,
            _LOSSY,
        ),
    ),
    TableSpec(
        "nodes",
        "Measured prefixes: the states of the search. The empty prefix is the root.",
        (
            _ITEM,
            _PROBLEM,
            Column("node_id", "string", "Unique within the run."),
            Column("parent", "string", "Node of the longest measured proper prefix; empty for the root."),
            Column("depth", "int32", "Number of steps in the prefix."),
            Column("prefix", "string", "The steps so far.", is_list=True),
            Column("hits", "int32", "Rollouts that ended in the right answer, also those that took a step back."),
            Column("decided", "int32", "Rollouts that were graded right or wrong."),
            Column("unknown", "int32", "Rollouts that could not be decided."),
            Column("visits", "int32", "N(s) of OmegaPRM (arXiv 2406.06592)."),
            _LOSSY,
        ),
    ),
    TableSpec(
        "rollouts",
        "Every continuation that was sampled from a measured prefix.",
        (
            _ITEM,
            _PROBLEM,
            Column("node_id", "string", "The prefix it continues."),
            Column("text", "string", "What was generated, starting right after the prefix."),
            *_GRADED,
            *(column for column in _DRAWN if column.name != "sampler"),
            _LOGPROB,
            _LOSSY,
        ),
    ),
    TableSpec(
        "searches",
        "What each search of a question cost.",
        (
            _ITEM,
            _PROBLEM,
            _SEARCH,
            Column("strategy", "string", "greedy, best_of_n, beam, dvts, mcts, revision or forcing."),
            Column("n", "int32", "The budget in the strategy's own unit: samples, continuations a step, walks, attempts."),
            Column("generated", "int64", "Tokens that the policy generated for it, as its engine counts them."),
            Column("discarded", "int64", "Those of them that are in no candidate: pruned branches, copies, lost samples."),
            Column("forced", "int64", "Those of them that follow words which were put into a solution."),
            Column("prm_tokens", "int64", "Tokens that the process reward model read."),
            Column("summary_tokens", "int64", "Tokens that the summariser generated."),
            Column("requests", "int64", "Samples that were asked of the policy."),
            Column("lost", "int64", "Samples that the engine gave up on."),
            Column("stopped", "string", "`budget` where the token cap ended the search; empty otherwise."),
            _LOSSY,
        ),
    ),
    TableSpec(
        "candidates",
        "The solutions that each search found, with the scores of their steps and the grade of their answer.",
        (
            _ITEM,
            _PROBLEM,
            _SEARCH,
            Column("candidate", "int32", "Number in the order in which the search found them."),
            Column("chain", "int32", "Chain of sequential revision; 0 elsewhere."),
            Column("steps", "string", "The solution, step by step.", is_list=True),
            Column("margins", "float64", "Log odds of each step under the process reward model; empty: no scores.", is_list=True),
            Column("unscored", "string", "Why it has no scores, where that was tried."),
            Column(
                "answer", "int32", "Equal answers of a question have the same number, in every search; null: none.", nullable=True
            ),
            *_GRADED,
            Column("end", "string", "`finished` by the model, or `cut` by a limit."),
            Column("node", "int32", "Where it ends in the tree."),
            Column("tokens", "int64", "Tokens generated along it."),
            _LOGPROB,
            Column("forced_text", "string", "Words that were put into it and not generated."),
            Column("summary", "string", "What the summariser made of it, whose answer counts.", nullable=True),
            _LOSSY,
        ),
    ),
    TableSpec(
        "branches",
        "The tree of each search: every prefix that was sampled. Node 0 is the question.",
        (
            _ITEM,
            _PROBLEM,
            _SEARCH,
            Column("node", "int32", "Number in the tree of the search."),
            Column("parent", "int32", "The node that it continues; -1 for the question."),
            Column("steps", "string", "What it adds: one step, or a whole solution that was sampled at once.", is_list=True),
            Column("end", "string", "`finished` by the model, `cut` by a limit, empty where it could be continued."),
            Column("tokens", "int64", "Tokens of its text."),
            Column("spent", "int64", "Tokens of all equal samples that were drawn, its own included."),
            Column("copies", "int32", "How many equal samples were drawn."),
            _LOGPROB,
            Column("margin", "float64", "Log odds of its last step under the process reward model.", nullable=True),
            Column("visits", "int32", "Walks of the tree search through it."),
            Column("value", "float64", "What these walks backed up to it: their mean, or their maximum."),
            Column("prior", "float64", "Its share of its siblings' probability under the policy.", nullable=True),
            _LOSSY,
        ),
    ),
)


TABLES: Mapping[str, TableSpec] = {spec.name: spec for spec in _SPECS}


def features(spec: TableSpec) -> dict[str, Any]:
    """The columns as the `datasets` library spells them in a Parquet footer."""
    return {column.name: _feature(column) for column in spec.columns}


def card_features(spec: TableSpec) -> list[dict[str, str]]:
    """The columns as a data set card spells them under `dataset_info`."""
    return [{"name": column.name, "list" if column.is_list else "dtype": column.dtype} for column in spec.columns]


def footer(spec: TableSpec) -> dict[str, str]:
    """Schema metadata from which `datasets.load_dataset` restores the features."""
    return {"huggingface": json.dumps({"info": {"features": features(spec)}})}


@cache
def arrow_schema(name: str) -> pa.Schema:
    """The declared Arrow schema of a table, with the `datasets` metadata."""
    import pyarrow as pa

    spec = TABLES[name]
    fields = [pa.field(column.name, _arrow_type(column), nullable=column.nullable) for column in spec.columns]
    return pa.schema(fields, metadata=footer(spec))


def _arrow_type(column: Column) -> pa.DataType:
    import pyarrow as pa

    scalar = {
        "string": pa.string(),
        "bool": pa.bool_(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float32": pa.float32(),
        "float64": pa.float64(),
    }[column.dtype]
    return pa.list_(scalar) if column.is_list else scalar


def _feature(column: Column) -> dict[str, Any]:
    value = {"dtype": column.dtype, "_type": "Value"}
    return {"feature": value, "_type": "List"} if column.is_list else value
