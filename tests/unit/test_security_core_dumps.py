"""What a process holds in memory, keys among it, never gets to a disk by a crash."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
PROGRAMS = ("sync.cli", "sync.worker", "sync.jobsender")
LOADED = "from {module} import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
READY = """import ctypes, sys
print('ready', ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True)
sys.stdin.read()
"""
"""3 is PR_GET_DUMPABLE: only without it does no crash handler in core_pattern get a dump."""


ALLOWED = 'ulimit -c unlimited 2>/dev/null || ulimit -S -c "$(ulimit -H -c)"; '
"""In a shell: as large a core file as this machine allows."""


def _program(text: str, folder: Path) -> subprocess.Popen[str]:
    """A process that could dump its core, as far as its parent is concerned."""
    most = subprocess.run(["sh", "-c", ALLOWED + "ulimit -c"], check=True, capture_output=True)
    if most.stdout == b"0\n":
        pytest.skip("core files are forbidden here already")
    process = subprocess.Popen(
        ["sh", "-c", ALLOWED + 'exec "$@"', "sh", sys.executable, "-c", text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.environ["PATH"]},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("ready"):
            assert line == "ready 0\n"
            return process
    raise AssertionError("it ended")


def _end(process: subprocess.Popen[str], number: signal.Signals) -> int:
    process.send_signal(number)
    code = process.wait(20)
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()
    return code


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's /proc")
@pytest.mark.parametrize("module", PROGRAMS)
def test_every_program_forbids_core_dumps_before_it_reads_its_options(
    module: str, tmp_path: Path
) -> None:
    process = _program(LOADED.format(module=module) + READY, tmp_path)
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), limits
    number = signal.SIGSEGV if module == "sync.worker" else signal.SIGABRT
    assert _end(process, number) == -number
    assert list(tmp_path.iterdir()) == []


def _settings(unit: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in unit.read_text().splitlines() if line[:1].isupper())
    return {name: value for name, _, value in lines}


@pytest.mark.parametrize("unit", sorted(UNITS.glob("*.service")), ids=lambda unit: unit.name)
def test_units_leave_the_service_no_more_than_it_needs(unit: Path) -> None:
    wanted = {
        "LimitCORE": "0",
        "NoNewPrivileges": "yes",
        "DynamicUser": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "PrivateDevices": "yes",
        "ProtectKernelTunables": "yes",
        "ProtectKernelModules": "yes",
        "ProtectKernelLogs": "yes",
        "ProtectControlGroups": "yes",
        "ProtectClock": "yes",
        "ProtectHostname": "yes",
        "ProtectProc": "invisible",
        "ProcSubset": "pid",
        "RestrictNamespaces": "yes",
        "RestrictRealtime": "yes",
        "RestrictSUIDSGID": "yes",
        "LockPersonality": "yes",
        "MemoryDenyWriteExecute": "yes",
        "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
        "CapabilityBoundingSet": "",
        "SystemCallArchitectures": "native",
        "SystemCallFilter": "@system-service",
        "SystemCallErrorNumber": "EPERM",
        "UMask": "0077",
    }
    found = _settings(unit)
    assert {name: found.get(name) for name in wanted} == wanted
