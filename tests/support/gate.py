"""A pass-through HTTP proxy that can hold, cut or refuse the one request a test means.

It forwards every byte unchanged, the Host header too, so that signatures stay good. A gate is
named by a regular expression that has to be found in the request's line, such as
``PUT /bucket/key?partNumber=2`` or ``POST / AmazonSQS.DeleteMessageBatch``. Each gate has to
fire: ``close`` says which did not.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO
from urllib.parse import urlsplit

_PIECE = 64 * 1024
_PATIENCE = 60.0
_HELD = 900.0
"""Longer than any test waits: what stands at a gate goes on when it is told to."""


class Stage(StrEnum):
    """Where on its way a request is held."""

    ARRIVED = "arrived"
    """Its head is here, the server has seen nothing."""
    BODY = "body"
    """``body_bytes`` of its body have been forwarded."""
    SENT = "sent"
    """Its sender has sent it in full; the server lacks the last byte."""
    ANSWERED = "answered"
    """The server has done it; the reply is held."""


class Unreached(AssertionError):
    """A gate that should have been reached was not."""


class _Cut(Exception):
    """This exchange ends here, without a word to either side."""


@dataclass
class Gate:
    """One held request. The first ``after`` matching requests pass."""

    pattern: re.Pattern[str]
    stage: Stage
    after: int = 0
    body_bytes: int = 0
    seen: int = 0
    taken: bool = False
    line: str = ""
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)
    passed: threading.Event = field(default_factory=threading.Event)
    cutting: bool = False

    def takes(self, line: str) -> bool:
        if self.taken or not self.pattern.search(line):
            return False
        self.seen += 1
        self.taken = self.seen > self.after
        self.line = line
        return self.taken

    def hold(self) -> None:
        self.reached.set()
        self.opened.wait(_HELD)
        if self.cutting:
            raise _Cut

    def wait(self, timeout: float = 30.0) -> str:
        """Wait until the request stands at the gate; returns its line."""
        if not self.reached.wait(timeout):
            raise Unreached(f"{self.pattern.pattern!r} at {self.stage}: not within {timeout} s")
        return self.line

    def release(self) -> None:
        """Let the request, or its reply, go on."""
        self.opened.set()

    def cut(self) -> None:
        """End both connections of the request instead."""
        self.cutting = True
        self.opened.set()


@dataclass
class Refusal:
    """Requests that are answered here, and never reach the server."""

    pattern: re.Pattern[str]
    status: int
    code: str
    fired: int = 0
    on: bool = True


@dataclass(frozen=True)
class _Head:
    raw: bytes
    start: str
    headers: dict[str, str]

    @property
    def method(self) -> str:
        return self.start.split(" ", 1)[0]

    @property
    def line(self) -> str:
        """Method, target, the AWS operation if any, and whose key signed it."""
        words = [self.method, self.start.split(" ")[1], self.headers.get("x-amz-target", "")]
        signer = re.search(r"Credential=([^/]+)/", self.headers.get("authorization", ""))
        return " ".join([word for word in words if word] + ([f"by {signer[1]}"] if signer else []))

    @property
    def length(self) -> int | None:
        value = self.headers.get("content-length")
        return None if value is None else int(value)

    @property
    def chunked(self) -> bool:
        return "chunked" in self.headers.get("transfer-encoding", "")


class Proxy:
    """Stands in front of one server, as a context manager. ``url`` is where to send requests.

    ``journal`` holds the lines of all requests, with ``-> status`` where they were answered;
    replies to requests that fit ``keep`` are kept in ``kept``.
    """

    def __init__(self, upstream: str, *, keep: str = r"(?!)") -> None:
        split = urlsplit(upstream)
        self._upstream = (split.hostname or "", split.port or 80)
        self._keep = re.compile(keep)
        self._lock = threading.Lock()
        self._gates: list[Gate] = []
        self._refusals: list[Refusal] = []
        self._open: set[socket.socket] = set()
        self.journal: list[str] = []
        self.kept: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def gate(self, pattern: str, stage: Stage, *, after: int = 0, body_bytes: int = 0) -> Gate:
        """Hold the first matching request (after ``after`` others) at that stage."""
        gate = Gate(re.compile(pattern), stage, after, body_bytes)
        with self._lock:
            self._gates.append(gate)
        return gate

    def refuse(self, pattern: str, status: int, code: str) -> Refusal:
        """Answer all matching requests with an S3 error, until ``on`` is False."""
        refusal = Refusal(re.compile(pattern), status, code)
        with self._lock:
            self._refusals.append(refusal)
        return refusal

    def count(self, pattern: str) -> int:
        """Requests so far whose line fits."""
        return sum(bool(re.search(pattern, line)) for line in list(self.journal))

    @property
    def connections(self) -> int:
        """Connections that are open: two for each client's."""
        return len(self._open)

    def close(self) -> list[str]:
        """End all connections; returns what was put in place and never struck."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        idle = [f"gate {g.pattern.pattern!r}" for g in self._gates if not g.reached.is_set()]
        idle += [f"refusal {r.pattern.pattern!r}" for r in self._refusals if not r.fired]
        for gate in self._gates:
            gate.cut()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        return idle

    # --- one connection ---------------------------------------------------------------

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, _Cut), client, self._connected() as server:
            self._open |= {client, server}
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                asked, answered = client.makefile("rb"), server.makefile("rb")
                with asked, answered:
                    while self._exchange(asked, client, answered, server):
                        pass
            finally:
                self._open -= {client, server}

    def _connected(self) -> socket.socket:
        return socket.create_connection(self._upstream, timeout=_PATIENCE)

    def _exchange(
        self, asked: BinaryIO, client: socket.socket, answered: BinaryIO, server: socket.socket
    ) -> bool:
        """One request and its reply; False where the connection ends with it."""
        head = _read_head(asked)
        if head is None:
            return False
        gate, refusal = self._judge(head.line)
        if refusal is not None:
            _discard(asked, head)
            client.sendall(_refused(refusal, head))
            return True
        if gate and gate.stage is Stage.ARRIVED:
            gate.hold()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # It may answer before the body's end and close: then the answer is still there.
            server.sendall(head.raw)
            for piece in _pieces(asked, head, gate):
                server.sendall(piece)
        return self._reply(head, gate, answered, client)

    def _judge(self, line: str) -> tuple[Gate | None, Refusal | None]:
        with self._lock:
            self.journal.append(line)
            for refusal in self._refusals:
                if refusal.on and refusal.pattern.search(line):
                    refusal.fired += 1
                    return None, refusal
            return next((gate for gate in self._gates if gate.takes(line)), None), None

    def _reply(
        self, asked: _Head, gate: Gate | None, answered: BinaryIO, client: socket.socket
    ) -> bool:
        head = _read_head(answered)
        while head is not None and head.start.split(" ")[1].startswith("1"):
            client.sendall(head.raw)
            head = _read_head(answered)
        if head is None:
            return False
        self.journal.append(f"{asked.line} -> {head.start.split(' ')[1]}")
        body = _reply_pieces(answered, asked, head)
        if self._keep.search(asked.line):
            whole = b"".join(body)
            self.kept.append(whole)
            body = iter((whole,))
        if gate:
            gate.passed.set()
            if gate.stage is Stage.ANSWERED:
                gate.hold()
        client.sendall(head.raw)
        for piece in body:
            client.sendall(piece)
        return "close" not in head.headers.get("connection", "")


def _read_head(stream: BinaryIO) -> _Head | None:
    raw = bytearray()
    while (line := stream.readline()) not in {b"\r\n", b""}:
        raw += line
    if not raw or not line:
        return None
    first, *rest = raw.decode("latin-1").splitlines()
    pairs = (entry.partition(":") for entry in rest)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return _Head(bytes(raw + line), first, headers)


def _pieces(stream: BinaryIO, head: _Head, gate: Gate | None) -> Iterator[bytes]:
    """The request's body, with the pauses a gate wants. A sender that ends early cuts it."""
    if head.chunked:
        raise NotImplementedError("requests in chunks")
    length, done = head.length or 0, 0
    stop = _first_stop(gate, length)
    while done < length:
        if done == stop and gate is not None:
            if gate.stage is Stage.SENT:
                last = stream.read(1)
                if last:
                    gate.hold()
                    yield last
                return
            gate.hold()
            stop = -1
        until = stop if stop > done else length
        piece = stream.read(min(_PIECE, until - done))
        if not piece:
            raise _Cut
        done += len(piece)
        yield piece
    if length == 0 and gate is not None and gate.stage in {Stage.BODY, Stage.SENT}:
        gate.hold()


