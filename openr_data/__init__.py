"""openr-data: the open toolkit for process-supervision data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openr_data.pipelines.loading.corpus import Corpus as Corpus
    from openr_data.pipelines.loading.load import load as load

    __version__: str
else:  # type checkers would believe that every name exists

    def __getattr__(name: str) -> Any:
        """What the package offers, looked up on use: importing it, or a `--help`, stays instant."""
        from importlib import import_module
        from importlib.metadata import version

        if name == "__version__":
            return version("openr-data")
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_PLACES[name]), name)


_PLACES = {"load": "openr_data.pipelines.loading.load", "Corpus": "openr_data.pipelines.loading.corpus"}


def __dir__() -> list[str]:
    return sorted([*globals(), "__version__", *_PLACES])
