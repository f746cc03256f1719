"""What the machine says of itself: its name, and that it is about to be taken away.

Google's metadata server (cloud.google.com/compute/docs/metadata) and EC2's in its second
version (session tokens). Neither is reachable from other networks; no answer means: not there.
"""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Final, cast
from urllib.parse import urlsplit

from sync.json_text import loads

_ADDRESS: Final = "169.254.169.254"
_FLAVOR: Final = ("Metadata-Flavor", "Google")
_LIMIT: Final = 64 * 1024
_OK: Final = 200
_NOT_FOUND: Final = 404
_UNREACHABLE: Final = (OSError, TimeoutError, HTTPException, ValueError)
_GCE: Final = "/computeMetadata/v1/instance/"
_EC2: Final = "/latest/meta-data/"


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    text: str


async def instance_name(environ: Mapping[str, str], *, timeout: float = 1.0) -> str:  # noqa: ASYNC109  bounds each of two probes
    """Name of the GCE instance, id of the EC2 instance, or the host's name. Never raises."""
    if stream := environ.get("AWS_LAMBDA_LOG_STREAM_NAME"):
        return f"lambda-{stream.rpartition(']')[2]}"
    # Both together: where there is no metadata server each costs its whole time limit.
    names = await asyncio.gather(_gce_name(environ, timeout), _ec2_name(environ, timeout))
    return next((name for name in names if name), "") or socket.gethostname()


async def wait_for_notice(
    environ: Mapping[str, str],
    *,
    poll: float = 5.0,
    timeout: float = 1.0,  # noqa: ASYNC109  bounds single requests, not the wait
) -> str:
    """Wait until the cloud says that the machine will be taken away; returns the reason.

    Returns "" at once where no metadata server answers within ``timeout`` seconds. GCE holds
    the request until something changes; EC2 is asked every ``poll`` seconds. Never raises but
    when it is cancelled, and may be cancelled at any time.
    """
    on_gce, on_ec2 = await asyncio.gather(_gce_name(environ, timeout), _ec2_name(environ, timeout))
    if on_gce:
        return await _gce_notice(environ, pause=poll)
    return await _ec2_notice(environ, poll, timeout) if on_ec2 else ""


async def _gce_name(environ: Mapping[str, str], limit: float) -> str:
    if environ.get("NO_GCE_CHECK", "").lower() == "true":
        return ""
    with suppress(*_UNREACHABLE):
        return (await _gce_get(environ, "name", limit)).text
    return ""


async def _gce_get(environ: Mapping[str, str], path: str, limit: float) -> _Reply:
    """A value of this instance; ValueError where the answer is no metadata server's."""
    host = environ.get("GCE_METADATA_HOST") or _ADDRESS
    reply = await _ask("GET", f"http://{host}", _GCE + path, [_FLAVOR], limit)
    # Anything may answer on that address elsewhere; only Google's server signs so.
    if reply.status != _OK or reply.headers.get("metadata-flavor") != "Google":
        raise ValueError(reply.status)
    return reply


async def _gce_notice(environ: Mapping[str, str], *, pause: float) -> str:
    watches = [
        asyncio.create_task(_gce_watch(environ, "preempted", "TRUE", pause)),
        asyncio.create_task(_gce_watch(environ, "maintenance-event", "TERMINATE", pause)),
    ]
    try:
        done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)


async def _gce_watch(environ: Mapping[str, str], path: str, word: str, pause: float) -> str:
    query, hold = "", 60.0
    while True:
        try:
            reply = await _gce_get(environ, path + query, hold + 30)
        except _UNREACHABLE:
            query = ""
            await asyncio.sleep(pause)
            continue
        if reply.text.startswith(word):
            return f"GCE {path}: {reply.text}"
        etag = reply.headers.get("etag", "")
        query = f"?wait_for_change=true&timeout_sec={hold:.0f}" + (etag and f"&last_etag={etag}")
        if not etag:
            await asyncio.sleep(pause)


def _ec2_url(environ: Mapping[str, str]) -> str:
    return (environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or f"http://{_ADDRESS}").rstrip("/")


async def _ec2_get(environ: Mapping[str, str], path: str, limit: float) -> _Reply:
    url, life = _ec2_url(environ), ("X-aws-ec2-metadata-token-ttl-seconds", "60")
    token = await _ask("PUT", url, "/latest/api/token", [life], limit)
    if token.status != _OK:
        raise ValueError(token.status)
    headers = [("X-aws-ec2-metadata-token", token.text)]
    return await _ask("GET", url, _EC2 + path, headers, limit)


async def _ec2_name(environ: Mapping[str, str], limit: float) -> str:
    if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return ""
    with suppress(*_UNREACHABLE):
        reply = await _ec2_get(environ, "instance-id", limit)
        return reply.text if reply.status == _OK else ""
    return ""


async def _ec2_notice(environ: Mapping[str, str], poll: float, limit: float) -> str:
    while True:
        with suppress(*_UNREACHABLE):
            reply = await _ec2_get(environ, "spot/instance-action", limit)
            if reply.status == _OK:  # 404 as long as nothing is planned
                return f"EC2 spot: {_action(reply.text)}"
        await asyncio.sleep(poll)


def _action(text: str) -> str:
    """The notice in words; a notice that cannot be read is one all the same."""
    try:
        document = loads(text)
        return f"{document['action']} at {document['time']}"
    except (ValueError, KeyError, TypeError):
        return text[:200]


async def _ask(
    method: str, base: str, path: str, headers: list[tuple[str, str]], limit: float
) -> _Reply:
    """One request on a connection of its own; everything within ``limit`` seconds."""
    url = urlsplit(base)
    async with asyncio.timeout(limit):
        reader, writer = await asyncio.open_connection(url.hostname, url.port or 80)
        try:
            lines = [f"{method} {path} HTTP/1.1", f"Host: {url.netloc}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in headers]
            writer.write("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode())
            return _parse(await _read_all(reader), method)
        finally:
            writer.close()


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    data = bytearray()
    while piece := await reader.read(_LIMIT):
        data += piece
        if len(data) > _LIMIT:
            raise ValueError("more than a metadata server says")
    return bytes(data)


class _Received:
    """Bytes in the shape http.client reads replies from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _parse(data: bytes, method: str) -> _Reply:
    response = HTTPResponse(cast("socket.socket", _Received(data)), method=method)
    response.begin()
    text = response.read().decode("utf-8").strip()
    return _Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, text)
