"""The extra `rl`: whether TRL is there, in the version that the override is held to."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from openr_data.errors import UsageError

_WANTED = "1.16."


def check_extra() -> None:
    """Raises `UsageError` that names the command which installs it."""
    try:
        found = version("trl")
    except PackageNotFoundError:
        raise UsageError("--trainer trl needs TRL: pip install 'openr-data[rl]'") from None
    if not found.startswith(_WANTED):
        raise UsageError(f"--trainer trl needs TRL {_WANTED}x and finds {found}: pip install 'openr-data[rl]'")
