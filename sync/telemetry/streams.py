"""stdout and stderr whose disk is full, or whose reader has gone.

What is said there may be lost; what is done, and the exit code, may not.
"""

from __future__ import annotations

import contextlib
import os
import sys


def tell(text: str) -> None:
    """A line on stderr, where it takes one."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201  where there is no log


def promise(line: str) -> bool:
    """The promised last line of stdout; False, and told on stderr, where nobody took it."""
    try:
        print(line, flush=True)  # noqa: T201  promised
    except OSError as error:
        tell(f"3gsync: the summary could not be written to stdout: {error.strerror}")
        return False
    return True


def let_go() -> None:
    """Drop what stdout and stderr still hold and do not get rid of: Python would try once more
    at its end, and make 120 of every exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
