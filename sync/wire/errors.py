"""What goes wrong on a connection, before it is known to which request it happened."""

from __future__ import annotations

from sync.errors import OutcomeUnknown, TransientStoreError
from sync.wire.request import Request


class Broken(Exception):
    """The connection failed; the text says how.

    ``dead`` is True where the other side ended or reset it, False for time limits and for
    replies that break the protocol.
    """

    def __init__(self, how: str, *, dead: bool = False) -> None:
        super().__init__(how)
        self.dead = dead


def operation_of(request: Request) -> str:
    """Method, host and path, without the query, which may hold a signature."""
    path = request.target.partition("?")[0]
    return f"{request.method} {request.origin.authority}{path}"


def as_store_error(request: Request, how: object, *, in_full: bool) -> TransientStoreError:
    """The error for a request whose reply did not come whole.

    OutcomeUnknown where the request was sent in full and could have changed something.
    """
    operation = operation_of(request)
    if in_full and request.method not in ("GET", "HEAD", "OPTIONS"):
        text = f"{operation}: {how}; the request was sent in full and may still take effect"
        return OutcomeUnknown(text, operation=operation)
    return TransientStoreError(f"{operation}: {how}", operation=operation)
