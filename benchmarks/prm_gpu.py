"""Training of a process reward model of a billion parameters on one GPU: tokens per second, MFU and memory, side by side.

    python benchmarks/prm_gpu.py LABELLED_RUN --peak-tflops 989

The model is a Llama of random weights with the built-in tokenizer: speed does not depend on the weights. Counted are tokens
without padding; operations are 6 for every weight and token (4 where the weights are frozen under adapters), attention left out.
Scoring is measured by `benchmarks/prm_scoring.py`.
"""

from __future__ import annotations

import argparse
import gc
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from openr_data.models.files import BUILTIN
from openr_data.pipelines.prm.config import PRMRunConfig, SourceSpec
from openr_data.pipelines.prm.training import Listeners, train_prm
from openr_data.prm.progress import Progress
from openr_data.prm.train_config import Lora, ModelChoice, TrainConfig


@dataclass(frozen=True, slots=True)
class Case:
    """One way to train; `passes` are the operations per weight and token."""

    name: str
    config: TrainConfig
    passes: int = 6


@dataclass(frozen=True, slots=True)
class Measured:
    tokens_per_second: float
    seconds_per_step: float
    gigabytes: float
    loss: float


def random_base(folder: Path, hidden: int, layers: int) -> int:
    """A model folder; returns the number of weights."""
    tokenizer = AutoTokenizer.from_pretrained(BUILTIN)
    torch.manual_seed(0)
    model: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            intermediate_size=hidden * 11 // 4,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 128,
            num_key_value_heads=hidden // 128,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(each.numel() for each in model.parameters())


def cases(base: Path, options: argparse.Namespace) -> list[Case]:
    common = TrainConfig(
        model=ModelChoice(base=str(base)),
        max_steps=options.steps,
        batch=options.batch,
        batch_tokens=options.batch_tokens,
        rate=1e-5,
        evaluate_every=10**6,
        packing="off",
        device=options.device,
    )
    lora = Lora(rank=16)
    return [
        Case("full, padded", common),
        Case("full, padded, checkpointing", replace(common, checkpointing=True)),
        Case("full, packed", replace(common, packing="on")),
        Case("LoRA 16, padded", replace(common, lora=lora, rate=1e-4), passes=4),
    ]


def measure(case: Case, run: str, out: Path) -> Measured:
    """The rate from the second report on: the first one holds the start."""
    seen: list[Progress] = []
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    train_prm(
        PRMRunConfig((SourceSpec(run),), case.config), out, listeners=Listeners(on_progress=seen.append), allow_dropped=True
    )
    first, last = seen[len(seen) // 4], seen[-1]
    seconds, steps = last.seconds - first.seconds, last.step - first.step
    memory = torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else float("nan")
    return Measured((last.tokens - first.tokens) / seconds, seconds / steps, memory, last.loss)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--peak-tflops", type=float, default=989.0)
    parser.add_argument("--hidden", type=int, default=2048)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--batch-tokens", type=int, default=32768)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        base = Path(folder, "base")
        weights = random_base(base, options.hidden, options.layers)
        print(f"{weights / 1e9:.2f} B weights, {options.batch} solutions a step, {options.batch_tokens} tokens a pass")
        print(f"{'training':<30}{'tokens/s':>10}{'s/step':>8}{'MFU':>7}{'GB':>7}{'loss':>8}")
        for number, case in enumerate(cases(base, options)):
            out = Path(folder, str(number))
            try:
                found = measure(case, options.run, out)
            except Exception as error:  # the other cases are measured all the same
                print(f"{case.name:<30}  {type(error).__name__}: {error}", flush=True)
            else:
                mfu = case.passes * weights * found.tokens_per_second / (options.peak_tflops * 1e12)
                print(
                    f"{case.name:<30}{found.tokens_per_second:>10,.0f}{found.seconds_per_step:>8.2f}{mfu:>7.1%}"
                    f"{found.gigabytes:>7.1f}{found.loss:>8.3f}",
                    flush=True,
                )
            shutil.rmtree(out, ignore_errors=True)
            gc.collect()


if __name__ == "__main__":
    main()
