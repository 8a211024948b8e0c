"""kill -9 at random moments of `publish` against the stand-in Hub, then publish again: what did readers see, and what is there?

.venv/bin/python benchmarks/publish_kills.py [--kills 10] [--seeds 3] [--mode lfs xet]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from publish_crashes import Crashes, Kill


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--mode", nargs="+", choices=("lfs", "xet"), default=["lfs", "xet"])
    arguments = parser.parse_args()
    heads = (
        f"{'kills':>5} {'killed while old':>16} {'new':>4} {'looks':>6} {'neither':>7} {'end new':>7} {'commits':>7} {'tags':>7}"
    )
    print(f"{'mode':<5} {'seed':>4} {heads} {'clean s':>8}")
    bad = 0
    for mode in arguments.mode:
        with tempfile.TemporaryDirectory() as folder:
            crashes = Crashes(Path(folder), mode)
            for seed in range(arguments.seeds):
                rng = random.Random(seed)
                kills = [crashes.kill(rng, number) for number in range(arguments.kills)]
                print(f"{mode:<5} {seed:>4} {_row(kills)} {crashes.seconds:>8.1f}", flush=True)
                bad += sum(kill.others > 0 or not kill.ends_new for kill in kills)
    sys.exit(bad > 0)


def _row(kills: list[Kill]) -> str:
    states = [sum(kill.state == state for kill in kills) for state in ("old", "new")]
    looks, others = sum(kill.looks for kill in kills), sum(kill.others for kill in kills)
    commits = ",".join(str(count) for count in sorted({kill.commits for kill in kills}))
    tags = "|".join(sorted({" ".join(kill.tags) for kill in kills}))
    ends = sum(kill.ends_new for kill in kills)
    return f"{len(kills):>5} {states[0]:>16} {states[1]:>4} {looks:>6} {others:>7} {ends:>7} {commits:>7} {tags:>5}"


if __name__ == "__main__":
    main()
