"""The card of a labelled run says how its counts came about and what its values are, as they were in this run."""

from __future__ import annotations

from typing import Any

import pytest

from openr_data.engines import EngineSpec
from openr_data.engines.prompts import TEMPLATES
from openr_data.labelers import LABELERS, LabelConfig
from openr_data.pipelines.card import card_words
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig
from openr_data.problems import ProblemSource
from openr_data.types import Sampling

SOURCE, SPEC, SAMPLING = ProblemSource("runs/x"), EngineSpec("scripted"), Sampling(1.0, 512, 0)


def words(**label: Any) -> dict[str, Any]:
    return card_words(LabelRunConfig(SOURCE, SPEC, SAMPLING, LabelConfig(**label)), "scripted:1", TEMPLATES["builtin"])


@pytest.mark.parametrize("method", LABELERS)
def test_every_method_says_how_it_drew_and_what_its_values_are(method: str) -> None:
    said = words(method=method)
    assert said["settings"]["drawing ends"]
    assert sum(sentence.startswith("`mc` is ") for sentence in said["how"]) == 1


@pytest.mark.parametrize(
    ("label", "ends", "passing", "value"),
    [
        ({"method": "math-shepherd"}, "as soon as the label is decided", "count there too", "(`stopped`)"),
        ({"method": "math-shepherd", "exact_counts": True}, "at the full number", "count where they began", "(`mean`)"),
        ({"method": "omegaprm", "reuse_passing": False}, "as soon as", "count where they began", "(`stopped`)"),
        ({"method": "mips"}, "at the full number", "count where they began", "(`mean`)"),
        ({"method": "mips", "exact_counts": False}, "as soon as", "count there too", "(`stopped`)"),
        ({"method": "adaptive"}, "when the search does", "count there too", "(`posterior`)"),
        ({"method": "pav"}, "at the full number", "count where they began", "not a success probability"),
        ({"method": "consensus", "agree_with": "genprm"}, "as soon as", "count where they began", "may exceed 1"),
    ],
)
def test_the_card_says_which_savings_were_used(label: dict[str, Any], ends: str, passing: str, value: str) -> None:
    said = words(**label)
    assert said["settings"]["drawing ends"].startswith(ends)
    assert said["settings"]["rollouts that pass through a prefix"] == passing
    assert any(value in sentence for sentence in said["how"])


def test_the_limits_are_those_of_the_policies_that_were_used() -> None:
    usual, strict = words(), words(truncated="wrong", ungradable="wrong")
    assert "Texts that met the token limit are not decided." in usual["limits"]
    assert "Texts that met the token limit count as wrong." in strict["limits"]
    assert "Finished texts without an answer that can be read count as wrong." in strict["limits"]
    generated = GenerateConfig(SOURCE, SPEC, SAMPLING, truncated="graded")
    said = card_words(generated, "scripted:1", TEMPLATES["builtin"])
    assert "Texts that met the token limit are graded like all others." in said["limits"]


def test_only_a_posterior_search_can_end_uncertain() -> None:
    assert "uncertain" in " ".join(words(method="adaptive")["limits"])
    assert "uncertain" not in " ".join([*words(method="adaptive", finish="certified")["limits"], *words()["limits"]])
