"""Questions of well-known evaluation sets, by digest: they are recognised under any name, and are not in the package.

`python docs/make_evaluation_sets.py NAME=FILE...` writes the digests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path

from openr_data.problems.ngrams import words

DIGESTS = Path(__file__).with_name("evaluation_sets.json")


def words_digest(question: str) -> str:
    """Of its words, as `ngrams.words` has them: white space, case and punctuation make no difference.

    >>> words_digest("What is $2+2$?") == words_digest("what is 2 + 2")
    True
    """
    return blake2b(" ".join(words(question)).encode(), digest_size=6).hexdigest()


def evaluation_set_of(question: str) -> str:
    """The evaluation set that has this question, or nothing."""
    return _names().get(words_digest(question), "")


@cache
def _names() -> Mapping[str, str]:
    stored: Mapping[str, str] = json.loads(DIGESTS.read_text(encoding="utf-8"))
    return {run[at : at + 12]: name for name, run in stored.items() for at in range(0, len(run), 12)}
