"""Exit status 0 if vLLM on this processor ends with an illegal instruction, 1 if it starts, or fails in another way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

_START = """
from openr_data.engines.builtin import WEIGHTS
from vllm import LLM

if __name__ == "__main__":
    LLM(str(WEIGHTS), enforce_eager=True, max_model_len=64).generate("Start", use_tqdm=False)
"""


def main() -> int:
    program = subprocess.run(
        [sys.executable, "-c", _START],
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},  # the processes that vLLM starts report the signal themselves
        capture_output=True,
        text=True,
        check=False,
    )
    illegal = "Illegal instruction" in program.stderr or program.returncode == -signal.SIGILL
    return 0 if illegal else 1


if __name__ == "__main__":
    sys.exit(main())
