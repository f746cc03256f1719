"""What the data plane costs in CPU: small GET+PUT pairs, and a large relay.

    python bench/wire_micro.py [--tls] [--loop asyncio|uvloop] [--pairs N] [--gib X]

The server runs in a process of its own; only this process's CPU time is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import socket
import ssl
import time
from multiprocessing.connection import Connection as Pipe

import trustme
import uvloop

from sync.checksums import BytesStream, DigestingStream
from sync.ports import Credentials
from sync.wire.client import Client
from sync.wire.request import Origin, Request, Response
from sync.wire.sigv4 import UNSIGNED_PAYLOAD, Signer, encode_key

SMALL = 4096
PART = 16 * 1024 * 1024
BLOCK = bytes(256 * 1024)


class Server(asyncio.Protocol):
    """Answers GET /<size>/... with that many zeros; takes PUT bodies and drops them."""

    def __init__(self) -> None:
        self.head = b""
        self.left = 0
        self.to_send = 0
        self.full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self.left:
            self.take(data)
            return
        self.head += data
        head, end, rest = self.head.partition(b"\r\n\r\n")
        if not end:
            return
        self.head = b""
        if head.startswith(b"GET"):
            size = int(head.split(b"/", 2)[1])
            self.transport.write(self.reply(size) + (bytes(size) if size <= SMALL else b""))
            self.to_send = 0 if size <= SMALL else size
            self.go_on()
        else:
            self.left = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            self.take(rest)

    def take(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left == 0:
            self.transport.write(self.reply(0))

    def reply(self, size: int) -> bytes:
        return (
            b"HTTP/1.1 200 OK\r\nx-amz-id-2: abcdefghijklmnopqrstuvwxyz0123456789\r\n"
            b"x-amz-request-id: 0123456789ABCDEF\r\nDate: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
            b"Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
            b'ETag: "d41d8cd98f00b204e9800998ecf8427e"\r\nAccept-Ranges: bytes\r\n'
            b"Content-Type: binary/octet-stream\r\nServer: bench\r\nContent-Length: %d\r\n\r\n"
            % size
        )

    def go_on(self) -> None:
        while self.to_send and not self.full:
            step = min(len(BLOCK), self.to_send)
            self.to_send -= step
            self.transport.write(BLOCK if step == len(BLOCK) else BLOCK[:step])

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self.go_on()


def serve(pipe: Pipe, pem: str) -> None:
    async def main() -> None:
        context = None
        if pem:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(pem)
        server = await asyncio.get_running_loop().create_server(
            Server, "127.0.0.1", 0, ssl=context, family=socket.AF_INET
        )
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


class Body:
    """A response's body as a ByteStream."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.length = response.content_length or 0

    def __aiter__(self):  # noqa: ANN204
        return self.response.chunks()


KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


def signed(signer: Signer, method: str, origin: Origin, path: str, body: object = None) -> Request:
    extra = (("content-type", "binary/octet-stream"),) if method == "PUT" else ()
    target, headers = signer.sign(
        method=method,
        host=origin.authority,
        path=encode_key(path),
        query=(),
        headers=extra,
        payload_hash=UNSIGNED_PAYLOAD,
        credentials=KEYS,
        region="us-east-1",
        now=time.time(),
    )
    return Request(method, origin, target, headers, body)  # type: ignore[arg-type]


async def relay(client: Client, origin: Origin, signer: Signer, size: int) -> None:
    async with client.stream(signed(signer, "GET", origin, f"/{size}/some/key")) as reply:
        stream = DigestingStream(Body(reply)) if size else BytesStream(b"")
        put = await client.send(signed(signer, "PUT", origin, "/some/key", stream))
        assert put.status == 200, put  # noqa: PLR2004  HTTP
    stream.digester.checksums()


async def many(client: Client, origin: Origin, size: int, count: int, width: int) -> None:
    signer = Signer(service="s3")
    left = iter(range(count))

    async def one() -> None:
        for _ in left:
            await relay(client, origin, signer, size)

    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(one())


async def measure(args: argparse.Namespace, port: int, tls: ssl.SSLContext | None) -> dict:
    client = Client(tls=tls)
    origin = Origin("https" if tls else "http", "localhost" if tls else "127.0.0.1", port)
    await many(client, origin, SMALL, 200, 16)
    start, wall, cpu = time.process_time(), time.perf_counter(), os.times()
    await many(client, origin, SMALL, args.pairs, 16)
    pair = (time.process_time() - start) / args.pairs
    user = (os.times().user - cpu.user) / args.pairs
    rate = args.pairs / (time.perf_counter() - wall)
    parts = max(1, int(args.gib * 64))
    start = time.process_time()
    await many(client, origin, PART, parts, 8)
    large = (time.process_time() - start) / (parts / 64)
    await client.close()
    return {
        "us_per_pair": round(pair * 1e6, 1),
        "of_that_user": round(user * 1e6, 1),
        "pairs_per_s": round(rate),
        "cpu_s_per_gib": round(large, 3),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--gib", type=float, default=1.0)
    args = parser.parse_args()
    authority = trustme.CA()
    tls, pem = None, ""
    ours, theirs = multiprocessing.Pipe()
    with authority.issue_cert("localhost").private_key_and_cert_chain_pem.tempfile() as path:
        if args.tls:
            pem = path
            tls = ssl.create_default_context()
            authority.configure_trust(tls)
        server = multiprocessing.Process(target=serve, args=(theirs, pem), daemon=True)
        server.start()
        port = ours.recv()
        run = uvloop.run if args.loop == "uvloop" else asyncio.run
        print(json.dumps({"loop": args.loop, "tls": args.tls, **run(measure(args, port, tls))}))
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
