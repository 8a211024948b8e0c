"""The page from its parts: styles and scripts inlined, and a policy that lets nothing else run and nothing at all load.

Knows HTML and the assets of this package, not what the data means.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files

GENERATOR = '<meta name="generator" content="openr-data view">'
"""Stands near the top of every page: a file with it may be made again."""

STYLES = ("base.css", "browse.css", "detail.css", "figures.css", "print.css")
SCRIPTS = (
    "dom.js",
    "data.js",
    "values.js",
    "tooltip.js",
    "text.js",
    "filters.js",
    "table.js",
    "solution.js",
    "tree.js",
    "detail.js",
    "charts.js",
    "overview.js",
    "browse.js",
    "main.js",
)
_IMPORT = re.compile(r"^import (\{[^}]*\}) from \"\./([a-z]+)\.js\";$", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:(?:async )?function|const|let) (\w+))", re.MULTILINE)


def page(title: str, index: str, blocks: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The text of the page in pieces. `index` and each (name, text) of `blocks` are packed data (see `blocks`).

    The page draws itself from the index while the blocks behind it are still being read.
    """
    style, library, program = stylesheet(), _library(), script()
    for part in (library, program):
        if "</script" in part.lower() or "<!--" in part:
            raise ValueError("a script of the page holds markup that would end it")
    values = {
        "policy": policy(style, library, program),
        "generator": GENERATOR,
        "title": html.escape(title),
        "style": style,
        "index": index,
        "library": library,
        "program": program,
    }
    head, tail = asset("page.html").split("<!-- blocks -->")
    yield re.sub(r"<!-- (\w+) -->", lambda found: values[found[1]], head)
    for name, text in blocks:
        yield f'<script type="text/plain" id="{html.escape(name)}">{text}</script>\n'
    yield tail


def policy(style: str, *scripts: str) -> str:
    """A Content-Security-Policy: these styles and scripts alone, nothing loads, and no text can be made into markup."""
    allowed = " ".join(_hash(each) for each in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


@cache
def stylesheet() -> str:
    return "\n".join([asset("vendor/temml.css"), *(asset(f"css/{name}") for name in STYLES)])


def _library() -> str:
    """Temml with its licence, which asks to go wherever it goes."""
    return f"/*\nTemml 0.13.5, https://temml.org\n\n{asset('vendor/LICENSE-temml')}*/\n{asset('vendor/temml.min.js')}"


@cache
def script() -> str:
    """The modules in their order, each a function that returns what it exports: a page from a file may import nothing."""
    return '(() => {\n"use strict";\n' + "\n".join(map(_module, SCRIPTS)) + "\n})();"


def _module(name: str) -> str:
    text = asset(f"js/{name}")
    exported = ", ".join(_EXPORT.findall(text))
    body = _EXPORT.sub("", _IMPORT.sub(r"const \1 = module_\2;", text))
    return f"const module_{name.removesuffix('.js')} = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();"


@cache
def asset(name: str) -> str:
    return files("openr_data.pages").joinpath("assets", *name.split("/")).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
