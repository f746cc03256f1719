"""What one run of a program took, as the operating system accounts it when the program ends."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """``cpu`` is user + system seconds of the program and the children it waited for."""

    cpu: float
    wall: float
    rss_mb: float
    output: str = ""


def measure(
    command: Sequence[str],
    environ: Mapping[str, str],
    folder: Path,
    *,
    exits: Container[int] = (0,),
) -> Cost:
    """Run to the end; SystemExit with the end of its output where it fails: where its exit code
    is none of ``exits``.
    """
    out = folder / "out.txt"
    begun = time.perf_counter()
    with out.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env=dict(environ),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        peak = 0.0
        while True:
            peak = max(peak, peak_mb(process.pid))
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.02)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    text = out.read_text(errors="replace")
    if process.returncode not in exits:
        raise SystemExit(f"{' '.join(command)} failed ({process.returncode}):\n{text[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, peak, text)


def peak_mb(pid: int) -> float:
    """VmHWM; the accounting of the ended process would count the bench's own memory at fork."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0
