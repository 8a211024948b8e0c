"""How the field spells labelled solutions: one file per layout, a reading and a writing of plain rows. Opens no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from openr_data.layouts.base import ForeignRow, Layout
from openr_data.layouts.math_aps import MATH_APS
from openr_data.layouts.math_aps_tree import MATH_APS_TREE
from openr_data.layouts.math_shepherd import MATH_SHEPHERD
from openr_data.layouts.openr import OPENR
from openr_data.layouts.openrlhf import OPENRLHF
from openr_data.layouts.preference import PREFERENCE
from openr_data.layouts.prm800k import PRM800K
from openr_data.layouts.processbench import PROCESSBENCH
from openr_data.layouts.rlhflow import RLHFLOW
from openr_data.layouts.scan import SCAN
from openr_data.layouts.sft import SFT
from openr_data.layouts.step_dpo import STEP_DPO
from openr_data.layouts.trl import TRL

_PUBLISHED = (PRM800K, MATH_SHEPHERD, MATH_APS, MATH_APS_TREE, OPENR, OPENRLHF, PROCESSBENCH)
_ALL = (*_PUBLISHED, TRL, RLHFLOW, SCAN, STEP_DPO, PREFERENCE, SFT)

LAYOUTS: Mapping[str, Layout] = MappingProxyType({layout.name: layout for layout in _ALL})
"""Every layout by its name."""


def guess(rows: Sequence[ForeignRow]) -> list[Layout]:
    """The layouts that all of these rows look like; of several, those that explain the most columns."""
    fitting = [layout for layout in LAYOUTS.values() if rows and all(map(layout.matches, rows))]
    explained = {layout.name: sum(name in row for name in layout.columns for row in rows) for layout in fitting}
    most = max(explained.values(), default=0)
    return [layout for layout in fitting if explained[layout.name] == most]
