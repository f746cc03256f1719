"""The control API under ``/_standin/``: faults, the journal, counts. Guarded by a token."""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any, Final

from sync.errors import ConfigError
from sync.standins.gcs.calls import parse_query, split_target
from sync.standins.gcs.faults import Fault
from sync.standins.gcs.http1 import Reply, Request

if TYPE_CHECKING:
    from sync.standins.gcs.server import GcsStandIn

PREFIX: Final = "/_standin/"
TOKEN_HEADER: Final = "x-standin-token"  # noqa: S105  a header's name
_LIMIT: Final = 4 * 1024 * 1024


async def answer(server: GcsStandIn, request: Request) -> Reply:
    """Answer a control request; 403 without the token."""
    token = request.header(TOKEN_HEADER)
    if not hmac.compare_digest(token.encode("latin-1"), server.options.control_token.encode()):
        return _json({"error": f"{TOKEN_HEADER} is missing or wrong"}, 403)
    path, query = split_target(request.target)
    place = (request.method, path.removeprefix(PREFIX))
    if place == ("POST", "faults"):
        return _add(server, await _body(request))
    if place in {("GET", "faults"), ("DELETE", "faults")}:
        report = list(server.faults.report())
        if request.method == "DELETE":
            server.faults.clear()
        return _json(report)
    if place in {("GET", "requests"), ("DELETE", "requests")}:
        since = dict(parse_query(query)).get("since", "0")
        shown = server.journal.since(int(since) if since.isdecimal() else 0)
        if request.method == "DELETE":
            server.journal.clear()
        return _json(shown)
    if place == ("GET", "stats"):
        return _json(server.stats())
    return _json({"error": f"no such place: {request.method} {path}"}, 404)


def _add(server: GcsStandIn, body: bytes) -> Reply:
    try:
        faults = [Fault.from_json(plain) for plain in json.loads(body)]
    except (ConfigError, ValueError, TypeError, AttributeError) as error:
        return _json({"error": str(error)}, 400)
    return _json([armed.number for armed in server.faults.add(*faults)])


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.body.chunks():
        body += piece[: _LIMIT - len(body)]
    return bytes(body)


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, [("content-type", "application/json")], json.dumps(value).encode())
