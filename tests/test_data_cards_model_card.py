"""The model card: metadata as the Hub reads it, text that says what was measured, and words of people that stay."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.data_cards.blocks import block_names, block_texts, parse_blocks, people_text
from openr_data.data_cards.metadata import split_card
from openr_data.data_cards.model_card import MODEL_BLOCKS, ModelFacts, render_model_card
from openr_data.data_cards.model_card_data import DataSource, TrainingData
from openr_data.data_cards.model_card_evidence import BestOfN, Evidence, Hits, Lift, Rival, StepEvidence, SubsetEvidence
from openr_data.data_cards.model_card_results import Result
from openr_data.data_cards.model_card_weak import weaknesses
from openr_data.data_cards.report import Section
from openr_data.errors import InputError

SOURCES = (
    DataSource("labels", "omegaprm", 2.0, rows=10, good=30, bad=10, masked=5, left_out={"too_long": 2, "undecided": 0}),
    DataSource("trl-lib/prm800k@v1", "prm800k", rows=5, good=9, bad=1),
)
DATA = TrainingData(SOURCES, {"math500": 500}, {"math500": 3}, context=512, longest=400)
FACTS = ModelFacts(
    title="my-prm",
    head="causal",
    asked={"Template": "builtin", "Step tag": "<step> (token 3)"},
    texts={"The user's part": "{question}\n"},
    weak=["It is weak on `math`."],
    base="Qwen/Qwen2.5-Math-1.5B",
    base_on_hub=True,
    datasets=["trl-lib/prm800k"],
    data=DATA,
    training={"epochs": 1.0},
    outcome={"Optimiser steps": "40"},
    evaluation=[Section("ProcessBench", (("gsm8k", "72.0"),), ("", "F1"), "In percent.")],
    results=[
        Result("ProcessBench (gsm8k)", "Qwen/ProcessBench", "f1", "F1 (95 %: 66.0 to 78.0)", 72.04567, "gsm8k"),
        Result("ProcessBench (gsm8k)", "Qwen/ProcessBench", "accuracy", "correct", 90.0, "gsm8k"),
        Result("held out", "held-out", "roc_auc", "AUROC", 0.95),
    ],
    figures={"evaluation/figures/a.png": "A figure"},
    versions={"torch": "2.13.0"},
    location="acme/my-prm",
    license="mit",
    software="0.1.0",
)
CARD = render_model_card(FACTS)
HOSTILE = "a|b\n---\n# <script> [x](javascript:1) <!-- openr-data: end weak -->\n```\n{{x}}"


def head_of(card: str) -> dict[str, Any]:
    return dict(yaml.safe_load(split_card(card)[0]))


def test_the_metadata_are_what_the_hub_asks_for() -> None:
    head = head_of(CARD)
    assert {name: head[name] for name in ("license", "base_model", "datasets", "library_name", "pipeline_tag")} == {
        "license": "mit",
        "base_model": "Qwen/Qwen2.5-Math-1.5B",
        "datasets": ["trl-lib/prm800k"],
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
    }
    assert "process-reward-model" in head["tags"]
    assert head_of(render_model_card(replace(FACTS, head="token_classification")))["pipeline_tag"] == "token-classification"


def test_the_hub_s_own_reader_finds_every_result() -> None:
    name, results = model_index_to_eval_results(head_of(CARD)["model-index"])
    assert name == "my-prm"
    assert [(each.dataset_name, each.dataset_split, each.metric_type, each.metric_value) for each in results] == [
        ("ProcessBench (gsm8k)", "gsm8k", "f1", 72.0457),
        ("ProcessBench (gsm8k)", "gsm8k", "accuracy", 90.0),
        ("held out", None, "roc_auc", 0.95),
    ]
    assert "eval_results" in vars(ModelCard(CARD).data), "its card class reads it too"


def test_nothing_is_claimed_that_is_not_known() -> None:
    bare = ModelFacts("x", "value", {}, {}, weak=[], base="/home/ann/base")
    card = render_model_card(bare)
    head = head_of(card)
    assert not {"license", "base_model", "datasets", "model-index"} & set(head)
    told = block_texts(split_card(card)[1])
    assert "have not stated a licence" in told["licence"]
    assert "What it was trained on is not recorded" in told["data"]
    assert "how is not known here" in told["training"]
    assert "It was not evaluated" in told["weak"]
    assert not {"evaluation", "figures", "contamination", "versions"} & set(told)


def test_an_evaluated_model_is_not_called_unevaluated() -> None:
    told = block_texts(split_card(CARD)[1])
    assert list(told) == list(MODEL_BLOCKS), "the weaknesses stand before the numbers"
    assert "It was not evaluated" not in told["weak"]
    assert "- It is weak on `math`." in told["weak"]
    assert "| gsm8k | 72.0 |" in told["evaluation"]


def test_the_same_facts_give_the_same_bytes() -> None:
    assert render_model_card(FACTS) == CARD
    assert render_model_card(FACTS, CARD) == CARD


def test_what_people_wrote_stays_and_blocks_they_deleted_stay_deleted() -> None:
    head, body = split_card(CARD)
    pieces = [piece for piece in parse_blocks(body) if piece.block != "figures"]
    mine = f"---\n# ours\n{head}thumbnail: x.png\n---\n{''.join(piece.text for piece in pieces)}\nRead our paper.\n"
    again = render_model_card(replace(FACTS, weak=["Other."], license="apache-2.0"), mine)
    assert people_text(split_card(again)[1]) == people_text(split_card(mine)[1])
    assert "figures" not in block_names(split_card(again)[1])
    assert "- Other.\n" in again
    assert "# ours" in again
    assert head_of(again)["thumbnail"] == "x.png"
    assert head_of(again)["license"] == "apache-2.0"
    assert "figures" in block_names(split_card(render_model_card(FACTS, mine, every=True))[1])


def test_results_of_an_evaluation_that_is_gone_do_not_stay_in_the_metadata() -> None:
    again = render_model_card(replace(FACTS, evaluation=(), results=()), CARD)
    assert head_of(again)["model-index"] == []
    theirs = "---\nmodel-index:\n- name: theirs\n  results: []\n---\nTheir card.\n"
    kept = head_of(render_model_card(replace(FACTS, evaluation=(), results=()), theirs))
    assert kept["model-index"] == [{"name": "theirs", "results": []}]


def outside_fences(text: str) -> str:
    kept, fence = [], ""
    for line in text.splitlines():
        opened = re.match(r"`{3,}", line)
        if opened and not fence:
            fence = opened[0]
        elif line == fence:
            fence = ""
        elif not fence:
            kept.append(line)
    return "\n".join(kept)


def test_text_of_models_files_and_data_sets_is_only_text() -> None:
    data = TrainingData([replace(SOURCES[0], name=HOSTILE, method=HOSTILE, left_out={HOSTILE: 1})], {HOSTILE: 1})
    facts = replace(
        FACTS,
        title=HOSTILE,
        head=HOSTILE,
        asked={HOSTILE: HOSTILE},
        texts={HOSTILE: HOSTILE},
        weak=[HOSTILE],
        base=HOSTILE,
        data=data,
        training={HOSTILE: HOSTILE},
        outcome={HOSTILE: HOSTILE},
        evaluation=[Section(HOSTILE, ((HOSTILE, HOSTILE),), (HOSTILE, HOSTILE), HOSTILE)],
        results=[Result(HOSTILE, HOSTILE, "f1", HOSTILE, 1.0, HOSTILE)],
        figures={"evaluation/figures/a.png": HOSTILE},
        versions={HOSTILE: HOSTILE},
        location=HOSTILE,
    )
    card = render_model_card(facts)
    head, body = split_card(card)
    assert block_names(body) == list(MODEL_BLOCKS)
    assert render_model_card(facts, card) == card
    assert "<script>" in body
    assert "<script>" not in outside_fences(body).replace("\\<script\\>", "")
    assert yaml.safe_load(head)["model-index"][0]["results"][0]["dataset"]["name"].count("\n") == 0
    assert people_text(body).strip() == ""


@settings(max_examples=40)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_a_place_with_any_letters_stays_one_argument_and_one_string(place: str) -> None:
    """What is copied from the card to a shell or to Python names the place, and does nothing else."""
    import ast
    import shlex

    told = block_texts(split_card(render_model_card(replace(FACTS, location=place)))[1])["use"]
    bash, python = (told.split(f"```{language}\n")[1].split("\n```")[0] for language in ("bash", "python"))
    if "`" not in place:
        words = shlex.split(bash)
        assert words[:3] == ["openr-data", "prm", "score"]
        assert [words[3], words[4], words[6:]] == ["solutions.jsonl", "--prm", ["--out", "scores.parquet"]]
        calls = [node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Call)]
        named = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "model_folder"]
        assert [node.args[0].value for node in named if isinstance(node.args[0], ast.Constant)] == [words[5]]


@pytest.mark.parametrize("text", ["---\na: [\n---\n", "---\na: 1\n", "<!-- openr-data: begin title -->\n"])
def test_a_broken_card_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        render_model_card(FACTS, text)


def test_training_data_are_told_with_their_balance_and_licence() -> None:
    told = block_texts(split_card(CARD)[1])
    assert "| labels | omegaprm | 2 | 10 | 30 (75.0 %) | 10 (25.0 %) | 5 | 2 too long | not stated |" in told["data"]
    assert "| all |  |  | 15 | 39 (78.0 %) | 11 (22.0 %) | 5 |  |  |" in told["data"]
    assert "mit (if it is PRM800K)" in told["data"]
    ours, file = (DataSource("x", "math-shepherd", foreign=foreign) for foreign in (False, True))
    assert "if it is" not in block_texts(split_card(render_model_card(replace(FACTS, data=TrainingData([ours]))))[1])["data"]
    assert "(if it is Math-Shepherd)" in render_model_card(replace(FACTS, data=TrainingData([file])))
    assert "| math500 | 500 | 3 |" in told["contamination"]
    free = block_texts(split_card(render_model_card(replace(FACTS, data=replace(DATA, compared={}))))[1])
    assert "Nothing was compared with evaluation sets" in free["contamination"]


# Weaknesses. Each number is worked out by hand.

GSM8K = SubsetEvidence(
    "gsm8k",
    72.0,
    66.0,
    78.0,
    best_f1=73.0,
    errors=Hits(60, 100),
    correct=Hits(90, 100),
    places={"exact": 60, "early": 10, "late": 25, "missed": 5},
    positions={0: Hits(50, 60), 3: Hits(10, 40)},
    hidden=Hits(3, 30),
)
MATH = replace(
    GSM8K,
    name="math",
    f1=33.0,
    low=25.0,
    high=41.0,
    best_f1=51.0,
    errors=Hits(20, 100),
    correct=Hits(60, 100),
    silent=10,
    places={"exact": 20, "early": 30, "late": 10, "missed": 32, "none": 8},
    positions={0: Hits(15, 50), 12: Hits(5, 50)},
)


def test_the_lowest_subset_and_the_threshold_that_does_not_suit_it() -> None:
    told = weaknesses(Evidence([GSM8K, MATH]))
    assert told[0] == "Its lowest subset of ProcessBench is math: F1 33.0 (95 %: 25.0 to 41.0), where gsm8k has 72.0."
    assert "on math another one would give F1 51.0 instead of 33.0" in told[1]
    assert not any("another one would give" in each for each in weaknesses(Evidence([GSM8K]))), "one point is none"


def test_whether_it_lets_errors_pass_or_sees_too_many() -> None:
    """Missed: 5 + 32 of 200. Alarms: 200 - 150 right ones - 2 without a score = 48 of 200."""
    told = "\n".join(weaknesses(Evidence([GSM8K, MATH])))
    assert "It sees errors where there are none: of solutions without a wrong step, 48 of 200 (24.0 %) are called wrong." in told
    assert "It lets errors pass" not in told
    assert "mostly before the true one: 40 of 200 (20.0 %)" in told
    passing = replace(MATH, correct=Hits(98, 98), silent=8)
    assert "It lets errors pass: of solutions with a wrong step, 32 of 100 (32.0 %)" in "\n".join(weaknesses(Evidence([passing])))


def test_the_worst_place_of_an_error_and_the_right_answers_that_hide_one() -> None:
    """Step 1: 65 of 110; step 4: 10 of 40; step 11 and later: 5 of 50; all: 80 of 200."""
    told = "\n".join(weaknesses(Evidence([GSM8K, MATH])))
    assert "First errors at step 11 or later (the first is 1) are found least often: 5 of 50 (10.0 %), of all 80 of 200" in told
    assert "it finds that step in 6 of 60 (10.0 %); over all solutions with a wrong step it is 80 of 200 (40.0 %)" in told
    assert "10 of 400 (2.5 %) solutions of ProcessBench have no score" in told


def test_few_cases_say_nothing() -> None:
    few = replace(
        GSM8K, errors=Hits(0, 5), correct=Hits(0, 5), places={"missed": 5}, positions={0: Hits(0, 5)}, hidden=Hits(0, 5)
    )
    assert len(weaknesses(Evidence([few]))) == 1


STEPS = StepEvidence("labels", 100, 60, auroc=0.7, low=0.45, high=0.9, ece=0.12, score=0.71, ap_good=0.8, ap_wrong=0.45)


def test_calibration_ranking_and_rivals() -> None:
    told = "\n".join(weaknesses(Evidence(steps=[replace(STEPS, unscored=3, rivals=[Rival("raw MC > 0", 0.05, -0.01, 0.11)])])))
    assert "AUROC 0.700, with an interval that reaches 0.5" in told
    assert "they are too high by 11.0 points on average (expected calibration error 0.120)" in told
    assert "average precision 0.450, by chance 0.400" in told
    assert "not shown to name first errors better than raw MC > 0 does: it is +5.0 points ahead (95 %: -1.0 to +11.0)" in told
    assert "3 solutions of labels have no score" in told
    low = weaknesses(Evidence(steps=[replace(STEPS, score=0.5)]))
    assert any("too low by 10.0 points" in each for each in low)
    both = weaknesses(Evidence(steps=[replace(STEPS, score=0.6)]))
    assert any("off in both directions" in each for each in both)
    good = replace(STEPS, low=0.6, ece=0.01, ap_wrong=0.9, rivals=[Rival("x", 0.2, 0.1, 0.3)])
    assert weaknesses(Evidence(steps=[good])) == []


def test_questions_that_were_not_held_out_are_told() -> None:
    told = weaknesses(Evidence(steps=[replace(STEPS, everything=True)], best_of_n=BestOfN("pool", (), everything=True)))
    assert told[0] == "The numbers on labels, pool are of all questions, also of those that it may have been trained on."


def test_choosing_among_candidates() -> None:
    bounds = [Lift("pass@n", 8, 0.9, 0.3, 0.2, 0.4), Lift("majority", 8, 0.6, 0.0, 0.0, 0.0)]
    ways = [Lift("min", 8, 0.62, 0.02, -0.01, 0.05), Lift("last", 8, 0.5, -0.1, -0.15, -0.05)]
    told = "\n".join(weaknesses(Evidence(best_of_n=BestOfN("pool", [*bounds, *ways], last_step=45, several=100))))
    assert "not shown to beat a majority vote: the best way, min, is +2.0 points ahead (95 %: -1.0 to +5.0)" in told
    assert "last among 8 is -10.0 points against the majority (95 %: -15.0 to -5.0)" in told
    assert "the lowest score stands at the last step in 45 of 100 (45.0 %)" in told
    assert weaknesses(Evidence(best_of_n=BestOfN("pool", [Lift("min", 8, 0.7, 0.1, 0.05, 0.15)]))) == []
    assert weaknesses(Evidence(best_of_n=BestOfN("pool", bounds))) == []


def test_what_it_learned_from() -> None:
    told = "\n".join(weaknesses(Evidence(data=DATA, masked=True, chosen_auroc=0.95)))
    assert "at most 512 tokens; a longer one gets no score at all, never a part of one. 2 longer ones were left out" in told
    assert "Its labels (omegaprm) are read off where rollouts end" in told
    assert "Only 11 of 50 (22.0 %) of the labelled training steps are wrong" in told
    assert "Steps after the first wrong one carried no loss" in told
    assert "The AUROC of 0.950 in training is of the rows that chose the checkpoint" in told
    assert "not compared" not in told
    human = TrainingData([DataSource("p", "prm800k", good=50, bad=50)])
    assert weaknesses(Evidence(data=human)) == [
        "The training data were not compared with any evaluation set, so numbers on one may be too good."
    ]
    assert weaknesses(Evidence()) == []
    assert weaknesses(Evidence(unproven=True)) == ["That its evaluation is of these very weights could not be checked."]


@pytest.mark.parametrize(("head", "served"), [("causal", True), ("likelihood", False), ("value_head", False)])
def test_only_what_vllm_serves_is_told_to_be_served(head: str, served: bool) -> None:
    use = block_texts(split_card(render_model_card(replace(FACTS, head=head)))[1])["use"]
    assert ("openr-data prm serve" in use) == served
    assert use.count("```") == (6 if served else 4)
