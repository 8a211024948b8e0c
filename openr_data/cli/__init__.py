"""The command line: folds options into one configuration value, calls a pipeline, shows what came out."""

from __future__ import annotations

import errno
import os
import sys

from openr_data.errors import OpenRDataError, StorageError, UsageError

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
_PATH = {errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP}


def main() -> None:
    """Run the command; a mistake or fault that a user can act on becomes one line and its exit code."""
    try:
        from openr_data.cli.app import app

        app(prog_name="openr-data")
    except OpenRDataError as error:
        _fail(str(error))
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # Whoever read our output has gone; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:
        if error.errno in _PATH and error.filename is not None:
            reason = os.strerror(error.errno or 0)
            _fail(f"{error.filename} cannot be used ({reason}); choose another path, or change its permissions")
            raise SystemExit(UsageError.exit_code) from None
        if error.errno not in _DISK:
            raise
        _fail(f"the disk refused to take data ({os.strerror(error.errno or 0)}); free space and run again with --resume")
        raise SystemExit(StorageError.exit_code) from None


def _fail(message: str) -> None:
    from openr_data.cli.console import fail

    fail(message)
