"""The faults a history may bring, and the countdown of those that are pending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from sync.errors import (
    AccessDenied,
    NoSuchBucket,
    NoSuchUpload,
    NotFound,
    OutcomeUnknown,
    RequestRefused,
    SyncError,
    Throttled,
    TransientStoreError,
)

READS: Final = frozenset({"head", "get"})
WRITES: Final = frozenset({"put", "part", "create", "complete", "delete"})

_Made = Callable[[], SyncError]


def _throttled() -> SyncError:
    return Throttled("503 SlowDown", status=503)


def _broken() -> SyncError:
    return TransientStoreError("500 InternalError", status=500)


def _denied() -> SyncError:
    return AccessDenied("403 AccessDenied", status=403)


def _lost() -> SyncError:
    return OutcomeUnknown("the reply was lost")


SOURCE: Final[dict[str, tuple[frozenset[str], _Made]]] = {
    "source-throttled": (READS, _throttled),
    "source-broken": (READS, _broken),
    "source-denied": (READS, _denied),
}
TARGET: Final[dict[str, tuple[frozenset[str], _Made]]] = {
    "target-throttled": (WRITES, _throttled),
    "target-broken": (WRITES | {"head", "uploads", "parts", "abort"}, _broken),
    "target-denied": (frozenset({"put", "create"}), _denied),
    "target-refused": (frozenset({"put", "create"}), lambda: RequestRefused("400", status=400)),
    "upload-gone": (frozenset({"part"}), lambda: NoSuchUpload("aborted by a rule", status=404)),
    "reply-lost": (frozenset({"put-done", "complete-done", "delete-done"}), _lost),
}
UNANSWERED: Final = "unanswered"
"""No reply, and the write goes on by itself: it lands later."""
HIDDEN: Final = "bucket-hidden"
"""The source's bucket seems not to be there; a HEAD cannot tell that from a missing object."""
LEDGER: Final = "ledger-down"
QUEUE: Final = (
    "receive-fails",
    "acknowledge-fails",
    "acknowledge-reply-lost",
    "receipt-expired",
    "extend-fails",
    "burial-fails",
    "no-dead-letter-queue",
)
KINDS: Final = (*SOURCE, *TARGET, UNANSWERED, HIDDEN, LEDGER, *QUEUE)


def hidden(operation: str) -> SyncError:
    """What a vanished bucket answers."""
    if operation == "head":
        return NotFound("404, and a HEAD has no body", status=404)
    return NoSuchBucket("404 NoSuchBucket", status=404, code="NoSuchBucket")


class Trouble:
    """Pending faults by kind, and how often each has fired."""

    def __init__(self) -> None:
        self.pending: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()

    def add(self, kind: str, times: int) -> None:
        """The next so many calls fail."""
        self.pending[kind] += times

    def calm(self) -> None:
        """Nothing fails any more."""
        self.pending.clear()

    def fires(self, kind: str) -> bool:
        """Is one pending? It has fired then."""
        if not self.pending or not self.pending.get(kind):
            return False
        self.pending[kind] -= 1
        if not self.pending[kind]:
            del self.pending[kind]
        self.fired[kind] += 1
        return True

    def at(self, side: dict[str, tuple[frozenset[str], _Made]], operation: str) -> None:
        """Raise what is pending for a store's operation."""
        for kind in tuple(self.pending):
            found = side.get(kind)
            if found is not None and operation in found[0] and self.fires(kind):
                error = found[1]()
                raise error
