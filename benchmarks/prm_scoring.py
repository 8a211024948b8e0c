"""Speed of scoring, beside the plain forward passes of the same model over the same tokens; prints a table and the ratios.

    python benchmarks/prm_scoring.py [--model PRM_FOLDER] [--questions 64] [--candidates 16]
    python benchmarks/prm_scoring.py --random-1b --device cuda --length 512 --peak-tflops 989

The same solutions go through (1) the model of transformers alone, in length-sorted batches that are ready before the clock
starts, (2) our scorer, texts in and scores out, (3) the same, the question of all candidates computed once, and (4) one forward
pass per step over everything before it, as most public scripts do it (of a part of the solutions). Every way runs several times
and the best counts; on a CPU the clock is that of the process, which other programs hardly slow. Speed is in tokens of the
solutions, as if none were shared; operations are those that were needed (2 per weight and token, and attention).
"""

from __future__ import annotations

import argparse
import random
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from openr_data.models.devices import choose_device, choose_dtype
from openr_data.models.files import BUILTIN
from openr_data.prm.config import PRMConfig
from openr_data.prm.encode import Encoded, Encoder
from openr_data.prm.heads import judging, margins, plain
from openr_data.prm.load import PRM, load_prm
from openr_data.prm.score.base import ScoreRequest
from openr_data.prm.score.batching import by_length, fill
from openr_data.prm.score.meter import Size, peak_of
from openr_data.prm.score.scorer import ModelScorer
from openr_data.prm.score.transformers import TransformersBackend
from openr_data.prm.scores import StepScores
from openr_data.prm.tags import choose_judgements, choose_tag
from openr_data.prm.templates import template_of
from openr_data.prm.weights import read_weights
from openr_data.problems.arithmetic import make_problem, parse_question, write_solution


@dataclass(frozen=True, slots=True)
class Way:
    """`tokens` of the solutions, in the best of the times; `flops` are those that were needed."""

    name: str
    tokens: int
    seconds: float
    flops: float

    @property
    def speed(self) -> float:
        return self.tokens / self.seconds


def config_of(tokenizer: Any, context: int) -> PRMConfig:
    tag = choose_tag(tokenizer)
    (positive, positive_id), (negative, negative_id) = choose_judgements(tokenizer)
    template = template_of("builtin")
    return PRMConfig("causal", template, tag.text, tag.id, positive, positive_id, negative, negative_id, context=context)


def builtin(device: torch.device, dtype: torch.dtype) -> PRM:
    """The built-in policy asked as a process reward model: its speed is that of a trained one."""
    tokenizer: Any = AutoTokenizer.from_pretrained(BUILTIN)
    config = config_of(tokenizer, context=512)
    model = read_weights(BUILTIN, config, dtype, "sdpa").to(device).eval()
    return PRM(judging(model, config), tokenizer, config, Encoder(tokenizer, config), BUILTIN)


def random_1b(device: torch.device, dtype: torch.dtype, attention: str, hidden: int) -> PRM:
    """A Llama of 1.2 billion random weights under the built-in tokenizer, as wide as asked and as deep as that takes."""
    tokenizer: Any = AutoTokenizer.from_pretrained(BUILTIN)
    config = config_of(tokenizer, context=8192)
    settings = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=round(1.2e9 / (16 * hidden**2)),
        num_attention_heads=hidden // 128,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    torch.manual_seed(0)
    with device:
        model: Any = AutoModelForCausalLM.from_config(settings, dtype=dtype, attn_implementation=attention)
    return PRM(judging(model.eval(), config), tokenizer, config, Encoder(tokenizer, config), BUILTIN)