def _first_stop(gate: Gate | None, length: int) -> int:
    if gate is None or gate.stage not in {Stage.BODY, Stage.SENT}:
        return -1
    return length - 1 if gate.stage is Stage.SENT else min(gate.body_bytes, length - 1)


def _reply_pieces(stream: BinaryIO, asked: _Head, head: _Head) -> Iterator[bytes]:
    status = head.start.split(" ")[1]
    if asked.method == "HEAD" or status in {"204", "304"}:
        return
    if head.chunked:
        yield from _chunks(stream)
        return
    left = head.length if head.length is not None else -1
    while left and (piece := stream.read(min(_PIECE, left) if left > 0 else _PIECE)):
        left -= len(piece) if left > 0 else 0
        yield piece


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    """A chunked body, as it comes."""
    while line := stream.readline():
        size = int(line.split(b";")[0], 16)
        yield line
        yield stream.read(size + 2) if size else stream.readline()
        if not size:
            return


def _discard(stream: BinaryIO, head: _Head) -> None:
    for _piece in _pieces(stream, head, None):
        pass


def _refused(refusal: Refusal, head: _Head) -> bytes:
    text = f"<?xml version='1.0'?><Error><Code>{refusal.code}</Code><Message>no</Message></Error>"
    body = b"" if head.method == "HEAD" else text.encode()
    lines = (
        f"HTTP/1.1 {refusal.status} Refused",
        "Content-Type: application/xml",
        f"Content-Length: {len(text)}",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + body
