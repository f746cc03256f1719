"""Runs of the whole worker over real sockets, in a process of their own, with the work counted.

Nothing here depends on the time that passes or on which tests ran before: the interpreter is
fresh, calls are those of the event loop's own thread, and the other ends (`fixed_aws`) are
another process. Also by hand, to see what a job consists of:

    PYTHONPATH=tests .venv/bin/python -m support.counted_worker SIZE COUNT
"""

from __future__ import annotations

import asyncio
import dis
import gc
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple

from support.fixed_aws import FixedAws, fixed_aws
from support.worker_process import base_environment
from sync.config import load
from sync.engine.settling import RunReport
from sync.telemetry.lines import set_up
from sync.wiring import open_worker
from sync.worker import loop_factory

_ROOT = Path(__file__).resolve().parents[2]
_NEVER = 3600.0
_CONFIG = """[Basic]
SrcEndPointURL = {aws.source}
DestEndPointURL = {aws.destination}
SrcDialect = aws
DestDialect = gcs
AddressingStyle = path
JobType = ENV
table_queue_name =
sqs_queue_name = {queue}
Des_bucket_default = target
IgnoreList =
CABundle = {aws.authority}
[Mode]
Connections = 1
MaxParallelFile = 1000
Processes = 1
ResumableThreshold = 16
[Debug]
ChunkSize = 16
"""


class Jobs(NamedTuple):
    """So many ``objects`` of ``size`` bytes."""

    size: int
    objects: int


@dataclass
class Work:
    """What a run took.

    ``calls`` by function, Python's and C's; each resumption of a coroutine is a call, and names of
    ours begin with ``sync/``. ``blocks``
    of memory and ``allocated`` bytes: what was in use rose by so much, from one call or return
    to the next and all rises together, so that what was freed later counts and what did not
    outlive a step does not. ``peak`` bytes in use above those at the start.
    """

    calls: Counter[str] = field(default_factory=Counter)
    blocks: int = 0
    allocated: int = 0
    peak: int = 0


def counted(aws: FixedAws, folder: Path, runs: Sequence[Jobs]) -> list[Work]:
    """The work of each run, in a fresh process; the first is done once more before, uncounted."""
    command = [sys.executable, "-m", __spec__.name, "--child", str(folder)]
    command += [json.dumps([str(value) for value in vars(aws).values()]), json.dumps(runs)]
    environ = base_environment(folder) | {
        "PYTHONPATH": f"{_ROOT}{os.pathsep}{_ROOT / 'tests'}",
        "PYTHONHASHSEED": "0",
        "AWS_ENDPOINT_URL_SQS": aws.queue,
    }
    for side in ("SRC_", "DEST_"):
        environ |= {f"{side}AWS_ACCESS_KEY_ID": "AKID", f"{side}AWS_SECRET_ACCESS_KEY": "secret"}
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    return [Work(**{**one, "calls": Counter(one["calls"])}) for one in found]


# --- the process that is counted ----------------------------------------------------------


class _Count:
    """Counts while its context lasts. `tracemalloc` has to run."""

    def __init__(self) -> None:
        self.work = Work()
        self._calls: Counter[CodeType | str] = Counter()
        self._first: dict[CodeType, int] = {}
        self._blocks = self._bytes = 0

    def note(self, frame: FrameType, event: str, argument: Any) -> None:
        """One call or return: `sys.setprofile`'s."""
        blocks, size = sys.getallocatedblocks(), tracemalloc.get_traced_memory()[0]
        if event == "call":
            self._calls[frame.f_code] += 1
            self._blocks += self._is_new(frame)
        elif event != "return":
            if event == "c_call":
                self._calls[argument.__qualname__] += 1
            # The interpreter binds the method to its object only to show it to us.
            blocks -= type(argument.__self__) is not ModuleType
        if blocks > self._blocks:
            self.work.blocks += blocks - self._blocks
        if size > self._bytes:
            self.work.allocated += size - self._bytes
        self._blocks, self._bytes = blocks, size

    def _is_new(self, frame: FrameType) -> bool:
        """True for a call that is no resumption: only for us it gets an object of its own."""
        code = frame.f_code
        first = self._first.get(code)
        if first is None:
            steps = dis.get_instructions(code)
            first = self._first[code] = next(s.offset for s in steps if s.opname == "RESUME")
        return frame.f_lasti == first

    def __enter__(self) -> Work:
        gc.collect()
        gc.disable()
        tracemalloc.reset_peak()
        self._start = self._bytes = tracemalloc.get_traced_memory()[0]
        self._blocks = sys.getallocatedblocks()
        sys.setprofile(self.note)
        return self.work

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        self.work.peak = tracemalloc.get_traced_memory()[1] - self._start
        gc.enable()
        for called, times in self._calls.items():
            self.work.calls[called if isinstance(called, str) else _name(called)] += times


def _name(code: CodeType) -> str:
    path = Path(code.co_filename)
    ours = path.is_relative_to(_ROOT)
    name = path.relative_to(_ROOT) if ours else Path(*path.parts[-2:])
    return f"{name}:{code.co_qualname}"


def _run(aws: FixedAws, folder: Path, jobs: Jobs, tag: str) -> Work:
    queue = f"queue-{jobs.size}-{jobs.objects}-{tag}"
    file = folder / f"{queue}.ini"
    file.write_text(_CONFIG.format(aws=aws, queue=queue))
    settings = load(file, os.environ)

    async def work() -> tuple[RunReport, Work]:
        async with open_worker(settings, os.environ, max_jobs=jobs.objects) as parts:
            # Deletes leave in tens, however slow the machine is.
            acks = parts.runner._settler._acks
            assert acks._linger < _NEVER
            acks._linger = _NEVER
            with _Count() as counted:
                return await parts.runner.run(), counted

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        report, counted = runner.run(work())
    assert report.well, report
    assert report.bytes_moved == jobs.size * jobs.objects, report
    return counted


def _child(folder: Path, aws: FixedAws, runs: Sequence[Jobs]) -> list[Work]:
    set_up(level="INFO", form="plain", folder=None, role="counted")
    tracemalloc.start()
    _run(aws, folder, runs[0], "unc")
    return [_run(aws, folder, jobs, f"run{number}") for number, jobs in enumerate(runs)]


def main() -> None:
    if sys.argv[1] == "--child":
        folder, urls, runs = Path(sys.argv[2]), json.loads(sys.argv[3]), json.loads(sys.argv[4])
        source, destination, queue, authority = urls
        aws = FixedAws(source, destination, queue, Path(authority))
        print(json.dumps([vars(work) for work in _child(folder, aws, [Jobs(*r) for r in runs])]))
        return
    size, count = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory() as name, fixed_aws(Path(name)) as aws:
        short, long = counted(aws, Path(name), [Jobs(size, count), Jobs(size, 2 * count)])
    print(f"{(long.blocks - short.blocks) / count:9.1f} blocks")
    print(f"{(long.allocated - short.allocated) / count:9.1f} bytes")
    more = {name: calls - short.calls[name] for name, calls in long.calls.most_common()}
    print(f"{sum(more.values()) / count:9.1f} calls")
    for name, calls in more.items():
        print(f"{calls / count:9.2f} {name}")


if __name__ == "__main__":
    main()
