"""`openr-data prm serve`: a process reward model behind vLLM's HTTP server."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from openr_data.cli.console import out


def serve(
    model: Annotated[str, typer.Argument(help="A folder or Hub name of a process reward model.", show_default=False)],
    options: Annotated[
        list[str] | None, typer.Argument(help="Further options of vLLM, behind --.", metavar="[-- VLLM OPTIONS]")
    ] = None,
    *,
    host: Annotated[str, typer.Option("--host", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to listen at.")] = 8000,
    dtype: Annotated[
        str, typer.Option("--dtype", help="auto (bfloat16 on CUDA, float32 on a CPU) or a format of torch.")
    ] = "auto",
    revision: Annotated[str, typer.Option("--revision", help="Branch, tag or commit of a model on the Hub.")] = "",
    style: Annotated[str, typer.Option("--style", help="How a model of others is asked, where its files do not say.")] = "",
    print_only: Annotated[
        bool, typer.Option("--print", "--dry-run", help="Print the command and the request; start nothing.")
    ] = False,
) -> None:
    """Start vLLM's server with the options that this model needs, after printing a request to it.

    `openr-data prm score ... --prm MODEL --backend http --base-url http://127.0.0.1:8000` then asks it. The key of a server with
    one is read from the environment variable VLLM_API_KEY, here and there.

    openr-data prm serve my-prm --port 8000 -- --tensor-parallel-size 2
    """
    from openr_data.prm.score.vllm import refuse_absent
    from openr_data.prm.serve import service_of

    if not print_only:
        refuse_absent()
    service = service_of(model, revision=revision, style=style, host=host, port=port, dtype=dtype, extra=tuple(options or ()))
    for what, words in (("Starts vLLM with", service.shell), ("Once it is up, ask it with", service.curl)):
        out.print(f"{what}:\n{words}\n", markup=False, soft_wrap=True)
    if print_only:
        return
    sys.stdout.flush()
    os.execve(service.command[0], service.command, {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", **os.environ})  # noqa: S606
