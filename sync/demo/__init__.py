"""The demonstration: everything on one machine, with accidents.

A source bucket with its queue and table (moto), a strict stand-in for Cloud Storage, and real
worker processes, all on loopback. See README.md.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from sync.errors import ConfigError

_LIMIT: Final = 110.0
WELL: Final = 0
FAILED: Final = 1


def run(*, small: bool, keep: Path | None) -> int:
    """Run it; 0 if every object arrived, 1 if one is lost or stale or the run got stuck.

    ``keep`` is a folder for logs and data that stays; without it nothing is left behind.
    """
    _need_extra()
    with _ended_by_sigterm(), _folder(keep) as folder:
        return _perform(folder, small=small, kept=keep is not None)


def _perform(folder: Path, *, small: bool, kept: bool) -> int:
    # Imported here so that a missing extra is told of before one of them fails.
    from sync.demo.contents import catalogue  # noqa: PLC0415
    from sync.demo.processes import Children, DemoError  # noqa: PLC0415
    from sync.demo.report import conclude  # noqa: PLC0415
    from sync.demo.screen import Screen  # noqa: PLC0415
    from sync.demo.stage import basic_environ, forget_own_aws, set_up  # noqa: PLC0415
    from sync.demo.story import Story  # noqa: PLC0415

    forget_own_aws()
    screen = Screen(sys.stdout)
    items = catalogue(small=small)
    try:
        with Children(folder, basic_environ()) as children:
            screen.title("3GSync demo: S3 events become verified objects")
            if kept:
                screen.print(f"logs and data stay in {folder}")
            stage = set_up(folder, children, small=small)
            screen.step("source, queue and ledger (moto) and destination (stand-in) are up")
            story = Story(stage, children, items, screen)
            story.run(limit=_LIMIT)
            return conclude(story, items, screen)
    except DemoError as error:
        hint = "" if kept else " (--keep FOLDER keeps the logs)"
        print(f"3gsync demo: {error}{hint}", file=sys.stderr)
    except KeyboardInterrupt:
        print("3gsync demo: stopped; everything it started has ended", file=sys.stderr)
    return FAILED


def _need_extra() -> None:
    try:
        import moto  # noqa: F401, PLC0415
        import trustme  # noqa: F401, PLC0415
    except ImportError as error:
        raise ConfigError(
            f"the demonstration needs {error.name}: pip install '3gsync[demo]', or run make demo "
            "in a clone"
        ) from None


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield Path(tempfile.mkdtemp(prefix=time.strftime("run-%H%M%S-"), dir=keep)).resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="3gsync-demo-")).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, so that nothing stays behind."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
