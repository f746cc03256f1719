"""The worker, with a thread inside that says how much there is of what could grow.

A line of JSON every few seconds into the file that SOAK_INSIDE names: ``at`` (seconds since 1970),
``tasks`` of the event loop, ``blocks`` of memory that Python holds, open ``files``, and ``sockets``
among them; from outside nobody but root may look, since the worker allows no core dumps. With
SOAK_TRACE also ``types``: objects by their type, those that there are most of; and ``lines``: where
in the code the most memory that is held was asked for.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sync import worker

_SHOWN: Final = 40
_LOOPS: Final[list[asyncio.AbstractEventLoop]] = []


def main() -> int:
    if "SOAK_TRACE" in os.environ:
        tracemalloc.start()
    worker.loop_factory = _remembering(worker.loop_factory())
    file, every = Path(os.environ["SOAK_INSIDE"]), float(os.environ["SOAK_EVERY"])
    threading.Thread(target=_report, args=(file, every), daemon=True).start()
    return worker.main(sys.argv[1:])


def _remembering(make: Callable[[], Any] | None) -> Callable[[], Any]:
    def factory() -> Any:
        def loop() -> asyncio.AbstractEventLoop:
            made: asyncio.AbstractEventLoop = (make or asyncio.new_event_loop)()
            _LOOPS.append(made)
            return made

        return loop

    return factory


def _report(file: Path, every: float) -> None:
    with file.open("w", buffering=1) as lines:
        while True:
            time.sleep(every)
            lines.write(json.dumps(_inside()) + "\n")


def _inside() -> dict[str, Any]:
    files = _links(Path("/proc/self/fd"))
    found: dict[str, Any] = {
        "at": time.time(),
        "tasks": sum(len(asyncio.all_tasks(loop)) for loop in _LOOPS),
        "blocks": sys.getallocatedblocks(),
        "files": len(files),
        "sockets": sum(name.startswith("socket:") for name in files),
    }
    if tracemalloc.is_tracing():
        objects = gc.get_objects()
        found["types"] = Counter(type(one).__name__ for one in objects).most_common(_SHOWN)
        del objects
        statistics = tracemalloc.take_snapshot().statistics("lineno")[:_SHOWN]
        found["lines"] = [[str(one.traceback), one.size, one.count] for one in statistics]
    return found


def _links(folder: Path) -> list[str]:
    found = []
    for name in os.listdir(folder):  # noqa: PTH208  an entry may be gone at once
        try:
            found.append(os.readlink(folder / name))  # noqa: PTH115  same
        except OSError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
