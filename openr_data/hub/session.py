"""A while with `huggingface_hub`: quiet, with time limits, its warnings caught. Leaves the library as it was."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from openr_data.errors import HubError
from openr_data.hub.faults import is_fault
from openr_data.hub.secrets import Token, cleared

_SECONDS = 300.0
"""The longest silence of a connection. The library has no limit of its own."""
_LOGGERS = ("huggingface_hub", "hf_xet", "httpx", "httpx2", "httpcore", "httpcore2")
"""They write down addresses and headers, and with them signatures and tokens."""


def endpoint() -> str:
    """The Hub, or the one that HF_ENDPOINT names now."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def find_token() -> Token | None:
    """The token that `huggingface_hub` would use: of HF_TOKEN or of `hf auth login`."""
    from huggingface_hub import get_token

    try:
        text = get_token()
    except Exception as error:
        if not is_fault(error):
            raise
        said = cleared(str(error))
    else:
        if text and not text.isascii():
            raise HubError("the token for the Hub has characters that no token has; copy it again into HF_TOKEN")
        return Token(text) if text else None
    raise HubError(f"the token for the Hub cannot be had ({said}); set HF_TOKEN to one")


@contextmanager
def quiet_library() -> Iterator[None]:
    """Its log names signed addresses, and its bars are drawn over ours; what it has to say comes as an error or from us."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import _http

    factory = getattr(_http, "_GLOBAL_CLIENT_FACTORY", _http.default_client_factory)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    set_client_factory(lambda: _limited(factory()))
    try:
        with _no_bars(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        set_client_factory(factory)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _limited(client: Any) -> Any:
    client.timeout = _SECONDS
    return client


@contextmanager
def _no_bars() -> Iterator[None]:
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()
