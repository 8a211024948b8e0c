r"""One spelling per answer: unicode, LaTeX spacing, sizing and font commands, currency and degree signs. Knows no values.

Every rule is a `str.replace`, a `str.translate` or one pass of a regular expression without nested quantifiers: linear time.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

LENGTH_LIMIT = 2000
"""Longer texts are no final answers: they are left as they are, and graders refuse them."""

_SUPERSCRIPTS = {ord(c): d for c, d in zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ", "0123456789-n", strict=True)}
_FRACTIONS = {
    "½": "1/2",
    "⅓": "1/3",
    "⅔": "2/3",
    "¼": "1/4",
    "¾": "3/4",
    "⅕": "1/5",
    "⅙": "1/6",
    "⅛": "1/8",
    "⅜": "3/8",
    "⅝": "5/8",
    "⅞": "7/8",
}
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u200e"
_SYMBOLS = str.maketrans(
    {c: rf"\frac{{{v[0]}}}{{{v[2]}}}" for c, v in _FRACTIONS.items()}
    | {
        "−": "-", "–": "-", "—": "-", "‐": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*", "÷": "/", "∕": "/", "⁄": "/",
        "π": r"\pi ", "∞": r"\infty ", "≤": r"\leq ", "≥": r"\geq ", "≠": r"\neq ", "±": r"\pm ", "∪": r"\cup ",
        "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ",
        "€": "", "£": "", "。": ".", "，": ",", "\N{NO-BREAK SPACE}": "~", "\N{NARROW NO-BREAK SPACE}": "~",
        "\N{THIN SPACE}": "~",
        **dict.fromkeys(_INVISIBLE, ""),
    }
)  # fmt: skip
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ]+")
_ROOT = re.compile(r"√ ?(\d+|[a-z]|(?=[({]))")
_SPACED_THOUSANDS = re.compile(r"(?<=\d)~(?=\d{3}(?!\d))")
_TEX_THOUSANDS = re.compile(r"(?<=\d)(?:,\\!|\{,\}(?:\\!)?|\\,|\\!,) ?(?=\d{3}(?!\d))")
_COMMANDS = re.compile(r"\\([a-zA-Z]+)(?: *(\*))?")
_TEXT_COMMANDS = ("mathrm", "mathbf", "mathit", "textbf", "textit", "textrm", "mbox", "textnormal", "textsf", "hbox")
_SIZES = (
    *("left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr"),
    *("displaystyle", "textstyle", "limits", "rm", "bf"),
)
_RENAMED = {
    **dict.fromkeys(("dfrac", "tfrac", "cfrac"), r"\frac"),
    **dict.fromkeys(_TEXT_COMMANDS, r"\text"),
    **dict.fromkeys(_SIZES, ""),
    **dict.fromkeys(("quad", "qquad"), " "),
    **dict.fromkeys(("cdot", "times", "ast"), "*"),
    **dict.fromkeys(("degree", "degrees", "circ"), "°"),
    "div": "/", "le": r"\leq", "ge": r"\geq", "ne": r"\neq", "lbrace": r"\{", "rbrace": r"\}", "lbrack": "[", "rbrack": "]",
    "langle": "(", "rangle": ")", "vec": "", "overrightarrow": "",
    "lparen": "(", "rparen": ")", "approxeq": r"\approx", "colon": ":", "leqslant": r"\leq", "geqslant": r"\geq",
    "bmatrix": r"\pmatrix", "varnothing": r"\emptyset", "isin": r"\in", "lvert": "|", "rvert": "|", "percent": "%",
}  # fmt: skip
_ENVIRONMENT = re.compile(r"\{(?:[bvBV]?matrix|smallmatrix|array)\}(?:\{[lcr|]*\})?")
_SPACING = re.compile(r"\\\\|\\[,;:!> ]|\\\n|[~\s]+")
_DEGREES = re.compile(r"(?:\^ ?(?:\{ ?° ?\}|°)|°)(?: ?\\text ?\{ ?[CF] ?\}| ?[CF](?![a-zA-Z]))?")
_STRAY_BACKSLASH = re.compile(r"(?<!\\)\\(?=\d)")
_TEXT_NUMBER = re.compile(r"\\text ?\{ ?(-?\d+(?:\.\d+)?) ?\}")
_TRIGONOMETRY = re.compile(r"\\?(?:arc)?(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_AND = re.compile(r",? ?(?:\\text ?\{,? ?(?:and|or),? ?\}|(?<![a-zA-Z\\{])(?:and|or)(?![a-zA-Z]))")
_PERCENT_WORD = re.compile(
    r" ?(?:\\text ?\{ ?(?:percent|percentage|pct)\.? ?\}|(?<![a-zA-Z\\])(?:percent|percentage|pct)(?![a-zA-Z]))"
)
_LOOSE = re.compile(r" ?([-+*/^_=<>(){}\[\];:|&!%]) ?")
_COMMA = re.compile(r" ?, ?")
_LIST_COMMA = re.compile(r", (?!\d{3}(?!\d))")  # the space in `32, 349` tells a list from a number
_ROMAN_CONSTANT = re.compile(r"\\mathrm ?\{ ?([eid]) ?\}")
_ORDINAL = re.compile(r"(?<=\d)\^(?:\{?\\text ?\{(?:st|nd|rd|th)\}\}?|\{(?:st|nd|rd|th)\})")
_UNIT_QUOTIENT = re.compile(r"\\frac\{\\text ?\{([^{}]*)\}\}\{\\text ?\{([^{}]*)\}\}")
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9}
_SCALE = re.compile(r"(?<=\d) ?(\\text ?\{ ?)?\b(hundred|thousand|million|billion)\b ?(\})?")
_MERIDIEM = re.compile(r"(?<=\d)(?: ?\\text ?\{ ?([ap])\.? ?m\.? ?\}| ([ap])\.? ?m\.?)$", re.IGNORECASE)
_WORDS_AFTER = re.compile(r"(?:(?<=\d) |(?<=%))([a-zA-Z]{2,}(?: [a-zA-Z]+)+)$")
_FORMULA_WORDS = "sin cos tan cot sec csc log ln exp pi sqrt theta inf infinity over times plus minus mod"
_IN_FORMULAS = frozenset(_FORMULA_WORDS.split())


_PLAIN = re.compile(r"-?\d+(?:\.\d+)?")


def _rename(match: re.Match[str]) -> str:
    name, star = match.group(1), match.group(2) or ""
    return _RENAMED.get(name, "\\" + name) + star


def _plain_unicode(text: str) -> str:
    text = _RAISED.sub(lambda m: "^{" + m.group().translate(_SUPERSCRIPTS) + "}", unicodedata.normalize("NFC", text))
    text = text.translate(_SYMBOLS)
    text = _ROOT.sub(lambda m: r"\sqrt" + (f"{{{m.group(1)}}}" if m.group(1) else ""), text)
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def _as_power(match: re.Match[str]) -> str:
    r"""`5 million` is 5*10^{6}; what follows inside the same `\text{...}` stays in one."""
    opened, scale, closed = match.groups()
    tail = " " if bool(opened) == bool(closed) else opened or closed
    return f"*10^{{{_SCALES[scale]}}}{tail}"


def _as_unit(match: re.Match[str]) -> str:
    """Words after a number (`12 red apples`, `1/2 of the cake`) say what is counted; letters (`2 ab cd`) are a formula."""
    words = match.group(1).split()
    formula = _IN_FORMULAS.intersection(words) or max(map(len, words)) < 3
    return match.group() if formula else rf"\text{{{match.group(1)}}}"


def _strip_delimiters(text: str) -> str:
    for opening, closing in (("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)")):
        if text.startswith(opening) and text.endswith(closing) and len(text) >= len(opening) + len(closing):
            text = text[len(opening) : len(text) - len(closing)].strip()
    return text


def _once(text: str) -> str:
    text = _strip_delimiters(_plain_unicode(text).strip())
    text = _ROMAN_CONSTANT.sub(r" \1 ", text.strip("*`").replace("**", "^"))
    text = _SPACED_THOUSANDS.sub("", _TEX_THOUSANDS.sub("", text))
    text = _STRAY_BACKSLASH.sub("", text)
    text = _COMMANDS.sub(_rename, text.replace(r"\$", "").replace("$", "").replace(r"\%", "%"))
    text = _TEXT_NUMBER.sub(r" \1 ", _ENVIRONMENT.sub("{pmatrix}", text))
    text = _SPACING.sub(lambda m: m.group() if m.group() == "\\\\" else " ", text)
    text = text.replace("\\\\ ", "\\\\").replace(" \\\\", "\\\\")
    degrees = r"^{\\circ}" if _TRIGONOMETRY.search(text) else ""  # tan 15° is not tan 15; 90° and 90 are one answer
    text = _PERCENT_WORD.sub("%", _DEGREES.sub(degrees, text))
    text = _AND.sub(", ", text)
    text = _LOOSE.sub(r"\1", _LOOSE.sub(r"\1", text))
    text = _UNIT_QUOTIENT.sub(r"\\text{\1/\2}", _ORDINAL.sub("", text))
    text = _SCALE.sub(_as_power, text)
    text = _MERIDIEM.sub(lambda m: rf"\text{{{(m.group(1) or m.group(2)).lower()}m}}", text.rstrip(" .,;:"))
    text = _WORDS_AFTER.sub(_as_unit, text)
    text = _LIST_COMMA.sub(",", _COMMA.sub(lambda m: m.group().lstrip(), text))
    return text.rstrip(" .,;:").lstrip()


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    r"""The canonical spelling of an answer; applying it again changes nothing. Over-long text comes back stripped only.

    >>> normalise(r"$\left( \dfrac{1}{2}, 90^\circ \right).$")
    '(\\frac{1}{2},90)'
    >>> normalise("11,\\! 111,\\! 100"), normalise("x² − ½")
    ('11111100', 'x^{2}-\\frac{1}{2}')
    """
    if len(text) > LENGTH_LIMIT:
        return text.strip()
    if _PLAIN.fullmatch(text):
        return text
    for _ in range(16):  # what one pass uncovers (a unit behind a stripped sign), the next one spells; two or three settle it
        before, text = text, _once(text)
        if text == before:
            break
    return text
