"""Hostile servers on real sockets, a process that calls them, and the verdict."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from faults.inputs.villains import Play, Villain, villains
from faults.tally import Tally

_SECTION: Final = "inputs"
_MOST_MIB: Final = 96
_MOST_SECONDS: Final = 45.0
_HEAD: Final = 64 * 1024
_VICTIMS: Final = 3


class Server:
    """Plays one part on a port of its own; ``seen`` holds the first bytes of each connection."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self.seen: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            peer.settimeout(30)
            number = len(self.seen)
            self.seen.append(b"")
            while b"\r\n\r\n" not in self.seen[number] and len(self.seen[number]) < _HEAD:
                piece = peer.recv(_HEAD)
                if not piece:
                    return
                self.seen[number] += piece
            self._play(peer, number)


def _nobody(peer: socket.socket, number: int) -> None:
    """The host that nobody may ever talk to."""


def attack(names: Iterable[str] | None = None) -> Iterator[dict[str, Any]]:
    """What each call came to, ``names`` or all. ``fault`` says what is wrong with it, or ""."""
    evil = Server(_nobody)
    known = villains(evil.url)
    chosen = {name: known[name] for name in (known if names is None else names)}
    servers = {name: Server(villain.play) for name, villain in chosen.items()}
    try:
        asked = [
            {"name": name, "call": call, "url": servers[name].url}
            for name, villain in chosen.items()
            for call in villain.calls
        ]
        for told in _together(asked):
            yield {**told, "fault": judge(told, chosen[told["name"]], servers[told["name"]], evil)}
    finally:
        for server in (evil, *servers.values()):
            server.close()


def _together(asked: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """Most of the time is spent in waiting: three processes wait at once."""
    with ThreadPoolExecutor(_VICTIMS) as pool:
        shares = [asked[at::_VICTIMS] for at in range(_VICTIMS)]
        return [
            told for each in pool.map(lambda share: list(_suffered(share)), shares) for told in each
        ]


def judge(told: dict[str, Any], villain: Villain, server: Server, evil: Server) -> str:
    """What is wrong with how a call ended."""
    faults = []
    if not told["ended"] and not villain.fine:
        faults.append("it ended well")
    if not told["ours"]:
        faults.append(f"no error of ours: {told['ended']}")
    if told["seconds"] > _MOST_SECONDS:
        faults.append(f"it took {told['seconds']} s")
    if told["mib"] > _MOST_MIB:
        faults.append(f"it took {told['mib']} MiB")
    if told["open"]:
        faults.append(f"{told['open']} connections are left")
    if evil.seen:
        faults.append(f"another host was talked to: {evil.seen[0][:200]!r}")
    if not server.seen:
        faults.append("the server was never asked")
    return "; ".join(faults)


def _suffered(asked: Sequence[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """One process for all of them: it is to live through everything."""
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), *sys.path])
    victim = subprocess.Popen(
        [sys.executable, "-m", "faults.inputs.victim"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    )
    assert victim.stdin is not None
    assert victim.stdout is not None
    with victim:
        for one in asked:
            victim.stdin.write(json.dumps(one) + "\n")
            victim.stdin.flush()
            line = victim.stdout.readline()
            if not line:
                code = victim.wait()
                yield {**one, "ended": f"the process died: {code}", "ours": False, "seconds": 0.0,
                       "mib": 0, "open": 0}  # fmt: skip
                return
            yield json.loads(line)
        victim.stdin.close()


def meet_servers(tally: Tally) -> None:
    """A row for all of them; each call counts as a bad input."""
    tried, slowest, most = 0, 0.0, 0
    faults = []
    for told in attack():
        tried += 1
        slowest, most = max(slowest, told["seconds"]), max(most, told["mib"])
        if told["fault"]:
            faults.append(f"inputs: {told['name']} ({told['call']}): {told['fault']}")
    tally.bad_inputs += tried
    tally.unhandled += len(faults)
    tally.failures += faults
    note = f"slowest {slowest:.0f} s, at most {most} MiB more; no other host was talked to"
    tally.row(_SECTION, "hostile servers, calls to them", tried, tried - len(faults), note)
