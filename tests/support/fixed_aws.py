"""A server of fixed replies in a process of its own: a source store, a Cloud Storage and a queue.

It is there to be talked to while the work of whoever talks to it is counted, so it is frugal and
always says the same: a queue ``QUEUE-SIZE-COUNT-TAG`` holds a message for each of COUNT objects
of SIZE bytes, a GET or HEAD of a key that begins with ``SIZE-`` finds such an object, and what is
written is summed and dropped. Nothing is checked. Start it with `fixed_aws`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any

import trustme
from awscrt import checksums

BLOCK = bytes(range(256)) * 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_PART = re.compile(rb"<PartNumber>(\d+)</PartNumber>")
_HEAD = (
    "HTTP/1.1 {status}\r\nx-amz-id-2: 8yqVvG4Zd3c1pX7n0bTtq5WmR2sUeLhJkYfAoCi9D6E\r\n"
    "x-amz-request-id: 0123456789ABCDEF\r\nDate: Mon, 05 Jan 2026 10:00:00 GMT\r\n"
    "{headers}Server: fixed\r\nContent-Length: {length}\r\n\r\n"
)
_DESCRIBED = (
    'Last-Modified: Mon, 05 Jan 2026 10:00:00 GMT\r\nETag: "{etag}"\r\n'
    "Accept-Ranges: bytes\r\nContent-Type: binary/octet-stream\r\n"
)
_XML = "Content-Type: application/xml\r\n"
_JSON = "Content-Type: application/x-amz-json-1.0\r\n"


@dataclass(frozen=True)
class FixedAws:
    """Where it listens, on a port for each role, and the authority to trust."""

    source: str
    destination: str
    queue: str
    authority: Path


@contextmanager
def fixed_aws(folder: Path) -> Iterator[FixedAws]:
    """Run the server until the context ends; ``folder`` gets its certificates."""
    authority, pem = trustme.CA(), folder / "server.pem"
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(pem))
    command = [sys.executable, __file__, str(pem)]
    # It ends with its standard input, so that it does not outlive a test that is killed.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, "the server did not start: see its message above"
            source, destination, queue = (f"https://127.0.0.1:{n}" for n in json.loads(line))
            yield FixedAws(source, destination, queue, folder / "ca.pem")
        finally:
            process.kill()


# --- the server's own process -------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A request without its body."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]

    @property
    def length(self) -> int:
        return int(self.headers.get("content-length", 0))


@dataclass
class Stored:
    """A written object or part."""

    size: int = 0
    crc: int = 0

    def add(self, data: bytes) -> None:
        self.crc = checksums.crc32c(data, self.crc)
        self.size += len(data)

    @property
    def described(self) -> str:
        crc = base64.b64encode(self.crc.to_bytes(4, "big")).decode()
        return f'ETag: "fixed-{self.size}"\r\nx-goog-hash: crc32c={crc}\r\n'


@dataclass
class State:
    """What lies in the queues and at the destination."""

    queues: dict[str, Iterator[dict[str, Any]]] = field(default_factory=dict)
    objects: dict[str, Stored] = field(default_factory=dict)
    parts: dict[tuple[str, int], Stored] = field(default_factory=dict)


def messages(name: str) -> Iterator[dict[str, Any]]:
    """The messages of a queue of this name."""
    _, size, count, tag = name.split("-")
    for number in range(int(count)):
        body = json.dumps({"Records": [_record(int(size), f"{size}-{tag}-{number:06}")]})
        yield {
            "MessageId": f"{number:08}-fixed",
            "ReceiptHandle": f"{number:06}",
            "MD5OfBody": md5(body.encode(), usedforsecurity=False).hexdigest(),
            "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767607200000"},
            "Body": body,
        }


def _record(size: int, key: str) -> dict[str, Any]:
    described = {"key": key, "size": size, "eTag": f"{size:032x}", "sequencer": "0055AED6DCD902"}
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-01-05T10:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "EXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.7"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "to-the-queue",
            "bucket": {"name": "source", "arn": "arn:aws:s3:::source"},
            "object": described,
        },
    }


class Talk:
    """One connection."""

    def __init__(self, sock: ssl.SSLSocket, state: State) -> None:
        self._sock = sock
        self._file = BufferedReader(sock.makefile("rb", buffering=0), 1 << 18)
        self._state = state

    def run(self) -> None:
        """Answer until the other side goes away."""
        with contextlib.suppress(OSError), self._sock, self._file:
            while (asked := self._asked()) is not None:
                self._answer_to(asked)(asked)

    def _asked(self) -> Asked | None:
        line = self._file.readline().decode("latin-1")
        if not line:
            return None
        method, target, _ = line.split(" ")
        headers = {}
        while (line := self._file.readline().decode("latin-1").rstrip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        path, _, query = target.partition("?")
        return Asked(method, path, query, headers)

    def _answer_to(self, asked: Asked) -> Callable[[Asked], None]:
        if "x-amz-target" in asked.headers:
            return self._queue
        if asked.path.startswith("/source/"):
            return self._read
        if asked.method == "PUT":
            return self._write
        return self._upload if asked.method == "POST" else self._look

    def _say(self, headers: str, body: bytes = b"", *, status: str = "200 OK") -> None:
        head = _HEAD.format(status=status, headers=headers, length=len(body))
        self._sock.sendall(head.encode() + body)

    def _queue(self, asked: Asked) -> None:
        operation = asked.headers["x-amz-target"].partition(".")[2]
        request = json.loads(self._file.read(asked.length))
        queues = self._state.queues
        reply: dict[str, Any] = {}
        if operation == "GetQueueUrl":
            name = request["QueueName"]
            queues[name] = messages(name)
            reply = {"QueueUrl": f"https://sqs.invalid/000000000000/{name}"}
        elif operation == "ReceiveMessage":
            name = request["QueueUrl"].rpartition("/")[2]
            reply = {"Messages": list(islice(queues[name], request["MaxNumberOfMessages"]))}
        elif operation == "DeleteMessageBatch":
            reply = {"Successful": [{"Id": e["Id"]} for e in request["Entries"]], "Failed": []}
        elif operation == "GetQueueAttributes":
            reply = {"Attributes": {"VisibilityTimeout": "120"}}
        self._say(_JSON, json.dumps(reply, separators=(",", ":")).encode())

    def _read(self, asked: Asked) -> None:
        size = int(asked.path.rpartition("/")[2].partition("-")[0])
        described, status = _DESCRIBED.format(etag=f"{size:032x}"), "200 OK"
        first, last = 0, size - 1
        if ranged := _RANGE.match(asked.headers.get("range", "")):
            first, last = map(int, ranged.groups())
            status = "206 Partial Content"
            described += f"Content-Range: bytes {first}-{last}/{size}\r\n"
        left = last + 1 - first
        head = _HEAD.format(status=status, headers=described, length=left).encode()
        if asked.method == "HEAD":
            left = 0
        start = min(left, 8192)  # the head and a short body are one TLS record
        self._sock.sendall(head + BLOCK[:start])
        left -= start
        while left > 0:
            left -= self._sock.send(memoryview(BLOCK)[: min(left, len(BLOCK))])

    def _write(self, asked: Asked) -> None:
        stored, left = Stored(), asked.length
        while left:
            data = self._file.read1(min(left, 1 << 18))
            if not data:
                raise ConnectionError
            stored.add(data)
            left -= len(data)
        if part := re.search(r"partNumber=(\d+)", asked.query):
            self._state.parts[asked.path, int(part[1])] = stored
        else:
            self._state.objects[asked.path] = stored
        self._say(stored.described)

    def _upload(self, asked: Asked) -> None:
        document = self._file.read(asked.length)
        root = "InitiateMultipartUploadResult"
        text = "<UploadId>fixed</UploadId>"
        headers = _XML
        if asked.query not in {"uploads", "uploads="}:
            root, text = "CompleteMultipartUploadResult", "<ETag>&quot;fixed&quot;</ETag>"
            parts = [self._state.parts[asked.path, int(n)] for n in _PART.findall(document)]
            whole = Stored()
            for part in parts:
                whole.crc = checksums.combine_crc32c(whole.crc, part.crc, part.size)
                whole.size += part.size
            self._state.objects[asked.path] = whole
            headers += whole.described
        self._say(headers, f"<?xml version='1.0'?><{root}>{text}</{root}>".encode())

    def _look(self, asked: Asked) -> None:
        stored = self._state.objects.get(asked.path)
        if asked.method == "GET":  # open uploads: there are none
            root = "ListMultipartUploadsResult"
            self._say(_XML, f"<{root}><IsTruncated>false</IsTruncated></{root}>".encode())
        elif stored is None:
            self._say(_XML, status="404 Not Found")
        else:
            headers = stored.described
            head = _HEAD.format(status="200 OK", headers=headers, length=stored.size)
            self._sock.sendall(head.encode())


def _listen(tls: ssl.SSLContext, state: State) -> int:
    listening = socket.create_server(("127.0.0.1", 0))
    # Room for what the other side has yet to take: it then always finds all it has room for.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)

    def serve(plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Talk(tls.wrap_socket(plain, server_side=True), state).run()

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listening.getsockname()[1])


def main() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[1])
    state = State()
    print(json.dumps([_listen(tls, state) for _ in range(3)]), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
