"""A stand-in for Google Secret Manager's REST interface, on the library's own message types.

For tests and the demo. It serves AccessSecretVersion and AddSecretVersion as
google-cloud-secret-manager asks for them: numbered versions, ``latest``, CRC32C of the payload,
NotFound, PermissionDenied, disabled versions, and faults on request. No TLS, no keys, loopback.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from google.cloud.secretmanager_v1 import (
    AccessSecretVersionResponse,
    AddSecretVersionRequest,
    SecretPayload,
    SecretVersion,
)

from sync.checksums import Digester

_NAME: Final = r"(?P<secret>projects/[^/]+(?:/locations/[^/]+)?/secrets/[^/:]+)"
_ACCESS: Final = re.compile(rf"/v1/{_NAME}/versions/(?P<version>[^/:]+):access")
_ADD: Final = re.compile(rf"/v1/{_NAME}:addVersion")
_STATUS: Final = {
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "PERMISSION_DENIED": HTTPStatus.FORBIDDEN,
    "FAILED_PRECONDITION": HTTPStatus.BAD_REQUEST,
    "INVALID_ARGUMENT": HTTPStatus.BAD_REQUEST,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
}


@dataclass(slots=True)
class _Secret:
    versions: list[bytes] = field(default_factory=list)
    disabled: set[int] = field(default_factory=set)
    denied: bool = False


class _RefusalError(Exception):
    """An answer other than 200; the status is Google's name for it."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status


class SecretManager:
    """Context manager: a server on a free loopback port, with the secrets it is given.

    ``address`` is ``127.0.0.1:port``, as SECRETMANAGER_EMULATOR_HOST wants it. ``accesses``
    counts the versions handed out or refused.
    """

    def __init__(self, *, port: int = 0) -> None:
        self._lock = threading.Lock()
        self._secrets: dict[str, _Secret] = {}
        self._unavailable = 0
        self._damage = 0
        self.accesses = 0
        handler = type("Handler", (_Handler,), {"store": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve_forever(self) -> None:
        """Serve in this thread until interrupted."""
        self._server.serve_forever()

    def add_version(self, secret: str, data: bytes) -> str:
        """Create the secret ``projects/P/secrets/S`` if need be; returns the version's name."""
        with self._lock:
            kept = self._secrets.setdefault(secret, _Secret())
            kept.versions.append(data)
            return f"{secret}/versions/{len(kept.versions)}"

    def disable(self, secret: str, number: int) -> None:
        """Refuse that version from now on, as one that was disabled."""
        self._secrets[secret].disabled.add(number)

    def deny(self, secret: str, *, denied: bool = True) -> None:
        """Answer PermissionDenied for it, or stop doing so."""
        self._secrets[secret].denied = denied

    def fail_next(self, *, unavailable: int = 0, damaged: int = 0) -> None:
        """Answer so many requests with 503, then so many with a wrong CRC32C."""
        with self._lock:
            self._unavailable, self._damage = unavailable, damaged

    def access(self, secret: str, version: str) -> AccessSecretVersionResponse:
        """What AccessSecretVersion answers; raises the refusals the server turns into errors."""
        with self._lock:
            self.accesses += 1
            self._check_faults(secret)
            number = self._number(secret, version)
            data = self._secrets[secret].versions[number - 1]
            damage, self._damage = min(self._damage, 1), max(0, self._damage - 1)
        payload = SecretPayload(data=data, data_crc32c=_crc32c(data) ^ damage)
        return AccessSecretVersionResponse(name=f"{secret}/versions/{number}", payload=payload)

    def _check_faults(self, secret: str) -> None:
        if self._unavailable:
            self._unavailable -= 1
            raise _RefusalError("UNAVAILABLE", "The service is currently unavailable.")
        kept = self._secrets.get(secret)
        if kept is not None and kept.denied:
            text = f"Permission 'secretmanager.versions.access' denied for resource '{secret}'."
            raise _RefusalError("PERMISSION_DENIED", text)

    def _number(self, secret: str, version: str) -> int:
        kept = self._secrets.get(secret, _Secret())
        latest = str(len(kept.versions)) if version == "latest" else version
        if not latest.isdecimal():
            raise _RefusalError("INVALID_ARGUMENT", f"Invalid version '{version}'.")
        if not 1 <= int(latest) <= len(kept.versions):
            raise _RefusalError("NOT_FOUND", f"Secret version [{secret}/{version}] not found.")
        if int(latest) in kept.disabled:
            raise _RefusalError("FAILED_PRECONDITION", "Secret Version is in DISABLED state.")
        return int(latest)


class _Handler(BaseHTTPRequestHandler):
    store: SecretManager
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        match = _ACCESS.fullmatch(self.path.partition("?")[0])
        if not match:
            self._refuse("NOT_FOUND", "no such method")
            return
        try:
            reply = self.store.access(match["secret"], match["version"])
        except _RefusalError as refusal:
            self._refuse(refusal.status, str(refusal))
        else:
            self._send(HTTPStatus.OK, AccessSecretVersionResponse.to_json(reply))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match = _ADD.fullmatch(self.path.partition("?")[0])
        if not match:
            self._refuse("NOT_FOUND", "no such method")
            return
        request = AddSecretVersionRequest.from_json(body.decode())
        name = self.store.add_version(match["secret"], bytes(request.payload.data))
        self._send(HTTPStatus.OK, SecretVersion.to_json(SecretVersion(name=name)))

    def _refuse(self, status: str, text: str) -> None:
        code = _STATUS[status]
        error = {"code": code.value, "message": text, "status": status}
        self._send(code, json.dumps({"error": error}))

    def _send(self, status: HTTPStatus, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing: a log of requests would only be noise."""


def _crc32c(data: bytes) -> int:
    digester = Digester()
    digester.update(data)
    return digester.checksums().crc32c or 0


def main(arguments: list[str]) -> None:
    """Serve secrets from files: ``--secret projects/P/secrets/S=FILE`` as often as wanted."""
    parser = argparse.ArgumentParser(prog="python -m sync.standins.secretmanager")
    parser.add_argument("--port", type=int, default=0, help="0: a free one, printed at the start")
    parser.add_argument("--secret", action="append", default=[], metavar="NAME=FILE")
    options = parser.parse_args(arguments)
    server = SecretManager(port=options.port)
    for item in options.secret:
        name, _, file = item.partition("=")
        server.add_version(name, Path(file).read_bytes())
    sys.stdout.write(f"SECRETMANAGER_EMULATOR_HOST={server.address}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
