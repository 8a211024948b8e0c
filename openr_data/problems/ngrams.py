"""Finds questions that hold the words of another list of questions, by hashed n-grams. Knows texts, not files or runs.

A *word* is a run of letters and digits, one ideograph or kana, or one symbol of arithmetic (+ - * / = < > ^ % and their kin, and
! after a number, a letter or a bracket): lower case, after Unicode's compatibility normalisation, without any other sign. The
symbols are what a question of mathematics asks for; without them "1 + 1" and "1 - 1" would be the same two words.

A question holds another one to the share of the other's distinct n-grams of words that it has, too. A question of fewer than n
words has none, and is compared by its whole sequence of words. Overlap of n-grams of normalised words is the measure of GPT-3
(Brown et al. 2020, arXiv 2005.14165, appendix C: n from 8 to 13, one shared n-gram is enough) and, as a share that must be
reached, of PaLM (Chowdhery et al. 2022, arXiv 2204.02311, section 8: 70% of the 8-grams).
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from openr_data.problems.digests import digest, normal_question

Hashes = npt.NDArray[np.uint64]

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+|[+\-*/=<>^%|±×÷·√∑∏∫≈≠≤≥∈∪∩]|(?:(?<=[\d)])|(?<=\b[^\W\d]))!")
_MINUS = str.maketrans({"\u2212": "-", "\u2010": "-", "\u2011": "-"})
_MULTIPLIER = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def words(text: str) -> list[str]:
    r"""The words of a text as they are compared.

    >>> words(r"Find $\frac{1}{2} x^2 - 3$, please!")[:9], words("求 x²")
    (['find', 'frac', '1', '2', 'x', '^', '2', '-', '3'], ['求', 'x2'])
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_MINUS)
    return _WORD.findall(text.casefold())


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A question in hashes: `exact` of its text whatever its white space, `whole` of its sequence of words (0 without any), and
    its distinct `grams`, which a question of fewer than n words has none of. They hold within one process.
    """

    exact: int
    whole: int
    grams: Hashes


def fingerprint(question: str, n: int) -> Fingerprint:
    found = words(question)
    hashed = np.array([hash(word) & _MASK for word in found], np.uint64)
    return Fingerprint(
        digest(normal_question(question)), hash(tuple(found)) & _MASK if found else 0, np.unique(_grams(hashed, n))
    )


def _grams(hashed: Hashes, n: int) -> Hashes:
    """A polynomial of the hashes of n words in a row, modulo 2**64."""
    count = max(0, len(hashed) - n + 1)
    total = np.zeros(count, np.uint64)
    for offset in range(n):
        total = total * np.uint64(_MULTIPLIER) + hashed[offset : offset + count]
    return total


@dataclass(frozen=True, slots=True)
class Match:
    """The question of the index that is held best: its place in the index, the share of it, and whether it is the same text."""

    place: int
    share: float
    exact: bool


class QuestionIndex:
    """The distinct questions of a list, by their hashes: 12 bytes for each n-gram, and no text. `ids` name them."""

    def __init__(self, questions: Iterable[tuple[str, str]], n: int) -> None:
        """`questions`: id and text of each."""
        self.n, self.ids = n, list[str]()
        exact, whole, grams, owners, totals = array("Q"), _Keys(), array("Q"), array("i"), array("i")
        seen: set[int] = set()
        for name, text in questions:
            found = fingerprint(text, n)
            if found.exact in seen:
                continue
            seen.add(found.exact)
            place, count = len(self.ids), len(found.grams)
            self.ids.append(name)
            exact.append(found.exact)
            totals.append(count)
            if count:
                grams.frombytes(found.grams.tobytes())
                owners.extend([place] * count)
            elif found.whole:
                whole.add(found.whole, place)
        self._exact = _Postings(exact, range(len(exact)))
        self._whole = _Postings(whole.keys, whole.places)
        self._grams = _Postings(grams, owners)
        self._totals = np.array(totals, np.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def match(self, question: Fingerprint) -> Match | None:
        """The first of those that are held to the largest share; `None` where nothing is shared."""
        same = self._exact.find(np.array([question.exact], np.uint64))
        if len(same):
            return Match(int(same[0]), 1.0, exact=True)
        if not len(question.grams):
            alike = self._whole.find(np.array([question.whole], np.uint64))
            return Match(int(alike[0]), 1.0, exact=False) if len(alike) else None
        places, counts = np.unique(self._grams.find(question.grams), return_counts=True)
        if not len(places):
            return None
        shares = counts / self._totals[places]
        best = int(np.argmax(shares))
        return Match(int(places[best]), float(shares[best]), exact=False)


class _Keys:
    def __init__(self) -> None:
        self.keys, self.places = array("Q"), array("i")

    def add(self, key: int, place: int) -> None:
        self.keys.append(key)
        self.places.append(place)


class _Postings:
    """Sorted keys with the places that they stand for; a key may stand for several."""

    def __init__(self, keys: array[int], places: Iterable[int]) -> None:
        unsorted = np.array(keys, np.uint64)
        order = np.argsort(unsorted, kind="stable")
        self._keys = unsorted[order]
        self._places = np.fromiter(places, np.int32, len(unsorted))[order]

    def find(self, keys: Hashes) -> npt.NDArray[np.int32]:
        """Every place of every key, in the order of the keys."""
        lows, highs = (np.searchsorted(self._keys, keys, side) for side in _SIDES)
        found = [self._places[lows[k] : highs[k]] for k in np.flatnonzero(highs > lows)]
        return np.concatenate(found) if found else np.empty(0, np.int32)
