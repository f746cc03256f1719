"""What goes over the wire: requests, replies, time limits. Bytes and headers, not buckets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sync.ports import ByteStream


class Origin(NamedTuple):
    """A server: scheme ``http`` or ``https``, host name or address, port."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The Host header's value: the port only where it is not the scheme's own."""
        default = 443 if self.scheme == "https" else 80
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == default else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time limits in seconds. ``idle`` bounds the wait between two pieces of a body, either
    way; ``first_byte`` the wait from the end of the request to the reply's head; ``whole``
    the exchange from its start.
    """

    connect: float = 10.0
    first_byte: float = 60.0
    idle: float = 60.0
    whole: float = 3600.0


class Progress:
    """Tells how far a request got, also to a caller whose task was cancelled meanwhile.

    ``sent_in_full``: the last byte was handed to the connection, so that the request may take
    effect. ``replied``: the reply's head has been read. In full and not replied means that the
    outcome is unknown, whatever ended the wait.
    """

    __slots__ = ("replied", "sent_in_full")

    def __init__(self) -> None:
        self.sent_in_full = False
        self.replied = False

    @property
    def outcome_unknown(self) -> bool:
        """True where the request may take effect and nobody has said whether it did."""
        return self.sent_in_full and not self.replied


class Request(NamedTuple):
    """One request. ``target`` is the request target exactly as it goes out (path and query,
    percent-encoded by the caller). ``headers`` hold everything but Host, Content-Length and
    Connection; values are latin-1 text. ``lines`` are headers too, as `head.header_lines`
    writes them, and go out first. ``repeatable``: may be sent again on a fresh
    connection when a kept-alive one turns out dead before any reply byte came.
    ``progress``, where given, is kept up to date while the request is under way.
    """

    method: str
    origin: Origin
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: ByteStream | bytes | None = None
    repeatable: bool = True
    timeouts: Timeouts | None = None
    progress: Progress | None = None
    lines: str = ""

    def __repr__(self) -> str:
        """Without query and headers, which hold signatures and session tokens."""
        path = self.target.partition("?")[0]
        return f"Request({self.method} {self.origin.scheme}://{self.origin.authority}{path})"


class Response(Protocol):
    """A reply whose head has been read."""

    @property
    def status(self) -> int:
        """HTTP status; never 1xx."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name; values are latin-1 text; repeated ones joined by ``, ``."""
        ...

    @property
    def content_length(self) -> int | None:
        """Bytes of body to come; None where the reply is chunked or ends with the connection."""
        ...

    def chunks(self) -> AsyncIterator[memoryview]:
        """The body. A chunk is valid until the next is asked for. TransientStoreError where
        the connection ends before the body does.
        """
        ...

    async def read(self, limit: int = 8 * 1024 * 1024) -> bytes:
        """The whole body; TransientStoreError above ``limit`` bytes."""
        ...
