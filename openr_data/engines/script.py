"""The script of the scripted engine: its policy, its speed and its faults, as one frozen value. Knows nothing of sampling."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from hashlib import blake2b
from typing import Literal

from openr_data.errors import UsageError
from openr_data.types import FinishReason

DEFAULT_STEPS = 8
_RATES = ("fail", "fatal", "lost", "truncate", "garbage", "slow", "success")
_SPEED = frozenset({"latency", "token_latency", "slow", "slow_seconds", "slots", "fail", "fail_times", "crash_after", "crash"})
_LATER = frozenset({"vary", "uneven"})
_MOST_UNEVEN = 20.0


@dataclass(frozen=True, slots=True)
class Canned:
    """A completion written down in the script. `token_count` of None: its words are counted."""

    text: str
    finish_reason: FinishReason = "stop"
    token_count: int | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """How the scripted engine behaves. Rates are probabilities, times are seconds.

    Policy (see `openr_data.engines.chain`): `steps` is the length of a chain where the question does not say one; `error` the
    probability u of a wrong step from a right state and `recovery` the probability rho of a right step from a wrong state, each
    one number or one per step (the last repeats); `success`, when given, replaces `error` by the constant u that makes a chain
    from the question alone end right that often. `vary=1` draws `success` for each question, from Beta(1.2, 1.2) cut to
    (.05, .95); `uneven` (0: not at all; 1: exponential; 5: a few hard steps carry nearly all the error) makes steps differ by
    powers of exponential draws. Both are drawn from a hash of the question. `phrasings` (1-16) equally likely wordings of a
    step; `tokens_per_step` pads a step to that many tokens.
    Speed: every sample takes `latency` + `token_latency` per token, in one of `slots` places; `slow` of them take
    `slow_seconds` more.
    Faults per sample: `lost` (finish reason `error`), `truncate` (finish reason `length`), `garbage` (no final answer).
    Faults per call: `fail` raises a retryable error `fail_times` times and then answers, `fatal` always raises a final one.
    `context` bounds prompt and completion in tokens (0: no bound). From sample number `crash_after` on the engine is dead
    (`crash=error`), or its process is (`crash=kill`).
    `completions` replaces the policy by fixed texts: sample i of a key is its entry i modulo their number. A key is the whole
    prompt, or the text of the prefix, or the question, or `*`; the first of these that is there counts.
    """

    steps: int = DEFAULT_STEPS
    error: tuple[float, ...] = (0.08,)
    recovery: tuple[float, ...] = (0.02,)
    success: float = 0.0
    vary: int = 0
    uneven: float = 0.0
    phrasings: int = 1
    tokens_per_step: int = 0
    latency: float = 0.0
    token_latency: float = 0.0
    slots: int = 256
    slow: float = 0.0
    slow_seconds: float = 1.0
    lost: float = 0.0
    truncate: float = 0.0
    garbage: float = 0.0
    fail: float = 0.0
    fail_times: int = 1
    fatal: float = 0.0
    context: int = 0
    crash_after: int = 0
    crash: Literal["error", "kill"] = "error"
    completions: Mapping[str, tuple[Canned, ...]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of everything that decides what completions say; speed and passing faults are left out."""
        told = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _SPEED and not self._later(f.name)}
        told["completions"] = [
            (key, [(c.text, c.finish_reason, c.token_count) for c in value]) for key, value in sorted(self.completions.items())
        ]
        return blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=6).hexdigest()

    def _later(self, name: str) -> bool:
        """Fields that came later count only when they are used: older scripts keep their digest, and with it their journals."""
        return name in _LATER and not getattr(self, name)


