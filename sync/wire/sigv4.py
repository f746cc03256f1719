"""AWS Signature Version 4, for S3 as stores want it and for the other services.

Source: AWS, "Create a signed AWS API request" and "Authenticating Requests: Using the
Authorization Header" (S3). For S3 the path is signed exactly as it is sent, without
normalising and without encoding it again; elsewhere it is normalised and encoded once more.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import Final

from sync.errors import KeyNotAllowed, RequestRefused
from sync.ports import Credentials
from sync.wire.head import header_lines

UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
EMPTY_HASH: Final = hashlib.sha256(b"").hexdigest()
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
# Proxies and load balancers change, add or drop these on the way (Google's front end rewrites
# Accept-Encoding).
_NEVER_SIGNED: Final = frozenset(
    [
        "accept-encoding",
        "authorization",
        "baggage",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    ]
)
_UNRESERVED: Final = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9._~-]*", re.ASCII).fullmatch
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9._~/-]*", re.ASCII).fullmatch
_NAME_BYTES: Final = tuple(chr(b) if chr(b) in _UNRESERVED else f"%{b:02X}" for b in range(256))
_PATH_BYTES: Final = tuple("/" if chr(b) == "/" else _NAME_BYTES[b] for b in range(256))
_ODD_SPACE: Final = re.compile(r"[\t\v\f]|  |^ | $", re.ASCII).search
_SPACES: Final = re.compile(r"[ \t\v\f]+", re.ASCII).sub
_KEYS_KEPT: Final = 64
_PREPARED_KEPT: Final = 256
_BLOCK: Final = 64
# Copying a fresh hash costs less than asking OpenSSL 3 for one.
_SHA256: Final = hashlib.sha256()
_NAME: Final = itemgetter(0)

Pairs = Sequence[tuple[str, str]]


def payload_hash(data: bytes) -> str:
    """SHA-256 of a body, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def encode_key(key: str) -> str:
    """An S3 key as it stands in a path: all but unreserved characters and ``/`` encoded.

    Nothing is normalised. KeyNotAllowed where the key is not valid Unicode.
    """
    return key if _PLAIN_PATH(key) else _encoded(key, _PATH_BYTES)


def encode_name(text: str) -> str:
    """A bucket name, query name or query value: all but unreserved characters encoded."""
    return text if _PLAIN_NAME(text) else _encoded(text, _NAME_BYTES)


def encode_query(query: Iterable[tuple[str, str]]) -> str:
    """Raw pairs as the query that goes out and is signed, sorted as SigV4 wants them."""
    pairs = sorted((encode_name(name), encode_name(value)) for name, value in query)
    return "&".join([f"{name}={value}" for name, value in pairs])


class _Prepared:
    """What the signatures of one second have in common where keys, host and headers are equal."""

    __slots__ = ("authorization", "lines", "pairs", "signature", "tail")

    def __init__(
        self,
        *,
        host: str,
        headers: Pairs,
        added: Pairs,
        scope: str,
        stamp: str,
        access_key: str,
        mac: _Mac,
    ) -> None:
        names, canonical = _canonical_headers(headers, [("host", host), *added])
        self.pairs = (*headers, *added)
        self.tail = f"{canonical}\n{names}\n"
        self.authorization = (
            f"{_ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={names}, Signature="
        )
        self.lines = f"{header_lines(self.pairs)}authorization: {self.authorization}"
        self.signature = partial(_signature, mac, f"{_ALGORITHM}\n{stamp}\n{scope}\n")


def _signature(mac: _Mac, head: str, request: str) -> str:
    """Of a canonical request; ``head`` is what the text to sign begins with."""
    digest = _SHA256.copy()
    try:
        digest.update(request.encode("latin-1"))
    except UnicodeEncodeError as error:
        raise RequestRefused("a header holds text that is not latin-1") from error
    return mac.hexdigest(f"{head}{digest.hexdigest()}".encode())


class _Mac:
    """HMAC-SHA-256 under one key (RFC 2104): both padded keys are hashed once for all messages,
    which `hmac` does too, in twice the time.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(_BLOCK, b"\0")  # the key is a digest, never longer than a block
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def hexdigest(self, message: bytes) -> str:
        """The code of a message."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()


