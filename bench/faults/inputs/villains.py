"""What a server can do that means harm: each entry answers one connection after the other."""

# ruff: noqa: ARG001, ARG005  every part is given the number of its connection

from __future__ import annotations

import gzip
import itertools
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024
_FLOOD: Final = 300 * MIB
_BLOCK: Final = b"a" * 65536
_PATIENCE: Final = 20.0

Play = Callable[[socket.socket, int], None]


@dataclass(frozen=True, kw_only=True)
class Villain:
    """``play`` answers the nth connection of a server, its request's head having been read.
    ``calls`` are what a client is to try on it, see `victim.CALLS`; ``fine`` names those calls
    that may end well.
    """

    play: Play
    calls: tuple[str, ...] = ("get",)
    fine: bool = False


def said(*pieces: bytes) -> Play:
    """Say this, then nothing more, and leave the connection open."""

    def play(peer: socket.socket, number: int) -> None:
        for piece in pieces:
            peer.sendall(piece)
        _linger(peer)

    return play


def flood(first: bytes, block: bytes = _BLOCK, most: int = _FLOOD) -> Play:
    """Say this, then the block again and again until the other side goes away."""

    def play(peer: socket.socket, number: int) -> None:
        peer.sendall(first)
        for _ in range(most // len(block)):
            peer.sendall(block)

    return play


def slowly(text: bytes) -> Play:
    """A byte every twentieth of a second, for ever."""

    def play(peer: socket.socket, number: int) -> None:
        end = time.monotonic() + _PATIENCE
        for at in itertools.cycle(range(len(text))):
            if time.monotonic() > end:
                return
            peer.sendall(text[at : at + 1])
            time.sleep(0.05)

    return play


def _linger(peer: socket.socket) -> None:
    """Read on until the other side goes away: it would be reset otherwise."""
    peer.settimeout(_PATIENCE)
    while peer.recv(65536):
        pass


def reply(status: str, body: bytes = b"", *lines: str) -> bytes:
    """A whole reply, after which the connection serves no other."""
    length = f"Content-Length: {len(body)}"
    head = [f"HTTP/1.1 {status}", length, "Connection: close", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def pages(make: Callable[[int], bytes]) -> Play:
    """Each connection gets the next page, for ever."""

    def play(peer: socket.socket, number: int) -> None:
        peer.sendall(reply("200 OK", make(number)))

    return play


def _listing(token: str, *keys: str, more: bool = True) -> bytes:
    entries = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-01-05T10:00:00Z</LastModified>"
        f"<ETag>x</ETag><Size>1</Size></Contents>"
        for key in keys
    )
    return (
        f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>"
        f"<NextContinuationToken>{token}</NextContinuationToken>{entries}</ListBucketResult>"
    ).encode()


def _versions(marker: str) -> bytes:
    return (
        "<ListVersionsResult><IsTruncated>true</IsTruncated>"
        f"<NextKeyMarker>{marker}</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"
        "</ListVersionsResult>"
    ).encode()


def _uploads(marker: str) -> bytes:
    return (
        "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>"
        f"<NextKeyMarker>{marker}</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>"
        f"<Upload><Key>key</Key><UploadId>u</UploadId></Upload></ListMultipartUploadsResult>"
    ).encode()


def _parts(number: int) -> bytes:
    at = number % 3
    return (
        "<ListPartsResult><IsTruncated>true</IsTruncated>"
        f"<NextPartNumberMarker>{at + 1}</NextPartNumberMarker><Part><PartNumber>{at}</PartNumber>"
        "<Size>1</Size><ETag>x</ETag></Part></ListPartsResult>"
    ).encode()


def _laughs() -> bytes:
    levels = "".join(
        f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' if n else '<!ENTITY l0 "lol">' for n in range(12)
    )
    return f'<?xml version="1.0"?><!DOCTYPE x [{levels}]>'.encode()


def _doctypes(url: str = "file:///etc/passwd") -> Iterator[tuple[str, bytes]]:
    quadratic = b'<!DOCTYPE x [<!ENTITY l11 "' + b"a" * MIB + b'">]>'
    outside = f'<!DOCTYPE x [<!ENTITY l11 SYSTEM "{url}">]>'.encode()
    dtd = f'<!DOCTYPE x SYSTEM "{url}"><!-- l11 -->'.encode()
    yield from (("laughs", _laughs()), ("quadratic", quadratic), ("outside", outside), ("dtd", dtd))


_ENTITIES: Final = b"&l11;" * 200
_ROOTS: Final = {
    "list": (b"<ListBucketResult><Contents><Key>", b"</Key></Contents></ListBucketResult>"),
    "complete": (
        b"<CompleteMultipartUploadResult><ETag>",
        b"</ETag></CompleteMultipartUploadResult>",
    ),
    "uploads": (
        b"<ListMultipartUploadsResult><Upload><Key>",
        b"</Key></Upload></ListMultipartUploadsResult>",
    ),
    "tagging": (b"<Tagging><TagSet><Tag><Key>", b"</Key></Tag></TagSet></Tagging>"),
}
_ERROR: Final = (b"<Error><Code>", b"</Code></Error>")


def _xml_bombs() -> Iterator[tuple[str, Villain]]:
    for name, doctype in _doctypes():
        for call, (before, after) in _ROOTS.items():
            body = doctype + before + _ENTITIES + after
            yield f"XML {name} in {call}", Villain(play=said(reply("200 OK", body)), calls=(call,))
        body = doctype + _ERROR[0] + _ENTITIES + _ERROR[1]
        yield (
            f"XML {name} in an error",
            Villain(play=said(reply("403 No", body)), calls=("get", "put")),
        )
    deep = b"<a>" * 400_000
    yield (
        "XML nested 400,000 deep",
        Villain(play=said(reply("200 OK", deep)), calls=("list", "complete")),
    )
    yield (
        "XML nested deep in an error",
        Villain(play=said(reply("500 x", b"<a>" * 50_000)), calls=("get",)),
    )


def _gzip_bomb() -> bytes:
    return gzip.compress(b"<ListBucketResult>" + b" " * (200 * MIB), 1)


_OK: Final = b"HTTP/1.1 200 OK\r\n"
_CHUNKED: Final = _OK + b"ETag: x\r\nTransfer-Encoding: chunked\r\n\r\n"
_SIZED: Final = _OK + b"ETag: x\r\nContent-Length: "

_EMPTY: Final = b"<ListBucketResult></ListBucketResult>"
# Were either of the two believed, it would be a good reply.
_SMUGGLED: Final = (
    _SIZED + b"47\r\nTransfer-Encoding: chunked\r\n\r\n25\r\n" + _EMPTY + b"\r\n0\r\n\r\n"
)

HEADS: Final = {
    "an endless status line": Villain(play=flood(b"HTTP/1.1 200 ")),
    "an endless header line": Villain(play=flood(_OK + b"X: "), calls=("get", "put", "sqs")),
    "endless headers": Villain(play=flood(_OK, b"X-A: b\r\n" * 1000)),
    "an endless head with line feeds alone": Villain(play=flood(_OK, b"a: b\n" * 1000)),
    "a head that drips": Villain(play=slowly(b"HTTP/1.1 200 OK\r\nX-A: b"), calls=("get", "put")),
    "endless 100 Continue": Villain(play=flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
    "dripping 100 Continue": Villain(play=slowly(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "101 Switching Protocols": Villain(play=said(b"HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n")),
    "no HTTP at all": Villain(play=flood(b"SSH-2.0-x\r\n")),
    "silence": Villain(play=said(), calls=("get", "put", "list")),
    "201 headers": Villain(play=said(_OK + b"a: b\r\n" * 300 + b"\r\n")),
    "a header folded over lines": Villain(
        play=said(_OK + b"ETag: x\r\n y\r\nContent-Length: 0\r\n\r\n")
    ),
    "NUL in a header": Villain(play=said(_OK + b"ETag: \0\r\nContent-Length: 0\r\n\r\n")),
}
FRAMES: Final = {
    "Content-Length -1": Villain(play=said(_SIZED + b"-1\r\n\r\nabc")),
    "Content-Length above 63 bits": Villain(play=said(_SIZED + b"99999999999999999999\r\n\r\n")),
    "Content-Length of 5,000 digits": Villain(
        play=said(_SIZED + b"9" * 5000 + b"\r\n\r\n"), calls=("get", "head")
    ),
    "two Content-Lengths": Villain(play=said(_SIZED + b"3\r\nContent-Length: 4\r\n\r\nabcd")),
    "Content-Length and chunked": Villain(play=said(_SMUGGLED), calls=("list", "get")),
    "Transfer-Encoding gzip, chunked": Villain(
        play=said(_OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n")
    ),
    "a chunk of 2^64 bytes": Villain(
        play=said(_CHUNKED + b"ffffffffffffffff\r\nabc"), calls=("list",)
    ),
    "a chunk size of 100 digits": Villain(
        play=said(_CHUNKED + b"f" * 100 + b"\r\nabc"), calls=("list",)
    ),
    "a chunk size of -1": Villain(play=said(_CHUNKED + b"-1\r\nabc"), calls=("list",)),
    "an endless chunk extension": Villain(play=flood(_CHUNKED + b"5;"), calls=("list",)),
    "endless trailers": Villain(
        play=flood(_CHUNKED + b"0\r\n", b"a: b\r\n" * 1000), calls=("list",)
    ),
    "endless chunks of a byte": Villain(
        play=flood(_CHUNKED, b"1\r\na\r\n" * 1000), calls=("list",)
    ),
    "a body without end": Villain(
        play=flood(_OK + b"\r\n"), calls=("list", "complete", "sqs", "dynamodb")
    ),
    "a page of 100 MB": Villain(
        play=flood(_SIZED + b"104857600\r\n\r\n"), calls=("list", "uploads")
    ),
    "an error without end": Villain(
        play=flood(b"HTTP/1.1 403 No\r\n\r\n"), calls=("get", "put", "sqs")
    ),
    "an error of 10 GB": Villain(
        play=flood(b"HTTP/1.1 500 No\r\nContent-Length: 9999999999\r\n\r\n")
    ),
    "200 before the body was sent": Villain(
        play=flood(_SIZED + b"0\r\n\r\n"), calls=("put-large",)
    ),
    "403 before the body was sent, without end": Villain(
        play=flood(b"HTTP/1.1 403 No\r\n\r\n"), calls=("put-large",)
    ),
    "a listing in gzip": Villain(
        play=said(reply("200 OK", _gzip_bomb(), "Content-Encoding: gzip")), calls=("list",)
    ),
}


def redirects(evil: str) -> dict[str, Villain]:
    """To another host, with and without a region; ``evil`` is its URL."""
    found = {}
    for status in (301, 302, 303, 307, 308):
        away = f"Location: {evil}/bucket/key"
        plain = reply(f"{status} Moved", b"", away)
        found[f"{status} to another host"] = Villain(
            play=said(plain),
            calls=("get", "put", "put-large", "list", "head", "sqs", "dynamodb", "complete"),
        )
        regional = reply(f"{status} Moved", b"", away, "x-amz-bucket-region: eu-west-1")
        found[f"{status} to another host, with a region"] = Villain(
            play=said(regional), calls=("get", "put", "list")
        )
    named = f"<Error><Code>PermanentRedirect</Code><Endpoint>{evil[7:]}</Endpoint></Error>"
    found["PermanentRedirect that names another host"] = Villain(
        play=said(reply("301 Moved", named.encode())), calls=("get", "put")
    )
    found["a region that is a host"] = Villain(
        play=said(reply("301 Moved", b"", f"x-amz-bucket-region: {evil[7:]}/")),
        calls=("get", "put"),
    )
    found["regions in a circle"] = Villain(play=_circle, calls=("get", "list"))
    outside = f'<!DOCTYPE x [<!ENTITY l SYSTEM "{evil}/">]><ListBucketResult>&l;</ListBucketResult>'
    found["an XML entity from another host"] = Villain(
        play=said(reply("200 OK", outside.encode())), calls=("list",)
    )
    return found


def _circle(peer: socket.socket, number: int) -> None:
    region = ("eu-west-1", "us-west-2", "ap-south-1")[number % 3]
    body = f"<Error><Code>AuthorizationHeaderMalformed</Code><Region>{region}</Region></Error>"
    peer.sendall(reply("400 Bad", body.encode()))


LISTINGS: Final = {
    "one token for ever": Villain(
        play=pages(lambda n: _listing("t", f"k{n:09}")), calls=("list-all", "sorted")
    ),
    "one page for ever": Villain(
        play=pages(lambda n: _listing("t", "k")), calls=("list-all", "sorted", "compare", "folder")
    ),
    "tokens in a circle": Villain(
        play=pages(lambda n: _listing(f"t{n % 7}", f"k{n:09}")),
        calls=("list-all", "sorted", "compare"),
    ),
    "empty pages for ever": Villain(
        play=pages(lambda n: _listing(f"t{n}")), calls=("list-all", "sorted", "compare", "folder")
    ),
    "truncated without a token": Villain(
        play=pages(lambda n: _listing("", "k")), calls=("list-all", "compare")
    ),
    "keys that go down": Villain(
        play=pages(lambda n: _listing(f"t{n}", f"k{999 - n:09}")), calls=("compare",)
    ),
    "keys that go down in a page": Villain(
        play=pages(lambda n: _listing(f"t{n}", "b", "a")), calls=("compare",)
    ),
    "versions: one marker for ever": Villain(
        play=pages(lambda n: _versions("k")), calls=("versions",)
    ),
    "versions: markers in a circle": Villain(
        play=pages(lambda n: _versions(f"k{n % 5}")), calls=("versions",)
    ),
    "uploads: one marker for ever": Villain(
        play=pages(lambda n: _uploads("k")), calls=("all-uploads",)
    ),
    "uploads: markers in a circle": Villain(
        play=pages(lambda n: _uploads(f"k{n % 5}")), calls=("uploads", "all-uploads")
    ),
    "parts: markers in a circle": Villain(play=pages(_parts), calls=("parts",)),
}
_DEEP: Final = b"[" * 2_000_000
_OBJECTS: Final = b'{"a":' * 1_000_000
SERVICES: Final = {
    "JSON nested 2,000,000 deep": Villain(
        play=said(reply("200 OK", _DEEP)), calls=("sqs", "dynamodb", "sqs-send")
    ),
    "JSON objects nested deep": Villain(
        play=said(reply("200 OK", _OBJECTS)), calls=("sqs", "dynamodb")
    ),
    "JSON nested deep in an error": Villain(
        play=said(reply("400 Bad", _DEEP)), calls=("sqs", "dynamodb")
    ),
    "a number of 10,000,000 digits": Villain(
        play=said(reply("200 OK", b'{"Messages": ' + b"9" * 10_000_000 + b"}")), calls=("sqs",)
    ),
    "a table that is scanned for ever": Villain(
        play=pages(lambda n: b'{"Items": [], "LastEvaluatedKey": {"Key": {"S": "k"}}}'),
        calls=("scan",),
    ),
    "a metadata server without end": Villain(
        play=flood(_OK + b"Metadata-Flavor: Google\r\n\r\n"), calls=("metadata",), fine=True
    ),
    "a metadata server that drips": Villain(
        play=slowly(b"HTTP/1.1 200 OK\r\nX: y"), calls=("metadata",), fine=True
    ),
    "a metadata server that redirects": Villain(
        play=said(reply("302 Found", b"", "Location: http://127.0.0.1:9/")),
        calls=("metadata",),
        fine=True,
    ),
}


def villains(evil: str) -> dict[str, Villain]:
    """All of them, by name. ``evil`` is the URL of a host that nobody may ever talk to."""
    return {**HEADS, **FRAMES, **redirects(evil), **dict(_xml_bombs()), **LISTINGS, **SERVICES}
