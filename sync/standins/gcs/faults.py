"""Faults on request: which calls they strike and what happens to them. Each counts its hits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, Self

from sync.errors import ConfigError
from sync.standins.gcs.calls import Call


@dataclass(frozen=True, slots=True)
class Match:
    """Which calls a fault strikes; "" and None match all. ``key`` is a regular expression that
    has to be found in the key. The first ``after`` matching calls pass.
    """

    method: str = ""
    operation: str = ""
    bucket: str = ""
    key: str = ""
    part: int | None = None
    after: int = 0

    def fits(self, call: Call) -> bool:
        """True where the call is of the kind meant."""
        return (
            self.method in {"", call.request.method}
            and self.operation in {"", call.operation}
            and self.bucket in {"", call.bucket}
            and (not self.key or re.search(self.key, call.key) is not None)
            and (self.part is None or call.param("partNumber") == str(self.part))
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to ``times`` matching calls (0: to all of them).

    Before the call is looked at: ``delay`` seconds pass; with ``status`` it is refused with that
    status and ``code`` (and ``retry_after`` seconds) without effect; ``cut_at_head`` ends the
    connection. While its body comes: ``cut_body_after`` bytes end the connection;
    ``corrupt_body_at`` damages the byte at that offset before it is hashed and stored.
    After it took effect: ``corrupt_stored_at`` damages the stored byte unseen; ``delay_reply``
    seconds pass; ``reply_status`` with ``reply_code`` answers an error although it was done (200
    with a code is an error body under a good status); ``drop_hash`` leaves x-goog-hash out of
    the reply; ``cut_reply_after`` bytes of reply body end the connection; ``no_reply`` ends it
    before any byte of a reply.
    """

    match: Match = field(default_factory=Match)
    times: int = 1
    delay: float = 0.0
    status: int = 0
    code: str = ""
    retry_after: int | None = None
    cut_at_head: bool = False
    cut_body_after: int | None = None
    corrupt_body_at: int | None = None
    corrupt_stored_at: int | None = None
    delay_reply: float = 0.0
    reply_status: int = 0
    reply_code: str = ""
    drop_hash: bool = False
    cut_reply_after: int | None = None
    no_reply: bool = False

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """From the JSON of the control API; ConfigError says what is wrong with it."""
        try:
            match = Match(**plain.get("match", {}))
            re.compile(match.key)
            return cls(**{**plain, "match": match})
        except (TypeError, AttributeError, re.error) as error:
            raise ConfigError(f"not a fault: {error}") from None

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return asdict(self)


@dataclass(slots=True)
class ArmedFault:
    """A fault in place: ``seen`` calls fitted, ``fired`` of them were struck."""

    number: int
    fault: Fault
    seen: int = 0
    fired: int = 0

    def strikes(self, call: Call) -> bool:
        """Count the call in; True where it is struck."""
        if not self.fault.match.fits(call):
            return False
        self.seen += 1
        spent = self.fault.times and self.fired >= self.fault.times
        if spent or self.seen <= self.fault.match.after:
            return False
        self.fired += 1
        return True


class FaultScript:
    """The faults in place. A call is struck by the first that fits."""

    def __init__(self) -> None:
        self._armed: list[ArmedFault] = []
        self._numbers = count(1)

    def add(self, *faults: Fault) -> list[ArmedFault]:
        """Put faults in place; what comes back tells whether each fired."""
        armed = [ArmedFault(next(self._numbers), fault) for fault in faults]
        self._armed += armed
        return armed

    def clear(self) -> None:
        """Remove all."""
        self._armed.clear()

    def report(self) -> Iterable[dict[str, Any]]:
        """One dict for each fault: id, seen, fired, fault."""
        for armed in self._armed:
            yield {
                "id": armed.number,
                "seen": armed.seen,
                "fired": armed.fired,
                "fault": armed.fault.to_json(),
            }

    def strike(self, call: Call) -> Fault | None:
        """The fault that strikes this call, or None."""
        return next((armed.fault for armed in self._armed if armed.strikes(call)), None)
