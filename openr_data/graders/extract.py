r"""Finds the final answer in a whole solution text. Pure string work in linear time; knows nothing of equality.

The first rule that finds something wins; inside a rule, the last place in the text wins:

1. `\boxed{...}` or `\fbox{...}` with balanced braces. Neighbouring boxes joined by no more than "and", "or" or a comma are one
   list. When the last box is never closed, the text was cut off inside its answer: there is none.
2. `#### N` (GSM8K); a line with words after the mark is a heading.
3. A line `# Answer`: what follows it (PRM800K).
4. "final answer is", "answer is", "answer:" and the like: the formula between dollar signs that follows at once, else the
   sentence. Out of a sentence of prose, its last formula, else its last number.
5. The last line that is not blank: its last formula between dollar signs (`$..$`, `\(..\)`, `\[..\]`, `$$..$$`), else the whole
   line when it is a formula or a single word, else its last number.
"""

from __future__ import annotations

import re
from collections import deque

_BOXES = ("\\boxed", "\\fbox")
_JOINT_LIMIT = 40
_BOX_LIMIT = 16
_JOINT = re.compile(
    r"[\s$,;]*(?:\\[\]\[()]|\\quad|\\text\{ ?)?[\s$,;]*(?:and|or|,)[\s$,;}]*(?:\\[\]\[()])?[\s$]*(?:[a-zA-Z] ?= ?)?"
)
_MARKERS = re.compile(r"(?:final answer|answers?) ?(?:\*\*)? ?(?:is|are|=|:)(?![a-z])", re.IGNORECASE)
_FORMULA = re.compile(
    r"\$\$([^$]+)\$\$|(?<!\\)\$((?:[^$\\]|\\[^\n])+)\$|\\\(((?:[^\\]|\\(?![()]))+)\\\)|\\\[((?:[^\\]|\\(?![\[\]]))+)\\\]"
)
_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+(?![\d])|\d+)(?:\.\d+)?(?:/\d+)?%?|-?\.\d+")
_SENTENCE_END = re.compile(r"\.(?=\s|$)|!(?=\s*$)")
_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}")
_TEXT = re.compile(r"\\(?:text|mbox|mathrm)[a-z]* ?\{[^{}]*\}")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_NUMBERED = re.compile(r"\d+[.:)]\s")
_STARTS_ANSWER = re.compile(r"[-+.$\\(\[{\d]|[a-zA-Z](?![a-z])")
_HEADING = re.compile(r"^#{1,3} *(?:Final )?Answer:? *$", re.MULTILINE | re.IGNORECASE)
_HEDGE = re.compile(r"^(?:about|approximately|exactly|roughly|around|only|simply|option|choice|therefore|thus)\s+", re.IGNORECASE)
_TAIL = 4000
"""Rules 4 and 5 look at this many last characters only: an answer is at the end."""


def states_answer(step: str) -> bool:
    r"""Does this step say what the final answer is, by one of the rules 1 to 4?

    >>> states_answer(r"so \boxed{4}"), states_answer("The answer is 4"), states_answer("so 2 + 2 = 4")
    (True, True, False)
    """
    return any(box + "{" in step for box in _BOXES) or "####" in step or _MARKERS.search(step) is not None


def _last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return deque(pattern.finditer(text), maxlen=1).pop() if pattern.search(text) else None


def _closing_brace(text: str, opening: int, end: int) -> int:
    depth = 0
    for at in range(opening, end):
        if text[at] == "{" and text[at - 1] != "\\":
            depth += 1
        elif text[at] == "}" and text[at - 1] != "\\":
            depth -= 1
            if depth == 0:
                return at
    return -1


def _last_box(text: str, end: int) -> tuple[int, int, str | None] | None:
    """Start, end and content of the last box before `end`; content `None` when it is not closed."""
    start, command = max((text.rfind(box, 0, end), box) for box in _BOXES)
    if start < 0:
        return None
    at = start + len(command)
    while at < end and text[at].isspace():
        at += 1
    if at >= end:
        return start, end, None
    if text[at] != "{":
        stop = next((i for i in range(at, end) if text[i].isspace() or text[i] in "$,"), end)
        return start, stop, text[at:stop]
    closing = _closing_brace(text, at, end)
    return (start, closing + 1, text[at + 1 : closing]) if closing >= 0 else (start, end, None)


def _boxed(text: str) -> tuple[bool, str | None]:
    """Whether there is a box, and the answer in it."""
    last = _last_box(text, len(text))
    if last is None:
        return False, None
    start, _, content = last
    if content is None:
        return True, None
    contents = [content]
    while len(contents) < _BOX_LIMIT:
        before = _last_box(text, start)
        if before is None or before[2] is None or start - before[1] > _JOINT_LIMIT or before[2] in contents:
            break
        if not _JOINT.fullmatch(text, before[1], start):
            break
        start = before[0]
        contents.append(before[2])
    return True, ", ".join(reversed(contents)).strip() or None


