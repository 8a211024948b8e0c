"""`prm_config.json`: what is written is read again, and a file that is not ours is refused in one sentence."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from openr_data.errors import InputError, UsageError
from openr_data.prm.config import NAME, LabelReading, PRMConfig
from openr_data.prm.templates import TEMPLATES, template_of

CONFIG = PRMConfig(
    head="causal",
    template=TEMPLATES["qwen"],
    tag="<extra_0>",
    tag_id=7,
    positive=" +",
    positive_id=5,
    negative=" -",
    negative_id=6,
    read_offset=-1,
    context=128,
    labels=LabelReading("soft", 0.25, "keep"),
    scale=0.5,
    shift=-1.0,
    base_model="été",
    fingerprint="0f",
)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_saved_configuration_is_read_again_as_it_was(name: str, tmp_path: Path) -> None:
    config = replace(CONFIG, template=template_of(name))
    config.save(tmp_path)
    assert PRMConfig.load(tmp_path) == config


def test_a_configuration_without_the_later_fields_is_read(tmp_path: Path) -> None:
    values = asdict(CONFIG)
    del values["fingerprint"], values["template"]["continued"]
    (tmp_path / NAME).write_text(json.dumps(values))
    assert PRMConfig.load(tmp_path) == replace(CONFIG, fingerprint="")


def _changed(**changes: Any) -> str:
    return json.dumps({**asdict(CONFIG), **changes})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("[]", "version"),
        (_changed(version=2), "version"),
        (_changed(head="ranking"), "head"),
        (_changed(tag_id="7"), "tag_id"),
        (_changed(scale="1"), "scale"),
        (_changed(template={"name": "x"}), "user"),
        (_changed(template={"name": "x", "user": "no question"}), "template"),
        (_changed(surplus=1), "surplus"),
        (_changed(labels=None), "openr-data"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_in_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(InputError, match=said) as refused:
        PRMConfig.load(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_folder_without_it_is_no_process_reward_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no process reward model"):
        PRMConfig.load(tmp_path)


def test_an_unknown_template_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'quen'.*auto, builtin, plain"):
        template_of("quen")
