"""`openr-data estimate`: what a run will cost, before it is paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from openr_data.cli import options
from openr_data.cli.console import err, print_json, warn
from openr_data.cli.console import out as console
from openr_data.cli.progress import duration
from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.labelers import LabelConfig
    from openr_data.pipelines.estimate import Amount, Estimate


@options.grouped
def estimate(
    problems: Annotated[str, typer.Argument(help="As for `generate`.")],
    pilot: Annotated[int, typer.Option("--pilot", min=1, help="Problems, drawn at random, that are really done.")] = 20,
    method: Annotated[
        list[str] | None, typer.Option("--method", help="Only this method (repeatable; default: all but consensus).")
    ] = None,
    *,
    price: options.PriceOptions,
    settings: options.MethodOptions,
    engine: options.EngineOptions,
    solutions: options.Solutions = 4,
    sampling: options.SamplingOptions,
    verdicts: options.VerdictOptions,
    source: options.ProblemOptions,
    grader: options.Grader = "math",
    as_json: options.Json = False,
) -> None:
    """Solve and label a few problems, then say what all of them will cost: generating, and each labelling method on top of it.

    The pilot runs every labeler as it is and shares rollouts between them; nothing is written. Ranges hold the truth in 95 of 100
    estimates, as far as they depend on which problems were drawn; hours assume the pilot's speed with the engine busy.

    openr-data estimate problems.jsonl --engine vllm --model Qwen/Qwen2.5-Math-7B-Instruct --price-per-gpu-hour 2.5
    """
    from openr_data.pipelines.config import GenerateConfig
    from openr_data.pipelines.estimate import METHODS
    from openr_data.pipelines.estimate import estimate as run_pilot

    config = GenerateConfig(
        source=source.source(problems, sampling.seed),
        engine=engine.spec(),
        sampling=sampling.sampling(),
        solutions=solutions,
        grader=grader,
        truncated=verdicts.of_truncated,
        ungradable=verdicts.of_ungradable,
    ).checked()
    settings.read_by(tuple(method or METHODS))
    labels, unfit = fitting({name: settings.label_config(name, verdicts) for name in method or METHODS})
    if unfit and (method or not labels):
        raise next(iter(unfit.values()))
    prices = price.prices()
    with err.status("solving and labelling the pilot"):
        result = run_pilot(config, labels, engine.limits(), pilot=pilot, prices=prices)
    if as_json:
        print_json({**asdict(result), "left_out": {name: str(error) for name, error in unfit.items()}})
        return
    show_estimate(result)
    for name, error in unfit.items():
        warn(f"{name} is left out: {error}")


def fitting(labels: Mapping[str, LabelConfig]) -> tuple[dict[str, LabelConfig], dict[str, UsageError]]:
    """The methods that can work with these settings, and what stands in the way of the others."""
    from openr_data.labelers import checked

    fit: dict[str, LabelConfig] = {}
    unfit: dict[str, UsageError] = {}
    for name, label in labels.items():
        try:
            checked(label)
            if label.method == "pav":
                label.check_best_of()
            fit[name] = label
        except UsageError as error:
            unfit[name] = error
    return fit, unfit


def show_estimate(result: Estimate) -> None:
    pilot = result.pilot
    console.print(
        f"pilot: {pilot.problems:,} of {result.problems:,} problems, {pilot.solutions:,} solutions ({pilot.right:.0%} right, "
        f"{pilot.wrong:.0%} wrong; {pilot.steps:.1f} steps, {pilot.tokens:,.0f} tokens each); "
        f"it took {short(pilot.paid.tokens)} tokens, {pilot.tokens_per_second:,.0f} per second. "
        f"Tokens lie between `from` and `to` with {result.level:.0%} confidence."
    )
    console.print(_table(result))
    for name, amount in {"generate": result.generate, **result.label}.items():
        if amount.note:
            warn(f"{name}: {amount.note}")
    if pilot.failed:
        warn(f"the engine could not do {pilot.failed} of the pilot's problems")


def _table(result: Estimate) -> Table:
    """What fits into the terminal: `from` and `to` end the tokens' range, `at most` is the price at its upper end."""
    wanted = ["calls", "prompts", "tokens", "from", "to", "time", *(("price", "at most") if result.generate.price else ())]
    for spare in ("prompts", "calls", "time", "from", None):
        table = _drawn(result, wanted)
        if spare is None or console.measure(table, options=console.options.update(width=1000)).maximum <= console.width:
            break
        wanted.remove(spare)
    return table


def _drawn(result: Estimate, wanted: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("", no_wrap=True)
    for name in wanted:
        table.add_column(name, justify="right", no_wrap=True)
    for stage, amount in {"generate": result.generate, **{f"+ {name}": one for name, one in result.label.items()}}.items():
        cells = _cells(amount)
        table.add_row(stage, *(cells[name] for name in wanted), end_section=stage == "generate")
    return table


def _cells(amount: Amount) -> dict[str, str]:
    return {
        "calls": short(amount.calls.expected),
        "prompts": short(amount.prompt_tokens.expected),
        "tokens": short(amount.tokens.expected),
        "from": short(amount.tokens.low),
        "to": "?" if amount.tokens.high is None else short(amount.tokens.high),
        "time": duration(amount.hours.expected * 3600) if amount.hours else "-",
        "price": f"{amount.price.expected:,.2f}" if amount.price else "-",
        "at most": "?" if amount.price is None or amount.price.high is None else f"{amount.price.high:,.2f}",
    }


def short(count: float) -> str:
    """A large number in three digits.

    >>> short(0), short(873.4), short(12_345), short(4.56e6), short(123e9)
    ('0', '873', '12.3k', '4.56M', '123G')
    """
    scale, unit = next(((s, u) for s, u in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if count >= s), (1.0, ""))
    value = count / scale
    return f"{value:,.0f}{unit}" if not unit or value >= 100 else f"{value:.3g}{unit}"
