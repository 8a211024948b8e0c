"""The same examples in every run: a property that fails here fails everywhere, and a green run stays green.

`HYPOTHESIS_PROFILE=wide` draws new ones, many more, for those who hunt.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("wide", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
