"""A stand-in for the metadata servers of Google Compute Engine and of EC2 (IMDSv2).

For tests. One server answers as one of the two, with their headers and refusals: GCE wants and
sends ``Metadata-Flavor: Google`` and holds ``wait_for_change`` requests until something changes;
EC2 wants a session token got by PUT and refuses requests without one.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import threading
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

_GCE: Final = "/computeMetadata/v1/"
_EC2: Final = "/latest/meta-data/"
_ROLE: Final = _EC2 + "iam/security-credentials/"
_TTL: Final = "X-aws-ec2-metadata-token-ttl-seconds"
_TOKEN: Final = "X-aws-ec2-metadata-token"  # noqa: S105  a header's name


class Cloud(StrEnum):
    """Whose metadata server is played."""

    GCE = "gce"
    EC2 = "ec2"


class Metadata:
    """Context manager: a metadata server on a free loopback port.

    ``address`` is ``127.0.0.1:port`` (GCE_METADATA_HOST), ``url`` the same with ``http://``
    (AWS_EC2_METADATA_SERVICE_ENDPOINT). ``values`` are the answers by path; change them with
    ``set``. ``waiting`` counts requests that are held, ``broken`` answers everything with 503.
    """

    def __init__(self, cloud: Cloud, *, name: str = "worker-1", port: int = 0) -> None:
        self.cloud = cloud
        self.changed = threading.Condition()
        self.values = _first_values(cloud, name)
        self.version = 0
        self.waiting = 0
        self.broken = False
        self.tokens: set[str] = set()
        self.refused = 0
        self._closing = False
        handler = type("Handler", (_Handler,), {"server_state": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        with self.changed:
            self._closing = True
            self.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def serve_forever(self) -> None:
        """Serve in this thread until interrupted."""
        self._server.serve_forever()

    def set(self, path: str, value: str | None) -> None:
        """Change what is answered under a path; None takes it away."""
        with self.changed:
            if value is None:
                self.values.pop(path, None)
            else:
                self.values[path] = value
            self.version += 1
            self.changed.notify_all()

    def preempt(self) -> None:
        """Announce the end of the machine, as the cloud does for preemptible and spot ones."""
        if self.cloud is Cloud.GCE:
            self.set(_GCE + "instance/preempted", "TRUE")
            return
        when = _stamp(timedelta(minutes=2))
        self.set(_EC2 + "spot/instance-action", json.dumps({"action": "terminate", "time": when}))

    def maintain(self) -> None:
        """Announce host maintenance that ends the machine (GCE)."""
        self.set(_GCE + "instance/maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE")

    def grant_role(
        self, role: str, access_key: str, secret_key: str, *, lasts: float = 3600
    ) -> None:
        """Hand out keys of an instance role (EC2), as botocore asks for them."""
        document = {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": access_key,
            "SecretAccessKey": secret_key,
            "Token": "session-" + access_key,
            "LastUpdated": _stamp(timedelta()),
            "Expiration": _stamp(timedelta(seconds=lasts)),
        }
        self.set(_ROLE, role)
        self.set(_ROLE + role, json.dumps(document))

    def wait_for_change(self, path: str, last: str) -> None:
        """Return when the value's etag is not ``last`` any more, or the server closes."""
        with self.changed:
            self.waiting += 1
            self.changed.wait_for(lambda: self._closing or self.etag(path) != last, timeout=60)
            self.waiting -= 1

    def etag(self, path: str) -> str:
        """Names the present value under a path."""
        return f"{hash(self.values.get(path)) & 0xFFFFFFFFFFFF:012x}"


class _Handler(BaseHTTPRequestHandler):
    server_state: Metadata
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        state, ttl = self.server_state, self.headers.get(_TTL, "")
        if state.cloud is not Cloud.EC2 or self.path != "/latest/api/token":
            self._send(HTTPStatus.NOT_FOUND, "")
        elif "X-Forwarded-For" in self.headers:
            self._send(HTTPStatus.FORBIDDEN, "")
        elif not (ttl.isdecimal() and 1 <= int(ttl) <= 21600):  # noqa: PLR2004  the limit there
            self._send(HTTPStatus.BAD_REQUEST, "")
        else:
            token = secrets.token_urlsafe(24)
            state.tokens.add(token)
            self._send(HTTPStatus.OK, token, {_TTL: ttl})

    def do_GET(self) -> None:
        state, url = self.server_state, urlsplit(self.path)
        if state.broken:
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, "")
        elif refusal := self._refusal():
            state.refused += 1
            self._send(refusal, "")
        elif state.cloud is Cloud.GCE:
            self._gce(url.path, parse_qs(url.query))
        else:
            self._value(url.path, {})

    def _refusal(self) -> HTTPStatus | None:
        if self.server_state.cloud is Cloud.GCE:
            good = self.headers.get("Metadata-Flavor") == "Google"
            return None if good else HTTPStatus.FORBIDDEN
        good = self.headers.get(_TOKEN) in self.server_state.tokens
        return None if good else HTTPStatus.UNAUTHORIZED

    def _gce(self, path: str, query: dict[str, list[str]]) -> None:
        state = self.server_state
        if query.get("wait_for_change") == ["true"]:
            last = query.get("last_etag", [state.etag(path)])[0]
            state.wait_for_change(path, last)
        self._value(path, {"Metadata-Flavor": "Google", "ETag": state.etag(path)})

    def _value(self, path: str, headers: dict[str, str]) -> None:
        value = self.server_state.values.get(path)
        status = HTTPStatus.NOT_FOUND if value is None else HTTPStatus.OK
        self._send(status, value or "", headers)

    def _send(self, status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing: a log of requests would only be noise."""


def _first_values(cloud: Cloud, name: str) -> dict[str, str]:
    if cloud is Cloud.EC2:
        place = json.dumps({"region": "eu-west-1", "instanceId": name})
        return {
            _EC2 + "instance-id": name,
            _EC2 + "placement/availability-zone": "eu-west-1a",
            _EC2 + "placement/availability-zone/": "eu-west-1a",
            "/latest/dynamic/instance-identity/document": place,
        }
    return {
        _GCE + "instance/name": name,
        _GCE + "instance/preempted": "FALSE",
        _GCE + "instance/maintenance-event": "NONE",
    }


def _stamp(ahead: timedelta) -> str:
    return (datetime.now(UTC) + ahead).strftime("%Y-%m-%dT%H:%M:%SZ")


def main(arguments: list[str]) -> None:
    """Serve until interrupted, and say where."""
    parser = argparse.ArgumentParser(prog="python -m sync.standins.metadata")
    parser.add_argument("cloud", type=Cloud, choices=list(Cloud))
    parser.add_argument("--port", type=int, default=0, help="0: a free one, printed at the start")
    options = parser.parse_args(arguments)
    server = Metadata(options.cloud, port=options.port)
    variable = "GCE_METADATA_HOST=" if options.cloud is Cloud.GCE else _EC2_VARIABLE
    sys.stdout.write(f"{variable}{server.address}\n")
    sys.stdout.flush()
    server.serve_forever()


_EC2_VARIABLE: Final = "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://"

if __name__ == "__main__":
    main(sys.argv[1:])
