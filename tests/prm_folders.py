"""Finished process reward models for the tests of cards and publishing: tiny random weights, with the records of a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from prm_scorers import config_of

from openr_data.models.files import BUILTIN
from openr_data.pipelines.prm.record import PRMRunRecord

TALLY: dict[str, Any] = {
    "layout": "omegaprm",
    "weight": 2.0,
    "solutions": 120,
    "splits": {"train": 100, "validation": 10, "test": 5},
    "dropped": {"undecided": 3, "too_long": 2},
    "unreadable": {},
    "rows": 200,
    "good": 900,
    "bad": 100,
    "masked": 50,
}
HUMAN: dict[str, Any] = {**TALLY, "layout": "prm800k", "weight": 1.0, "rows": 80, "good": 300, "bad": 100, "dropped": {}}


def tiny_prm(folder: Path, *, seed: int = 0, shards: str = "1GB", **options: object) -> Path:
    """A Llama of one layer with the built-in tokenizer; it loads as a process reward model."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(BUILTIN)
    settings = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(settings)
    model.save_pretrained(folder, max_shard_size=shards)
    tokenizer.save_pretrained(folder)
    config_of(folder, **{"base_model": "acme/base-1b", **options}).save(folder)
    return folder


def add_records(folder: Path, *, against: bool = True) -> Path:
    """What a training leaves: on a run at a path of this machine and a data set of the Hub."""
    sources = {"/home/ann/runs/labels": TALLY, "acme/human-steps@v1": HUMAN}
    inputs = {"/home/ann/runs/labels": "run:0123", "acme/human-steps@v1": "hub:acme/human-steps@abcd", "base": "ef01"}
    compared = {"/home/ann/math500.jsonl": 500} if against else {}
    data = {
        "sources": sources,
        "contaminated": {"/home/ann/math500.jsonl": 7} if against else {},
        "compared": compared,
        "lengths": {"rows": 280, "tokens": 9000, "median": 30, "p95": 60, "longest": 90, "steps": 5.0},
        "held_out": 20,
        "context": 512,
        "first_dropped": "",
    }
    config = {"sources": [{"location": name.split("@")[0]} for name in sources], "against": list(compared)}
    PRMRunRecord(config, inputs, data).save(folder)
    training = {
        "settings": {"prm": {}, "loss": "cross_entropy", "epochs": 1.0, "rate": 0.001, "lora": {"rank": 0}, "seed": 3},
        "versions": {"openr-data": "0.1.0", "torch": "2.13.0"},
        "steps": 40,
        "best_step": 30,
        "loss": 0.31,
        "auroc": 0.9512,
        "ece": 0.04,
        "tokens": 9000,
        "seconds": 12.5,
        "history": [{"step": 10, "loss": 0.6}],
    }
    (folder / "training.json").write_text(json.dumps(training))
    return folder