class Signer:
    """Signs requests to one kind of service ("s3", "sqs", "dynamodb", "ssm").

    Holds derived keys of the day, never shown; safe to share between regions and accounts.
    """

    __slots__ = ("_keys", "_prepared", "_s3", "_second", "_service", "_stamp")

    def __init__(self, *, service: str) -> None:
        self._service = service
        self._s3 = service == "s3"
        self._keys: dict[tuple[str, str, str], _Mac] = {}
        # Most requests of a second differ from others in method and path alone.
        self._prepared: dict[tuple[object, ...], _Prepared] = {}
        self._second = -1
        self._stamp = ""

    def sign(
        self,
        *,
        method: str,
        host: str,
        path: str,
        query: Pairs,
        headers: Pairs,
        payload_hash: str,
        credentials: Credentials,
        region: str,
        now: float,
    ) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The request target and the headers to send (without Host), signature included.

        ``path`` is percent-encoded as it goes out, ``query`` raw pairs, ``host`` the Host
        header's value, ``now`` a POSIX timestamp. ``payload_hash`` is hexadecimal SHA-256 or
        UNSIGNED_PAYLOAD.
        """
        prepared = self._prepare(host, tuple(headers), payload_hash, credentials, region, now)
        target, signature = self._signed(prepared, method, path, query, payload_hash)
        authorization = f"{prepared.authorization}{signature}"
        return target, (*prepared.pairs, ("authorization", authorization))

    def sign_lines(
        self,
        *,
        method: str,
        host: str,
        path: str,
        query: Pairs,
        headers: tuple[tuple[str, str], ...],
        payload_hash: str,
        credentials: Credentials,
        region: str,
        now: float,
    ) -> tuple[str, str]:
        """As `sign`, with the headers as the lines that go out (``Request.lines``)."""
        prepared = self._prepare(host, headers, payload_hash, credentials, region, now)
        if query or not self._s3:
            target, signature = self._signed(prepared, method, path, query, payload_hash)
        else:  # the usual request, without a step between
            target = path
            signature = prepared.signature(f"{method}\n{path}\n\n{prepared.tail}{payload_hash}")
        return target, f"{prepared.lines}{signature}\r\n"

    def _signed(
        self, prepared: _Prepared, method: str, path: str, query: Pairs, payload_hash: str
    ) -> tuple[str, str]:
        text = encode_query(query) if query else ""
        canonical = path if self._s3 else self._path(path)
        request = f"{method}\n{canonical}\n{text}\n{prepared.tail}{payload_hash}"
        return f"{path}?{text}" if text else path, prepared.signature(request)

    def _prepare(  # noqa: PLR0917  positional for speed
        self,
        host: str,
        headers: tuple[tuple[str, str], ...],
        payload_hash: str,
        credentials: Credentials,
        region: str,
        now: float,
    ) -> _Prepared:
        second = int(now)
        if second != self._second:
            self._second, self._stamp = second, _amz_date(second)
            self._prepared.clear()
        stamp = self._stamp
        hashed = payload_hash if self._s3 else ""
        secret, token = credentials.secret_key, credentials.token
        key = (host, region, credentials.access_key, secret, token, hashed, headers)
        prepared = self._prepared.get(key)
        if prepared is None:
            added = [("x-amz-date", stamp)]
            if hashed:
                added.append(("x-amz-content-sha256", hashed))
            if token:
                added.append(("x-amz-security-token", token))
            prepared = _Prepared(
                host=host,
                headers=headers,
                added=added,
                scope=f"{stamp[:8]}/{region}/{self._service}/aws4_request",
                stamp=stamp,
                access_key=credentials.access_key,
                mac=self._mac(secret, stamp[:8], region),
            )
            if len(self._prepared) >= _PREPARED_KEPT:
                self._prepared.clear()
            self._prepared[key] = prepared
        return prepared

    def presign(
        self,
        *,
        method: str,
        host: str,
        path: str,
        query: Pairs,
        credentials: Credentials,
        region: str,
        now: float,
        expires: int,
    ) -> str:
        """The target of a request signed in its query, valid for ``expires`` seconds."""
        stamp = _amz_date(now)
        scope = f"{stamp[:8]}/{region}/{self._service}/aws4_request"
        signing = [
            ("X-Amz-Algorithm", _ALGORITHM),
            ("X-Amz-Credential", f"{credentials.access_key}/{scope}"),
            ("X-Amz-Date", stamp),
            ("X-Amz-Expires", str(expires)),
            ("X-Amz-SignedHeaders", "host"),
        ]
        if credentials.token:
            signing.append(("X-Amz-Security-Token", credentials.token))
        text = encode_query([*query, *signing])
        body = UNSIGNED_PAYLOAD if self._s3 else EMPTY_HASH
        request = "\n".join((method, self._path(path), text, f"host:{host}\n", "host", body))
        mac = self._mac(credentials.secret_key, stamp[:8], region)
        signature = _signature(mac, f"{_ALGORITHM}\n{stamp}\n{scope}\n", request)
        return f"{path}?{text}&X-Amz-Signature={signature}"

    def _path(self, path: str) -> str:
        if self._s3 or path == "/":
            return path
        return encode_key(_without_dots(path))

    def _mac(self, secret: str, day: str, region: str) -> _Mac:
        """The day's signing key, ready for messages."""
        known = self._keys.get((secret, day, region))
        if known is not None:
            return known
        if len(self._keys) >= _KEYS_KEPT:
            self._keys.clear()
        key = f"AWS4{secret}".encode()
        for step in (day, region, self._service, "aws4_request"):
            key = hmac.digest(key, step.encode(), "sha256")
        mac = self._keys[secret, day, region] = _Mac(key)
        return mac


def _amz_date(now: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


def _canonical_headers(headers: Pairs, signed: list[tuple[str, str]]) -> tuple[str, str]:
    """The signed headers' names, joined, and their canonical lines.

    ``signed`` comes in with those that are canonical as they are.
    """
    for name, value in headers:
        lower = name.lower()
        if lower not in _NEVER_SIGNED:
            if _ODD_SPACE(value):
                value = _SPACES(" ", value).strip(" ")  # noqa: PLW2901  the canonical form
            signed.append((lower, value))
    signed.sort(key=_NAME)
    merged = dict(signed)
    if len(merged) != len(signed):
        merged = _joined(signed)
    lines = [f"{name}:{value}\n" for name, value in merged.items()]
    return ";".join(merged), "".join(lines)


def _joined(signed: Iterable[tuple[str, str]]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for name, value in signed:
        merged[name] = f"{merged[name]},{value}" if name in merged else value
    return merged


def _without_dots(path: str) -> str:
    """RFC 3986, 5.2.4, and runs of slashes made one: only services other than S3 do this."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    tail = "/" if kept and path.endswith("/") else ""
    return f"/{'/'.join(kept)}{tail}"


def _encoded(text: str, table: Sequence[str]) -> str:
    try:
        return "".join([table[byte] for byte in text.encode("utf-8")])
    except UnicodeEncodeError as error:
        raise KeyNotAllowed(f"{text[:200]!r} is not valid Unicode") from error
