"""What to cite: this project, and the paper of the method that labelled or of the data set that was read. Knows no run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from openr_data.data_cards.markup import fenced
from openr_data.errors import InputError

_ENTRY = re.compile(r"^\s*@[A-Za-z]+\s*\{", re.MULTILINE)
_LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper on arXiv; `authors` is the first one, and others."""

    key: str
    title: str
    authors: str
    year: int
    arxiv: str

    @property
    def bibtex(self) -> str:
        return (
            f"@misc{{{self.key},\n  title = {{{self.title}}},\n  author = {{{self.authors} and others}},\n"
            f"  year = {{{self.year}}},\n  eprint = {{{self.arxiv}}},\n  archivePrefix = {{arXiv}}\n}}"
        )


_OMEGAPRM = Paper(
    "luo2024omegaprm",
    "Improve Mathematical Reasoning in Language Models by Automated Process Supervision",
    "Luo, Liangchen",
    2024,
    "2406.06592",
)
_SHEPHERD = Paper(
    "wang2023mathshepherd",
    "Math-Shepherd: Verify and Reinforce LLMs Step-by-step without Human Annotations",
    "Wang, Peiyi",
    2023,
    "2312.08935",
)
_OPENR = Paper(
    "wang2024openr",
    "OpenR: An Open Source Framework for Advanced Reasoning with Large Language Models",
    "Wang, Jun",
    2024,
    "2410.09671",
)

PAPERS: Mapping[str, Paper] = {
    "omegaprm": _OMEGAPRM,
    "adaptive": _OMEGAPRM,
    "math-shepherd": _SHEPHERD,
    "mips": Paper(
        "wang2024mips",
        "Multi-step Problem Solving Through a Verifier: An Empirical Analysis on Model-induced Process Supervision",
        "Wang, Zihan",
        2024,
        "2402.02658",
    ),
    "scan": Paper(
        "ding2025scan",
        "SCAN: Self-Denoising Monte Carlo Annotation for Robust Process Reward Learning",
        "Ding, Yuyang",
        2025,
        "2509.16548",
    ),
    "epicprm": Paper(
        "sun2025epicprm",
        "An Efficient and Precise Training Data Construction Framework for Process-supervised Reward Model "
        "in Mathematical Reasoning",
        "Sun, Wei",
        2025,
        "2503.02382",
    ),
    "genprm": Paper(
        "zhao2025genprm",
        "GenPRM: Scaling Test-Time Compute of Process Reward Models via Generative Reasoning",
        "Zhao, Jian",
        2025,
        "2504.00891",
    ),
    "er-prm": Paper("zhang2024erprm", "Entropy-Regularized Process Reward Model", "Zhang, Hanning", 2024, "2412.11006"),
    "pav": Paper(
        "setlur2024pav",
        "Rewarding Progress: Scaling Automated Process Verifiers for LLM Reasoning",
        "Setlur, Amrith",
        2024,
        "2410.08146",
    ),
    "consensus": Paper(
        "zhang2025lessons",
        "The Lessons of Developing Process Reward Models in Mathematical Reasoning",
        "Zhang, Zhenru",
        2025,
        "2501.07301",
    ),
    "prm800k": Paper("lightman2023verify", "Let's Verify Step by Step", "Lightman, Hunter", 2023, "2305.20050"),
    "processbench": Paper(
        "zheng2024processbench",
        "ProcessBench: Identifying Process Errors in Mathematical Reasoning",
        "Zheng, Chujie",
        2024,
        "2412.06559",
    ),
    "math-aps": _OPENR,
    "math-aps-tree": _OPENR,
    "openr": _OPENR,
}
"""By the name of a labelling method, or of the layout of a published data set that has a paper."""


def project_bibtex(version: str) -> str:
    """The software, as its CITATION.cff has it."""
    return (
        "@software{openr_data,\n  title = {openr-data: an open toolkit for process-supervision data},\n"
        f"  author = {{{{The openr-data authors}}}},\n  version = {{{version}}},\n  license = {{Apache-2.0}}\n}}"
    )


def citation(version: str, methods: Sequence[str]) -> str:
    """The software, and the papers of the methods."""
    papers = dict.fromkeys(PAPERS[method] for method in methods if method in PAPERS)
    entries = [project_bibtex(version), *(paper.bibtex for paper in papers)]
    return "## The software and the methods\n\n" + fenced("\n\n".join(entries), "bibtex")


def cite(bibtex: str) -> str:
    """The data set itself, as its makers want it cited; empty without."""
    return "## Citation\n\n" + fenced(bibtex.strip(), "bibtex") if bibtex else ""


def checked_bibtex(text: str, name: str) -> str:
    """The text, where it is BibTeX. Raises `InputError` otherwise."""
    if not _ENTRY.search(text) or text.count("{") != text.count("}") or len(text) > _LONGEST or "\0" in text:
        raise InputError(f"{name} is no BibTeX: give a file with an entry such as @misc{{key, title = {{...}}}}")
    return text.replace("\r\n", "\n")
