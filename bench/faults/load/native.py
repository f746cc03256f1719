"""The load over the native servers of ``make bench``, which sum every byte that arrives."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from native_servers import Pair, pair

from faults.load.accounts import Ending, Load, Objects, judge_counts, judge_objects
from faults.tally import Tally

_STALLED: Final = 180.0
_LOOK: Final = 0.5
_SHOWN: Final = 20
_BUG: Final = re.compile(r"Traceback|Error:|\bbug\b|\bfell\b|observer failed|never awaited")


@dataclass
class Watched:
    """A worker that was watched to its end. ``memory``: resident MB at each look, all processes;
    ``stalled``: it was ended here, because for three minutes no message was deleted.
    """

    code: int = 0
    cpu: float = 0.0
    stalled: bool = False
    memory: list[float] = field(default_factory=list)


def run(tally: Tally, load: Load, folder: Path) -> None:
    """Do it, and judge it."""
    options = ["--refuse", str(load.refuse), "--duplicates", str(load.duplicates)]
    with pair(folder, options=options) as both:
        watched = _work(both, load, folder)
        end = Ending(
            code=watched.code,
            source=both.source.stats(),
            destination=both.destination.stats(),
            summary=_summary(folder / "worker.out"),
            noise=_noise(folder / "worker.err"),
        )
        faults = judge_counts(tally, load, end)
        written = _written(end)
        offered, held = both.source.offered(load.bucket), both.destination.held()
        objects = judge_objects(tally, load, offered, held, written)
    _tell(tally, load, end, watched, objects)
    _complain(tally, load, watched, [*faults, *objects.faults])


def _work(both: Pair, load: Load, folder: Path) -> Watched:
    config = both.config(load.queue, connections=load.connections, chunk=5, ledger=load.ledger)
    settings = ("ResumableThreshold=8", "ReceiveWait=1", "StatisticsInterval=0")
    command = [sys.executable, "-m", "sync.worker", "--json", "--until-empty"]
    command += ["--config", str(config), "--processes", str(load.processes)]
    with (folder / "worker.out").open("wb") as out, (folder / "worker.err").open("wb") as err:
        process = subprocess.Popen(
            command,
            env=both.environment(*settings),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
    try:
        return _watch(process, both, load)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _watch(process: subprocess.Popen[bytes], both: Pair, load: Load) -> Watched:
    watched, deleted, moved = Watched(), -1, time.monotonic()
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = watched.code = os.waitstatus_to_exitcode(status)
            watched.cpu = usage.ru_utime + usage.ru_stime
            return watched
        now = both.source.stats()["queues"].get(load.queue, {}).get("deleted", -1)
        if now != deleted:
            deleted, moved = now, time.monotonic()
        if time.monotonic() - moved > _STALLED and not watched.stalled:
            watched.stalled = True
            process.terminate()
        watched.memory.append(sum(map(_resident_mb, _family(process.pid))))
        time.sleep(_LOOK)


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *map(int, children)]


def _resident_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _summary(path: Path) -> dict[str, Any]:
    lines = path.read_text().splitlines()
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return found


def _noise(path: Path) -> list[str]:
    with path.open(errors="replace") as lines:
        return [line.rstrip() for line in lines if _BUG.search(line)]


def _written(end: Ending) -> int:
    """Writes that the destination took: those it refused are counted apart."""
    return int(end.destination["puts"] + end.destination["completes"])


def _tell(tally: Tally, load: Load, end: Ending, watched: Watched, objects: Objects) -> None:
    queue = end.source["queues"][load.queue]
    refused = end.source["refused"] + end.destination["refused"]
    tally.faults["503"] += refused
    tally.faults["told-again"] += load.messages - load.objects
    tally.faults["delivered-twice"] += queue["deleted_again"]
    what = f"{load.processes} process(es)" + (", with a ledger" if load.ledger else "")
    rate = queue["deleted"] / max(queue["seconds"], 0.001)
    memory = watched.memory
    note = (
        f"{rate:,.0f} messages/s, {objects.amount / 2**20:,.0f} MiB, {watched.cpu:.0f} s of CPU, "
        f"{_written(end):,} writes, {refused:,} refused, {queue['deliveries']:,} deliveries; "
        f"{_after(memory, 0.1):.0f} MB after a tenth, {_after(memory, 1.0):.0f} MB at the end"
    )
    tally.row("load", f"messages, {what}", load.messages, queue["deleted"], note)
    tally.row("load", "objects, checksum by checksum", load.objects, objects.right, load.bucket)


def _complain(tally: Tally, load: Load, watched: Watched, faults: list[str]) -> None:
    if watched.stalled:
        faults.insert(0, "no message was deleted for three minutes")
    if faults:
        text = f"load: {len(faults)} faults: {load.command}"
        tally.failures.append("\n  ".join([text, *faults[:_SHOWN]]))


def _after(memory: list[float], share: float) -> float:
    """Highest resident memory at about that share of the run."""
    if not memory:
        return 0.0
    end = max(1, int(share * len(memory)))
    return max(memory[max(0, end - max(1, len(memory) // 20)) : end])
