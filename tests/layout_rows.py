"""Rows as they are published, small and odd: strategies for hypothesis, one for each layout that is a row of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Rows = st.SearchStrategy[dict[str, Any]]

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(lambda text: text.strip() != "")
plain_texts = st.text("abc θ°’\n$\\x7", min_size=1, max_size=12).map(lambda text: f"t{text}")
"""Texts that hold neither a step tag nor the word that marks the first step."""

values = st.sampled_from([0.0, 0.03125, 0.25, 0.5, 1.0])
extras = st.dictionaries(
    st.sampled_from(["extra", "task", "θ"]), st.one_of(st.none(), st.integers(), texts, st.booleans()), max_size=2
)


@st.composite
def math_shepherd(draw: st.DrawFn) -> dict[str, Any]:
    steps = draw(st.lists(plain_texts, min_size=1, max_size=4))
    signs = draw(st.lists(st.sampled_from("+-"), min_size=len(steps), max_size=len(steps)))
    question, glue = draw(plain_texts), draw(st.sampled_from(["\n", " ", "\n\n"]))
    body = [f"Step {number}: {step} " for number, step in enumerate(steps, start=1)]

    def text(tags: list[str]) -> str:
        return f"{question} " + glue.join(f"{step}{tag}" for step, tag in zip(body, tags, strict=True))

    return {**draw(extras), "input": text(["ки"] * len(steps)), "label": text(signs)}


@st.composite
def openrlhf(draw: st.DrawFn) -> dict[str, Any]:
    row = draw(math_shepherd())
    count = row["input"].count("ки")
    of_one = st.one_of(st.just(st.sampled_from(["+", "-"])), st.just(st.sampled_from([0, 1, 0.5, 0.25])))
    kind = draw(of_one)
    return {"input": row["input"], "value": draw(st.lists(kind, min_size=count, max_size=count))}


@st.composite
def openr(draw: st.DrawFn) -> dict[str, Any]:
    tag = draw(st.sampled_from(["\n\n\n\n\n", "ки"]))
    steps = draw(st.lists(st.text("ab θ$", min_size=1).map(lambda text: f"s{text}"), min_size=1, max_size=4))
    signs = draw(st.lists(st.sampled_from(["+", "-", 1, 0]), min_size=len(steps), max_size=len(steps)))
    glue = draw(st.sampled_from([" ", ""]))
    process = glue.join(f"{step}{glue}{tag}" for step in steps)
    return {"question": draw(texts), "process": process, "label": signs, **draw(extras)}


@st.composite
def processbench(draw: st.DrawFn) -> dict[str, Any]:
    steps = draw(st.lists(texts, min_size=1, max_size=4))
    row = {"problem": draw(texts), "steps": steps, "label": draw(st.integers(-1, len(steps) - 1))}
    named = {"id": draw(texts), "generator": draw(texts)} if draw(st.booleans()) else {}
    return {**named, **row, "final_answer_correct": draw(st.sampled_from([True, False, None])), **draw(extras)}


@st.composite
def math_aps(draw: st.DrawFn) -> dict[str, Any]:
    question = draw(plain_texts)
    ends = st.lists(st.sampled_from(["\n\nA", "\n\n B ", "Cθ", "\n"]), max_size=3).map("".join)
    prefixes = [question + end for end in draw(st.lists(ends, min_size=1, max_size=8).filter(any))]
    entries = [{"solution_prefix": prefix, "mc_value": draw(values)} for prefix in prefixes]
    return {"question": question, "final_answer": draw(texts), "reasoning_steps": entries, "question_id": draw(st.integers(0, 9))}


def _node(children: Rows) -> Rows:
    text = st.sampled_from(["A", "\n\nB", "C θ "])
    return st.fixed_dictionaries({"text": text, "mc_value": values, "children": st.lists(children, max_size=3)})


@st.composite
def math_aps_tree(draw: st.DrawFn) -> dict[str, Any]:
    leaves = st.fixed_dictionaries({"text": st.sampled_from(["A", "L"]), "mc_value": values, "children": st.just([])})
    question = draw(texts)
    children = draw(st.lists(st.recursive(leaves, _node, max_leaves=6), min_size=1, max_size=3))
    root = {"text": question, "mc_value": draw(values), "children": children}
    return {"question": question, "final_answer": draw(texts), "reasoning_steps": root, "question_id": 1}


_completion = st.fixed_dictionaries(
    {"text": texts, "rating": st.sampled_from([-1, 0, 1, None]), "flagged": st.sampled_from([True, False, None])}
)
_human = st.fixed_dictionaries({"text": texts, "rating": st.none(), "source": st.just("human"), "flagged": st.just(False)})


@st.composite
def _step(draw: st.DrawFn, *, last: bool) -> dict[str, Any]:
    completions = (
        draw(st.one_of(st.none(), st.lists(_completion, max_size=3))) if not last else draw(st.lists(_completion, min_size=1))
    )
    picks = [*range(len(completions or ()))]
    chosen = draw(st.sampled_from([*picks, None])) if picks else None
    human = draw(_human) if chosen is None and not last else None
    return {"completions": completions, "human_completion": human, "chosen_completion": chosen}


@st.composite
def prm800k(draw: st.DrawFn) -> dict[str, Any]:
    steps = [draw(_step(last=False)) for _ in range(draw(st.integers(0, 3)))] + [draw(_step(last=True))]
    finish = draw(st.sampled_from(["found_error", "solution"]))
    question = {"problem": draw(texts), "ground_truth_answer": draw(st.one_of(st.none(), texts)), **draw(extras)}
    return {
        "labeler": draw(texts),
        "timestamp": "2022-07-30T23:23:32.118856",
        "generation": draw(st.one_of(st.none(), st.integers(0, 9))),
        "is_quality_control_question": False,
        "is_initial_screening_question": False,
        "question": question,
        "label": {"steps": steps, "total_time": draw(st.integers(0, 9)), "finish_reason": finish},
    }


PUBLISHED: Mapping[str, Rows] = {
    "math-shepherd": math_shepherd(),
    "openrlhf": openrlhf(),
    "openr": openr(),
    "processbench": processbench(),
    "math-aps": math_aps(),
    "math-aps-tree": math_aps_tree(),
    "prm800k": prm800k(),
}
