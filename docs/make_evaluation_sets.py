"""Writes the digests of evaluation sets' questions: `python docs/make_evaluation_sets.py "MATH-500=math500.jsonl" ...`.

The sets that are not named keep theirs.
"""

from __future__ import annotations

import json
import sys

from openr_data.problems import ProblemSource, usable_problems
from openr_data.problems.evaluation_sets import DIGESTS, words_digest


def main() -> None:
    found = json.loads(DIGESTS.read_text(encoding="utf-8")) if DIGESTS.exists() else {}
    for named in sys.argv[1:]:
        name, _, location = named.partition("=")
        digests = {words_digest(each.question) for each in usable_problems(ProblemSource(location))}
        found[name] = "".join(sorted(digests))
        sys.stdout.write(f"{name}: {len(digests)} questions\n")
    DIGESTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
