"""Under which licence well-known sources of problems and labels were published. Says nothing of a source it does not know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

NOT_STATED = "not stated"

_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")


@dataclass(frozen=True, slots=True)
class Licence:
    """`licence` is the identifier of the Hub, or `NOT_STATED` where the publisher states none; `where` is where it stands."""

    title: str
    licence: str
    where: str


_MATH = Licence("MATH", "mit", "github.com/hendrycks/math, LICENSE")
_GSM8K = Licence("GSM8K", "mit", "the card of openai/gsm8k")
_PRM800K = Licence("PRM800K", "mit", "github.com/openai/prm800k, LICENSE; the problems are those of MATH")
_BENCH = Licence("ProcessBench", "apache-2.0", "the card of Qwen/ProcessBench")
_SHEPHERD = Licence(
    "Math-Shepherd", NOT_STATED, "the card of peiyi9979/Math-Shepherd names none; the problems are those of GSM8K and MATH"
)
_BUILTIN = Licence("the built-in generator of arithmetic", "apache-2.0", "it is part of openr-data")
_MATH_500 = Licence("MATH-500", "mit", "a choice from MATH that PRM800K published")

_KNOWN: Mapping[str, Licence] = {
    "builtin": _BUILTIN,
    "builtin:arithmetic": _BUILTIN,
    "openai/gsm8k": _GSM8K,
    "gsm8k": _GSM8K,
    "math": _MATH,
    "math-500": _MATH_500,
    "prm800k": _PRM800K,
    "processbench": _BENCH,
    "math-shepherd": _SHEPHERD,
    "hendrycks/competition_math": _MATH,
    "eleutherai/hendrycks_math": _MATH,
    "huggingfaceh4/math-500": _MATH_500,
    "openai/prm800k": _PRM800K,
    "trl-lib/prm800k": _PRM800K,
    "qwen/processbench": _BENCH,
    "peiyi9979/math-shepherd": _SHEPHERD,
}
_LAYOUTS: Mapping[str, Licence] = {"prm800k": _PRM800K, "processbench": _BENCH, "math-shepherd": _SHEPHERD}


def licence_of(source: str) -> Licence | None:
    """Of a source by its name in the rows, on the Hub, or of its file; `None` where nothing is known. A name proves nothing.

    >>> licence_of("openai/gsm8k").licence, licence_of("my_gsm8k.jsonl")
    ('mit', None)
    """
    return _KNOWN.get(source.lower())


def licence_of_layout(layout: str) -> Licence | None:
    """Of the data set that a layout was made for: that of a file in this layout, where the file is that data set."""
    return _LAYOUTS.get(layout)


def is_identifier(licence: str) -> bool:
    """Is this spelt as the Hub spells its licences, such as `apache-2.0`?

    >>> is_identifier("mit"), is_identifier("MIT License")
    (True, False)
    """
    return _IDENTIFIER.fullmatch(licence) is not None
