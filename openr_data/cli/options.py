"""Options that several commands share, declared once; the commands fold them into one frozen configuration value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_ENGINE = "Engine"
_SAMPLING = "Sampling"
_INPUT = "Input"
_RUN = "Run"

Out = Annotated[Path, typer.Option("--out", "-o", help="Run directory to write.", show_default=False, rich_help_panel=_RUN)]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --out.", rich_help_panel=_RUN)]
Fork = Annotated[
    Path | None,
    typer.Option("--fork", help="Start from a copy of this run: its completions are reused.", rich_help_panel=_RUN),
]
Reuse = Annotated[
    list[Path] | None,
    typer.Option("--reuse", help="Another run whose completions answer equal requests (repeatable).", rich_help_panel=_RUN),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Print the resolved configuration and the first real prompt; load no model.", rich_help_panel=_RUN
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=_RUN)]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first row that cannot be used.", rich_help_panel=_RUN)]
ShardSize = Annotated[int, typer.Option("--shard-size", min=1, help="Problems per shard.", rich_help_panel=_RUN)]
Format = Annotated[
    str, typer.Option("--format", help="parquet, or arrow to add `load_from_disk` data sets.", rich_help_panel=_RUN)
]
InFlight = Annotated[
    int, typer.Option("--in-flight", min=0, help="Problems worked on at once (0: fitted to the engine).", rich_help_panel=_RUN)
]
MaxFailures = Annotated[
    int, typer.Option("--max-failures", min=0, help="Problems that may fail before the run stops.", rich_help_panel=_RUN)
]

Engine = Annotated[
    str, typer.Option("--engine", "-e", help="builtin, transformers, vllm, openai or scripted.", rich_help_panel=_ENGINE)
]
Model = Annotated[str, typer.Option("--model", "-m", help="Local path or Hub name.", rich_help_panel=_ENGINE)]
Revision = Annotated[str, typer.Option("--revision", help="Model revision on the Hub.", rich_help_panel=_ENGINE)]
Template = Annotated[
    str, typer.Option("--template", help="Prompt template: auto, builtin, plain, boxed, boxed-user.", rich_help_panel=_ENGINE)
]
Dtype = Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16, float16 or float64.", rich_help_panel=_ENGINE)]
Api = Annotated[str, typer.Option("--api", help="completions or chat (openai engine).", rich_help_panel=_ENGINE)]
Script = Annotated[str, typer.Option("--script", help="Settings of the scripted engine: key=value,...", rich_help_panel=_ENGINE)]
BaseUrl = Annotated[
    list[str] | None,
    typer.Option("--base-url", help="Server address, such as http://127.0.0.1:8000/v1 (repeatable).", rich_help_panel=_ENGINE),
]
ApiKeyEnv = Annotated[
    str, typer.Option("--api-key-env", help="Environment variable that holds the key.", rich_help_panel=_ENGINE)
]
Slots = Annotated[
    int, typer.Option("--slots", min=0, help="Sequences generated at once (0: the engine's choice).", rich_help_panel=_ENGINE)
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.", rich_help_panel=_ENGINE)]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for one request.", rich_help_panel=_ENGINE)]
TensorParallel = Annotated[
    int, typer.Option("--tensor-parallel", min=1, help="GPUs that share one model (vllm).", rich_help_panel=_ENGINE)
]
MaxModelLen = Annotated[
    int, typer.Option("--max-model-len", min=0, help="Context length (0: the model's own).", rich_help_panel=_ENGINE)
]

GpuMemory = Annotated[
    float, typer.Option("--gpu-memory", min=0.05, max=1.0, help="Share of the GPU's memory to use.", rich_help_panel=_ENGINE)
]

Temperature = Annotated[float, typer.Option("--temperature", "-t", min=0.0, help="0 is greedy.", rich_help_panel=_SAMPLING)]
TopP = Annotated[float, typer.Option("--top-p", min=0.0, max=1.0, help="1 switches it off.", rich_help_panel=_SAMPLING)]
TopK = Annotated[int, typer.Option("--top-k", min=0, help="0 switches it off.", rich_help_panel=_SAMPLING)]
MaxTokens = Annotated[int, typer.Option("--max-tokens", min=1, help="Tokens per completion.", rich_help_panel=_SAMPLING)]
Stop = Annotated[list[str] | None, typer.Option("--stop", help="Ends a completion (repeatable).", rich_help_panel=_SAMPLING)]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the run.", rich_help_panel=_SAMPLING)]
Truncated = Annotated[
    str,
    typer.Option("--truncated", help="Rollouts cut by the token limit: unknown, wrong or graded.", rich_help_panel=_SAMPLING),
]

Ungradable = Annotated[
    str,
    typer.Option("--ungradable", help="Texts without an answer that can be read: unknown or wrong.", rich_help_panel=_SAMPLING),
]

Split = Annotated[str, typer.Option("--split", help="Split of a Hub data set.", rich_help_panel=_INPUT)]
ConfigName = Annotated[str, typer.Option("--config-name", help="Configuration of a Hub data set.", rich_help_panel=_INPUT)]
DataRevision = Annotated[str, typer.Option("--data-revision", help="Revision of a Hub data set.", rich_help_panel=_INPUT)]
QuestionField = Annotated[str, typer.Option("--question-field", help="Column of the question.", rich_help_panel=_INPUT)]
AnswerField = Annotated[str, typer.Option("--answer-field", help="Column of the answer.", rich_help_panel=_INPUT)]
IdField = Annotated[str, typer.Option("--id-field", help="Column of the id.", rich_help_panel=_INPUT)]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Use the first N rows (0: all).", rich_help_panel=_INPUT)]
Count = Annotated[int, typer.Option("--count", min=1, help="Problems of the built-in task.", rich_help_panel=_INPUT)]
Difficulty = Annotated[
    int, typer.Option("--difficulty", min=0, help="Operations per built-in problem (0: the default).", rich_help_panel=_INPUT)
]
Grader = Annotated[str, typer.Option("--grader", help="math (math-verify behind a fast path) or exact.", rich_help_panel=_INPUT)]
