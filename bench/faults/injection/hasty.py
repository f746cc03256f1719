"""The worker as it is, but for what no configuration key can say: how patient the wire is, what
time the machine thinks it is, and what names mean.

    python -m faults.injection.hasty [--deadline S] [--clock S] [--hosts FILE] WORKER'S ARGUMENTS

``--deadline``: seconds for a connection, a first byte and between two bytes of a store, in place
of a minute.
``--clock``: so many seconds is the machine's clock ahead. ``--hosts``: names are looked up in this
file (address, name), read anew each time; what is not in it cannot be resolved.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import time
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import sync.adapters.s3 as s3_module
import sync.adapters.s3_copy as s3_copy_module
from sync import wiring, worker
from sync.adapters.aws_json import JsonApi
from sync.adapters.clock import SystemClock
from sync.wire.client import Client
from sync.wire.request import Timeouts


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--deadline", type=float)
    parser.add_argument("--clock", type=float)
    parser.add_argument("--hosts", type=Path)
    own, rest = parser.parse_known_args()
    if own.deadline is not None:
        _hurry(own.deadline)
    if own.clock is not None:
        _misdate(own.clock)
    if own.hosts is not None:
        _rename(own.hosts)
    return worker.main(rest)


def _hurry(seconds: float) -> None:
    limits = Timeouts(connect=seconds, first_byte=seconds, idle=seconds, whole=3600.0)
    _replace(wiring, "Client", partial(Client, timeouts=limits))
    _replace(s3_module, "_COMPLETE_TIMEOUTS", limits)
    _replace(s3_copy_module, "_COPYING", limits)
    # A queue whose answer is not waited for is asked again, which would look like a fault of ours.
    _replace(JsonApi, "call", partialmethod(JsonApi.call, timeouts=Timeouts()))


def _replace(owner: object, name: str, value: object) -> None:
    """In a place that must be there: a bench that patches nothing tests nothing."""
    assert hasattr(owner, name), name
    setattr(owner, name, value)


def _misdate(ahead: float) -> None:
    _replace(SystemClock, "time", staticmethod(lambda: time.time() + ahead))


def _rename(hosts: Path) -> None:
    """asyncio's own loop asks Python's resolver, which can be replaced; uvloop asks the C one."""
    inner = socket.getaddrinfo

    def resolve(host: Any, port: Any, *given: Any, **named: Any) -> Any:
        text = host.decode() if isinstance(host, bytes) else host
        if text is None or text[:1].isdigit():
            return inner(host, port, *given, **named)
        pairs = (line.split() for line in hosts.read_text().splitlines())
        found = [address for address, name in pairs if name == text]
        if not found:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [one for address in found for one in inner(address, port, *given, **named)]

    _replace(socket, "getaddrinfo", resolve)
    _replace(worker, "loop_factory", lambda: asyncio.new_event_loop)


if __name__ == "__main__":
    sys.exit(main())