def parse_script(text: str) -> Script:
    """Read `key=value,key=value` or a JSON object; "" is the default script. Raises `UsageError`.

    >>> parse_script("steps=12,error=0.1|0.3,recovery=0").error
    (0.1, 0.3)
    >>> parse_script('{"completions": ["The answer is 4"]}').completions["*"][0].text
    'The answer is 4'
    """
    stripped = text.strip()
    pairs: Mapping[str, object] = _json_object(stripped) if stripped.startswith("{") else _pairs(stripped)
    script = Script(**{key: _value(key, value) for key, value in pairs.items()})  # type: ignore[arg-type]  # `_value` converts by field
    for name in _RATES:
        if not 0.0 <= getattr(script, name) <= 1.0:
            raise UsageError(f"the script's {name} is a probability: give a number from 0 to 1")
    if "success" in pairs and not script.success:
        raise UsageError("a script whose policy never succeeds has no success: give error=1,recovery=0 instead")
    _check_difficulty(script)
    if not 1 <= script.phrasings <= 16 or script.steps < 1 or script.slots < 1:
        raise UsageError("the script needs steps and slots of at least 1 and phrasings from 1 to 16")
    return script


def _check_difficulty(script: Script) -> None:
    if script.vary > 1 or script.uneven > _MOST_UNEVEN:
        raise UsageError(f"the script's vary is 0 or 1, and its uneven at most {_MOST_UNEVEN:.0f}")
    if script.vary and script.success:
        raise UsageError("the script has success, one number for every question, and vary, which draws it for each: give one")
    if script.uneven and not (script.vary or script.success):
        raise UsageError("the script's uneven shares out a success probability among the steps: give success or vary=1 too")


def _json_object(text: str) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the script is not valid JSON ({error}); write key=value,key=value or a JSON object") from None
    return value if isinstance(value, dict) else {}


def _pairs(text: str) -> Mapping[str, object]:
    pairs: dict[str, object] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals or key.strip() in pairs:
            raise UsageError(f"the script has '{part}' where one key=value was expected")
        pairs[key.strip()] = value.strip()
    return pairs


def _value(key: str, value: object) -> object:
    convert = _CONVERT.get(key)
    if convert is None:
        close = get_close_matches(key, _CONVERT, 1)
        raise UsageError(
            f"the script has no '{key}'; " + (f"did you mean '{close[0]}'?" if close else f"known: {', '.join(_CONVERT)}")
        )
    try:
        return convert(value)
    except (ValueError, TypeError):
        raise UsageError(f"the script's {key} cannot be {value!r}") from None


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or int(value) < 0:
        raise ValueError
    return int(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not 0.0 <= float(value) < float("inf"):
        raise ValueError
    return float(value)


def _rates(value: object) -> tuple[float, ...]:
    parts = value.split("|") if isinstance(value, str) else value if isinstance(value, list) else [value]
    rates = tuple(_number(part) for part in parts)
    if not rates or max(rates) > 1.0:
        raise ValueError
    return rates


def _crash(value: object) -> str:
    if value not in {"error", "kill"}:
        raise ValueError
    return str(value)


def _completions(value: object) -> Mapping[str, tuple[Canned, ...]]:
    entries = {"*": value} if isinstance(value, list) else value
    if not isinstance(entries, dict) or not all(isinstance(texts, list) and texts for texts in entries.values()):
        raise ValueError
    return {str(key): tuple(_canned(text) for text in texts) for key, texts in entries.items()}


def _canned(value: object) -> Canned:
    if isinstance(value, str):
        return Canned(value)
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise ValueError
    canned = Canned(**value)
    if canned.finish_reason not in {"stop", "length", "error"}:
        raise ValueError
    return canned if canned.token_count is None else replace(canned, token_count=_whole(canned.token_count))


_CONVERTERS: Mapping[str, Callable[[object], object]] = {"int": _whole, "float": _number, "tuple[float, ...]": _rates}
_CONVERT: Mapping[str, Callable[[object], object]] = {
    **{f.name: _CONVERTERS[str(f.type)] for f in fields(Script) if str(f.type) in _CONVERTERS},
    "crash": _crash,
    "completions": _completions,
}