def solutions(questions: int, candidates: int, difficulty: int, length: int) -> list[ScoreRequest]:
    """Distinct candidates with a wrong digit each; with `length`, steps are repeated to about that many letters."""
    chance, found = random.Random(0), []
    for number in range(questions):
        problem = make_problem(0, number, difficulty)
        right = list(write_solution(parse_question(problem.question)))
        while length and sum(map(len, right)) < length:
            right += right[:difficulty]
        distinct: dict[tuple[str, ...], None] = {}
        while len(distinct) < candidates:
            steps = right[: chance.randint(len(right) * 2 // 3, len(right))]
            place = chance.randrange(len(steps))
            steps[place] = f"{steps[place][:-1]}{chance.randint(0, 99)}"
            distinct[tuple(steps)] = None
        found += [(problem.question, steps) for steps in distinct]
    return found


class Clock:
    """Of the process on a CPU, of the wall on a GPU, whose work is waited for."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            return time.perf_counter()
        return time.process_time()


@torch.inference_mode()
def forward_passes(model: Any, batches: Sequence[torch.Tensor]) -> None:
    for ids in batches:
        model(input_ids=ids, use_cache=False)


def ready_batches(rows: Sequence[Encoded], budget: int, device: torch.device) -> list[torch.Tensor]:
    lengths = [len(row.ids) for row in rows]
    order, start, found = by_length(lengths), 0, []
    while start < len(order):
        stop = fill(lengths, order, start, budget)
        ids = [torch.tensor(rows[index].ids) for index in order[start:stop]]
        found.append(torch.nn.utils.rnn.pad_sequence(ids, batch_first=True).to(device))
        start = stop
    return found


@torch.inference_mode()
def one_call_per_step(prm: PRM, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
    """For every step a forward pass over the question and the steps up to it, the logits of the last token."""
    found = []
    for question, steps in requests:
        scores = []
        for count in range(1, len(steps) + 1):
            ids = torch.tensor([prm.encoder.encode(question, steps[:count]).ids], device=prm.model.device)
            scores.append(float(margins(prm.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[0, -1])))
        found.append(tuple(scores))
    return found


def best(name: str, tokens: int, flops: Callable[[], float], run: Callable[[], object], clock: Clock, times: int) -> Way:
    seconds = []
    for _ in range(times):
        started = clock()
        run()
        seconds.append(clock() - started)
    return Way(name, tokens, min(seconds), flops())


def measure(prm: PRM, requests: list[ScoreRequest], args: argparse.Namespace) -> tuple[list[Way], dict[str, float]]:
    """The ways, and by way the largest difference of a margin from the scorer's."""
    device = prm.model.device
    clock, size = Clock(device), Size.of(prm.model)
    rows = [prm.encoder.encode(*request) for request in requests]
    tokens = sum(len(row.ids) for row in rows)
    whole = sum(size.flops(0, len(row.ids)) for row in rows)
    scores: dict[str, list[tuple[float, ...]]] = {}

    def ours(name: str, *, shared: bool, packed: bool = False) -> Way:
        backend = TransformersBackend(prm, budget=args.batch_tokens, shared=shared, packed=packed)
        scorer = ModelScorer(fresh(prm.encoder), backend, "benchmark")

        def run() -> None:
            backend.meter.flops = 0.0
            found: list[StepScores] = scorer.score(requests)
            scores[name] = [one.margins for one in found]

        return best(name, tokens, lambda: backend.meter.flops, run, clock, args.times)

    def alone() -> Way:
        model = plain(prm.model)
        batches = ready_batches(rows, args.batch_tokens or (2048 if device.type == "cpu" else 32768), device)
        way = best("forward passes alone", tokens, lambda: whole, lambda: forward_passes(model, batches), clock, args.times)
        judging(model, prm.config)
        return way

    ways = [alone(), ours("scorer", shared=False), ours("scorer, questions shared", shared=True)]
    if args.attention == "flash_attention_2":
        ways.append(ours("scorer, packed", shared=False, packed=True))
    every = max(1, len(requests) // args.per_step)
    part, part_tokens = requests[::every], sum(len(row.ids) for row in rows[::every])
    judging(prm.model, prm.config)
    ways.append(
        best(
            "one call per step",
            part_tokens,
            lambda: 0.0,
            lambda: scores.__setitem__("one call per step", one_call_per_step(prm, part)),
            clock,
            1,
        )
    )
    expected = scores["scorer"]
    others = {name: found for name, found in scores.items() if name not in {"scorer", "one call per step"}}
    differences = {name: apart(expected, found) for name, found in others.items()}
    differences["one call per step"] = apart(expected[::every], scores["one call per step"])
    return ways, differences


def apart(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> float:
    return max(abs(a - b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


def fresh(encoder: Encoder) -> Encoder:
    """One that remembers no question yet."""
    return Encoder(encoder.tokenizer, replace(encoder.config))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="", help="a process reward model (default: the built-in policy, asked as one)")
    parser.add_argument("--random-1b", action="store_true", help="a model of 1.2 billion random weights instead")
    parser.add_argument("--hidden", type=int, default=2048, help="its width")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--attention", default="sdpa", help="sdpa or flash_attention_2")
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--difficulty", type=int, default=8)
    parser.add_argument("--length", type=int, default=0, help="letters of a solution, at least (0: as the task has them)")
    parser.add_argument("--batch-tokens", type=int, default=0)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--per-step", type=int, default=64, help="solutions that go through one call per step")
    parser.add_argument("--peak-tflops", type=float, default=0.0, help="of the device, for the utilisation (0: by its name)")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    device = choose_device(args.device)
    dtype = choose_dtype(args.dtype, device)
    if args.random_1b:
        prm = random_1b(device, dtype, args.attention, args.hidden)
    elif args.model:
        prm = load_prm(Path(args.model), device=args.device, dtype=args.dtype, attention=args.attention)
    else:
        prm = builtin(device, dtype)
    requests = solutions(args.questions, args.candidates, args.difficulty, args.length)
    ways, differences = measure(prm, requests, args)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    report(prm, name, ways, differences, args.peak_tflops * 1e12 or peak_of(name))


def report(prm: PRM, device: str, ways: Sequence[Way], differences: dict[str, float], peak: float | None) -> None:
    size = Size.of(prm.model)
    print(f"{size.weights / 1e6:,.1f} million weights, {prm.model.dtype}, {device}, {torch.get_num_threads()} threads")
    print(f"{'':28}{'tokens':>10}{'seconds':>9}{'tokens/s':>10}{'of alone':>10}{'TFLOP/s':>9}{'MFU':>7}")
    for way in ways:
        rate = way.flops / way.seconds
        share = f"{way.speed / ways[0].speed:.2f}"
        used = f"{rate / peak:.1%}" if peak and way.flops else "-"
        shown = f"{rate / 1e12:.3f}" if way.flops else "-"
        print(f"{way.name:28}{way.tokens:>10,}{way.seconds:>9.2f}{way.speed:>10,.0f}{share:>10}{shown:>9}{used:>7}")
    speeds = {way.name: way.speed for way in ways}
    print(f"scorer / forward passes alone: {speeds['scorer'] / speeds['forward passes alone']:.2f} (at least 0.50)")
    for name in ("scorer", "scorer, questions shared"):
        print(f"{name} / one call per step: {speeds[name] / speeds['one call per step']:.1f} (at least 5)")
    for name, difference in differences.items():
        print(f"{name}: margins differ from the scorer's by at most {difference:.1e}")


if __name__ == "__main__":
    main()