def _hashes(text: str) -> str | None:
    at = text.rfind("####")
    if at < 0:
        return None
    line = text[at:].lstrip("#").lstrip(" ").partition("\n")[0].strip()
    heading = _NUMBERED.match(line) or len(_WORD.findall(line)) > 2 or not _STARTS_ANSWER.match(line)
    return None if heading else line


def _heading(text: str) -> str | None:
    last = _last_match(_HEADING, text)
    if last is None:
        return None
    lines = [line for line in text[last.end() :].splitlines() if line.strip()]
    return _from_sentence(lines[0]) if lines else None


def _formulas(text: str) -> list[str]:
    """The formulas between delimiters; text between two currency signs is none."""
    contents = (next(group for group in match.groups() if group is not None).strip() for match in _FORMULA.finditer(text))
    return [content for content in contents if content and content[-1] not in "-+*/=(," and not _prose(content)]


def _prose(formula: str) -> bool:
    return len(_WORD.findall(_TEXT.sub("", formula))) > 2


def _last_formula(text: str) -> str | None:
    formulas = _formulas(text)
    return formulas[-1] if formulas else None


def _result(formula: str | None) -> str | None:
    r"""What a formula of the working comes to: `2 + 3 = 5` is 5, and so is `\\cos A = 5`; `x + y = 5` stays."""
    if formula is None or "=" not in formula:
        return formula
    left, _, right = formula.rpartition("=")
    bare = _COMMAND.sub("", _TEXT.sub("", left))
    worked = "=" in left or "\\text" in left or left.lstrip().startswith("\\") or not any(c.isalpha() for c in bare)
    value = _COMMAND.sub("", _TEXT.sub("", right)).strip()
    constant = value not in ("", "0") and not any(c.isalpha() for c in value)
    return right.strip() if worked and constant else formula


def _last_number(text: str) -> str | None:
    last = None
    for match in _NUMBER.finditer(text):
        follows_word = match.start() and match.group()[0] == "-" and (text[match.start() - 1].isalnum())
        last = match.group()[1:] if follows_word else match.group()
    return last


def _from_sentence(text: str) -> str | None:
    """The answer in a short piece of text that holds one: the text itself, or out of prose its last formula or number."""
    text = _HEDGE.sub("", text.strip().strip("*_ ").rstrip(".!"))
    words = len(_WORD.findall(_TEXT.sub("", text)))
    if words > 3 or "$" in text.lstrip("$") or "\\(" in text:
        return _result(_last_formula(text)) or _last_number(text) or (text if words <= 3 else None)
    return text or None


def _marked(text: str) -> str | None:
    last = _last_match(_MARKERS, text)
    if last is None:
        return None
    rest = text[last.end() :].lstrip(" :*=")
    first = _FORMULA.match(rest.lstrip())
    if first and _formulas(first.group()):
        return _with_continuation(rest.lstrip(), first)
    line = rest.lstrip().partition("\n")[0]
    end = _SENTENCE_END.search(line)
    return _from_sentence(line[: end.start()] if end else line)


def _with_continuation(rest: str, first: re.Match[str]) -> str | None:
    """`$1$ and $2$` is one answer of two formulas; anything else ends after the first."""
    contents, at = [_last_formula(first.group())], first.end()
    while len(contents) < _BOX_LIMIT and (joint := re.compile(r",? ?(?:and|or|,) ?").match(rest, at)):
        following = _FORMULA.match(rest, joint.end())
        if following is None:
            break
        contents.append(_last_formula(following.group()))
        at = following.end()
    return ", ".join(c for c in contents if c) or None


def _last_line(text: str) -> str | None:
    line = next((line for line in reversed(text.splitlines()) if line.strip()), "").strip()
    formula = _result(_last_formula(line))
    if formula:
        return formula
    bare = line.strip("*_ ").rstrip(".!")
    words = len(_WORD.findall(bare))
    if bare and (not words or (words == 1 and " " not in bare)):
        return bare
    return _last_number(line)


def extract(response: str) -> str | None:
    r"""The final answer of a solution as it is written there, or `None` when none can be found.

    >>> extract(r"so x = 2, and \boxed{\frac{1}{2}}."), extract("The answer is $5$. I hope it is correct."), extract(r"\boxed{4")
    ('\\frac{1}{2}', '5', None)
    """
    found, answer = _boxed(response)
    if found:
        return answer
    hashes = _hashes(response)
    if hashes:
        return hashes
    tail = response.rstrip()[-_TAIL:]
    return _heading(tail) or _marked(tail) or _last_line(tail)
