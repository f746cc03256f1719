"""Keeps what the process holds in memory, its keys among it, from being written to a disk."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def forbid_core_dumps() -> None:
    """No core file, now and in child processes; on Linux no pipe to a crash handler either.

    A crash handler that is named in core_pattern gets its dump whatever the limit is, but none
    of a process that is not dumpable. Such a process can be traced by root alone, who can still
    look into it with gdb or py-spy. Never raises: a machine may have limits of its own.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415  not on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
