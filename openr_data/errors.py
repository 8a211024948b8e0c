"""Errors that a user can act on. The command line prints them as one line and exits with `exit_code`; anything else is a bug."""

from __future__ import annotations


class OpenRDataError(Exception):
    """A mistake or a fault outside the program, told in one sentence."""

    exit_code = 1


class UsageError(OpenRDataError):
    """An option, a name or a value that cannot be used."""

    exit_code = 2


class InputError(OpenRDataError):
    """A file or data set that cannot be read, or holds nothing that can be used."""

    exit_code = 3


class RunDirError(OpenRDataError):
    """A run directory that belongs to another run, another version, or another process; or is damaged."""

    exit_code = 4


class EngineError(OpenRDataError):
    """The engine could not answer. `retryable` tells a passing fault from a final one."""

    exit_code = 5

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class ContextOverflow(EngineError):
    """The prompt does not fit the model's context: this one item cannot be sampled, the others can."""


class StorageError(OpenRDataError):
    """The disk refused to take data (full, read-only, failing). Nothing was acknowledged after it."""

    exit_code = 6


class TooManyFailures(OpenRDataError):
    """More items failed than `--max-failures` allows. What finished is on disk; run again to continue."""

    exit_code = 7


class HubError(OpenRDataError):
    """The Hub, or another place to publish to, refused or could not be reached. Readers there see the version they saw before."""

    exit_code = 8


class Interrupted(OpenRDataError):
    """Stopped by the user; what finished is on disk."""

    exit_code = 130
