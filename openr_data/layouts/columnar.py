"""The layouts whose files are Parquet, by name; all others are files of JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from openr_data.layouts import preference, rlhflow, scan, sft, step_dpo, trl
from openr_data.layouts.arrow import ArrowLayout

_ALL = (trl.ARROW, rlhflow.ARROW, scan.ARROW, step_dpo.ARROW, preference.ARROW, sft.ARROW)

ARROW_LAYOUTS: Mapping[str, ArrowLayout] = MappingProxyType({arrow.layout.name: arrow for arrow in _ALL})
