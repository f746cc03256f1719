"""The GCS stand-in in its own process, boto3 clients for it, and raw requests signed by hand."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import Element

import boto3
from botocore.config import Config
from defusedxml.ElementTree import fromstring

from sync.standins.gcs import GcsProcess, HmacIdentity, Options, start

BUCKET: Final = "dst-bucket"
EMPTY_SHA: Final = hashlib.sha256(b"").hexdigest()


@contextlib.contextmanager
def running_gcs(*, ca_file: str = "", **options: Any) -> Iterator[GcsProcess]:
    """A stand-in on a free port with one bucket, unless options say otherwise."""
    with start(Options(**{"buckets": (BUCKET,), **options}), ca_file=ca_file) as gcs:
        yield gcs


def boto_client(gcs: GcsProcess, *, identity: HmacIdentity | None = None, **config: Any) -> Any:
    """A boto3 client as Cloud Storage needs it: path style, checksums only when required."""
    who = identity or gcs.identity
    settings = {
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "s3": {"addressing_style": "path"},
        "retries": {"total_max_attempts": 1},
        **config,
    }
    return boto3.client(
        "s3",
        endpoint_url=gcs.url,
        region_name="auto",
        aws_access_key_id=who.access_id,
        aws_secret_access_key=who.secret,
        config=Config(**settings),
    )


@dataclass(frozen=True, slots=True)
class RawReply:
    """A reply as it came. ``headers`` are (lower-case name, value) pairs."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """First value of that header, or ""."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def code(self) -> str:
        """The XML error's code, or ""."""
        return fault_text(self.body, "Code")


def fault_text(body: bytes, name: str) -> str:
    """Text of an element right under the root, or ""."""
    if not body:
        return ""
    root: Element = fromstring(body)
    return next((node.text or "" for node in root if node.tag.endswith(name)), "")


def signed(
    gcs: GcsProcess,
    method: str,
    path: str,
    *,
    query: str = "",
    headers: dict[str, str] | None = None,
    payload: str = "UNSIGNED-PAYLOAD",
    scheme: str = "AWS4",
    identity: HmacIdentity | None = None,
    when: float | None = None,
    unsigned: tuple[str, ...] = (),
    region: str = "auto",
) -> dict[str, str]:
    """All headers of a request, signed. ``path`` and ``query`` are as they go out."""
    who = identity or gcs.identity
    prefix, service = ("x-amz", "s3") if scheme == "AWS4" else ("x-goog", "storage")
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() if when is None else when))
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    sent.setdefault("host", urlsplit(gcs.url).netloc)
    sent |= {f"{prefix}-date": stamp, f"{prefix}-content-sha256": payload}
    names = sorted(set(sent) - set(unsigned) - {"content-length", "expect"})
    canonical = "\n".join(
        (
            method,
            path,
            "&".join(sorted(piece if "=" in piece else piece + "=" for piece in query.split("&")))
            if query
            else "",
            "".join(f"{name}:{sent[name].strip()}\n" for name in names),
            ";".join(names),
            payload,
        )
    )
    ending = f"{scheme.lower()}_request"
    scope = f"{stamp[:8]}/{region}/{service}/{ending}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = (scheme + who.secret).encode()
    text = f"{scheme}-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    for piece in (stamp[:8], region, service, ending, text):
        key = hmac.new(key, piece.encode(), hashlib.sha256).digest()
    sent["authorization"] = (
        f"{scheme}-HMAC-SHA256 Credential={who.access_id}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={key.hex()}"
    )
    return sent


def send(
    gcs: GcsProcess,
    method: str,
    target: str,
    *,
    headers: dict[str, str],
    body: bytes | None = b"",
    ca_file: str = "",
) -> RawReply:
    """Send exactly this and read the reply; no Content-Length where ``body`` is None."""
    place = urlsplit(gcs.url)
    assert place.hostname is not None
    connection = (
        http.client.HTTPSConnection(
            place.hostname, place.port, context=ssl.create_default_context(cafile=ca_file)
        )
        if place.scheme == "https"
        else http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    )
    with contextlib.closing(connection):
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value.encode())
        if body is not None and "content-length" not in headers:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body or None)
        reply = connection.getresponse()
        content = reply.read()
        pairs = [(name.lower(), value) for name, value in reply.getheaders()]
        return RawReply(reply.status, pairs, content)


def ask(
    gcs: GcsProcess,
    method: str,
    key: str,
    *,
    query: str = "",
    body: bytes | None = b"",
    bucket: str = BUCKET,
    ca_file: str = "",
    **signing: Any,
) -> RawReply:
    """One signed path-style request for a key."""
    path = f"/{bucket}/{quote(key, safe='/~')}" if key else f"/{bucket}"
    headers = signed(gcs, method, path, query=query, **signing)
    target = f"{path}?{query}" if query else path
    return send(gcs, method, target, headers=headers, body=body, ca_file=ca_file)
