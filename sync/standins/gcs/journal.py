"""What was asked and answered, for tests to look at. Never holds a signature."""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from sync.standins.gcs.calls import Call
from sync.standins.gcs.http1 import Reply

_KEPT: Final = 20_000
_SIGNATURE: Final = re.compile(r"(Signature=)[0-9a-f]+", re.IGNORECASE)


@dataclass(slots=True)
class Entry:
    """One request. ``status`` 0: no reply was sent. ``bytes_in`` and ``bytes_out`` are bodies."""

    number: int
    at: float
    operation: str
    method: str
    target: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: list[tuple[str, str]]
    access_id: str = ""
    status: int = 0
    code: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    fault: bool = False


@dataclass(slots=True)
class Journal:
    """The last requests, and counts over all of them since the last `clear`."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=_KEPT))
    operations: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    bytes_in: int = 0
    bytes_out: int = 0
    running: int = 0
    most_running: int = 0
    number: int = 0

    def begin(self, call: Call) -> Entry:
        """Note a request that came in."""
        self.number += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        entry = Entry(
            number=self.number,
            at=time.time(),
            operation=call.operation,
            method=call.request.method,
            target=_masked(call.request.target),
            bucket=call.bucket,
            key=call.key,
            query={name: _shown(name, value) for name, value in call.query},
            headers=[(name, _shown(name, value)) for name, value in call.request.headers],
        )
        self.entries.append(entry)
        return entry

    def end(self, entry: Entry, call: Call, reply: Reply | None, code: str) -> None:
        """Note how it was answered; None for not at all."""
        entry.seconds = time.time() - entry.at
        entry.access_id = call.identity.access_id if call.identity else ""
        entry.status, entry.code = (reply.status if reply else 0), code
        entry.bytes_in = call.request.body.taken
        entry.bytes_out = _size(reply, call)
        self.running -= 1
        self.operations[entry.operation] += 1
        self.statuses[entry.status] += 1
        if code:
            self.codes[code] += 1
        self.bytes_in += entry.bytes_in
        self.bytes_out += entry.bytes_out

    def since(self, number: int) -> list[dict[str, Any]]:
        """Entries after that number, oldest first."""
        return [asdict(entry) for entry in self.entries if entry.number > number]

    def clear(self) -> None:
        """Forget all but the requests under way."""
        self.entries.clear()
        for counter in (self.operations, self.statuses, self.codes):
            counter.clear()
        self.bytes_in = self.bytes_out = 0
        self.most_running = self.running


def _size(reply: Reply | None, call: Call) -> int:
    if reply is None or call.request.method == "HEAD":
        return 0
    return len(reply.body) if isinstance(reply.body, bytes) else reply.length or 0


def _masked(text: str) -> str:
    return _SIGNATURE.sub(r"\1-", text)


def _shown(name: str, value: str) -> str:
    if name.lower().endswith("-signature"):
        return "-"
    if name == "x-standin-token" or (name == "authorization" and "Signature=" not in value):
        return "-"
    return _masked(value) if name == "authorization" else value
