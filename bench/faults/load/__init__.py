"""A million messages at the highest rate the machine gives, counted on both sides.

One run alone: ``python -m faults.load --objects N [--processes P] [--refuse PER_MILLE] ...``.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from faults.load import native, python_servers
from faults.load.accounts import Load
from faults.stage import Stage
from faults.tally import Effort, Tally

_SHORT: Final = (Load(objects=4_000, refuse=50, duplicates=100, large_every=1000, connections=256),)
_FULL: Final = (
    Load(objects=1_000_000, refuse=50, duplicates=100, large_every=20_000, connections=256),
    Load(objects=200_000, duplicates=100, processes=2, connections=64),
    Load(objects=100_000, refuse=50, duplicates=100, processes=2, connections=128, ledger=True),
)


def run(tally: Tally, effort: Effort, stage: Stage) -> None:
    """All runs of this effort; without a C compiler fewer messages, over the Python servers."""
    if not can_build():
        python_servers.run(tally, stage, messages=100 if effort is Effort.SHORT else 20_000)
        return
    for load in _SHORT if effort is Effort.SHORT else _FULL:
        with tempfile.TemporaryDirectory(prefix="3gsync-load-") as folder:
            native.run(tally, load, Path(folder))


def can_build() -> bool:
    """What the native servers need is there."""
    return bool(
        shutil.which("make")
        and (shutil.which("cc") or shutil.which("gcc"))
        and Path("/usr/include/openssl").is_dir()
    )
