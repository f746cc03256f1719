"""AWS JSON 1.0 calls over the lean client: signed, checked, retried with full jitter.

The protocol: POST / with the operation in X-Amz-Target and a JSON object both ways. Every
call made through here may be repeated: what a repetition can do is the caller's to know.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from sync.adapters.aws_errors import Service, error_of
from sync.adapters.echoes import without
from sync.errors import (
    ClockSkewed,
    ConfigError,
    CredentialsRejected,
    IntegrityError,
    RequestRefused,
    SyncError,
    Throttled,
    TransientStoreError,
)
from sync.json_text import loads
from sync.ports import Clock, CredentialProvider
from sync.wire.clock import ClockOffset
from sync.wire.request import Origin, Request, Timeouts
from sync.wire.sigv4 import Signer, payload_hash

_CONTENT_TYPE: Final = "application/x-amz-json-1.0"
_OK: Final = 200
_REPLY_LIMIT: Final = 16 * 1024 * 1024
# Kept, because json.dumps makes one for each call with separators.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Reply(Protocol):
    """A reply read whole."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name."""
        ...

    @property
    def body(self) -> bytes:
        """All of it."""
        ...


class HttpClient(Protocol):
    """What is needed of ``sync.wire.client.Client``."""

    async def send(self, request: Request, *, limit: int = ...) -> Reply:
        """Send a request and read the reply whole."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and how patiently: pauses are drawn evenly from 0 to base * 2**n, at most
    ``cap`` seconds, so that a thousand workers do not come back at the same moment.
    """

    attempts: int = 6
    base: float = 0.1
    cap: float = 5.0
    chance: Callable[[], float] = random.random

    def pause(self, failures: int, *, at_least: float | None = None) -> float:
        """Seconds to wait after that many failures (from 1)."""
        bound = min(self.cap, self.base * 2.0 ** (failures - 1))
        return self.chance() * bound + min(at_least or 0.0, self.cap)


class JsonApi:
    """Calls one service at one endpoint.

    ``endpoint`` is a URL; its path is not used. A call raises errors of ``sync.errors`` only.
    """

    def __init__(
        self,
        *,
        service: Service,
        client: HttpClient,
        credentials: CredentialProvider,
        endpoint: str,
        region: str,
        clock: Clock,
        retries: Retries | None = None,
    ) -> None:
        self.service = service
        self.region = region
        self.clock = clock
        self.retries = retries or Retries()
        self._client = client
        self._credentials = credentials
        self._origin = origin_of(endpoint, title=service.title)
        self._authority = self._origin.authority
        self._headers: dict[str, tuple[tuple[str, str], ...]] = {}
        self._signer = Signer(service=service.name)
        self._offset = ClockOffset(time=clock.time, monotonic=clock.monotonic)

    async def call(
        self,
        operation: str,
        payload: Mapping[str, Any] | str,
        *,
        timeouts: Timeouts | None = None,
    ) -> Mapping[str, Any]:
        """Call ``operation`` and give back the reply's object.

        ``payload`` is the request's object, or its JSON text where a caller has put that
        together. Retries what may be retried; refused credentials are read anew, once.
        """
        body = _encode(operation, payload)
        failures, renewed = 0, False
        while True:
            try:
                return await self._once(operation, body, timeouts)
            except CredentialsRejected:
                if renewed:
                    raise
                renewed = True
                self._credentials.invalidate()
            except SyncError as error:
                failures += 1
                if not error.retry_here or failures >= self.retries.attempts:
                    raise
                await self.pause(failures, error)

    async def pause(self, failures: int, error: SyncError | None = None) -> None:
        """Wait as is due after that many failures (from 1)."""
        at_least = error.retry_after if isinstance(error, Throttled) else None
        await self.clock.sleep(self.retries.pause(failures, at_least=at_least))

    async def _once(
        self, operation: str, body: bytes, timeouts: Timeouts | None
    ) -> Mapping[str, Any]:
        credentials = await self._credentials.credentials()
        target, headers = self._signer.sign(
            method="POST",
            host=self._authority,
            path="/",
            query=(),
            headers=self._headers.get(operation) or self._headers_of(operation),
            payload_hash=payload_hash(body),
            credentials=credentials,
            region=self.region,
            now=self._offset.now(),
        )
        request = Request("POST", self._origin, target, headers, body=body, timeouts=timeouts)
        reply = await self._client.send(request, limit=_REPLY_LIMIT)
        return self._read(operation, reply, token=credentials.token)

    def _headers_of(self, operation: str) -> tuple[tuple[str, str], ...]:
        headers = self._headers[operation] = (
            ("content-type", _CONTENT_TYPE),
            ("x-amz-target", f"{self.service.prefix}.{operation}"),
        )
        return headers

    def _read(self, operation: str, reply: Reply, *, token: str = "") -> Mapping[str, Any]:
        self._check_crc32(operation, reply)
        if reply.status == _OK:
            return _decode(operation, reply.body)
        raise self._refusal(operation, reply, token)

    def _refusal(self, operation: str, reply: Reply, token: str) -> SyncError:
        error = error_of(
            self.service,
            operation,
            status=reply.status,
            headers=reply.headers,
            body=without(reply.body, [token]) if token else reply.body,
        )
        if isinstance(error, ClockSkewed):
            self._offset.learn(reply.headers.get("date", ""))
        return error

    def _check_crc32(self, operation: str, reply: Reply) -> None:
        # DynamoDB sends it with every reply; SQS has MD5 sums inside the body instead.
        told = reply.headers.get("x-amz-crc32")
        if told is not None and told != str(zlib.crc32(reply.body)):
            raise IntegrityError(
                f"{self.service.title} {operation}: the reply does not match its x-amz-crc32"
            )


def origin_of(endpoint: str, *, title: str) -> Origin:
    """The server that an endpoint URL names; ConfigError where it is none."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        raise ConfigError(_bad_endpoint(endpoint, title)) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(_bad_endpoint(endpoint, title))
    return Origin(parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80))


def _bad_endpoint(endpoint: str, title: str) -> str:
    shown = endpoint.rpartition("@")[2]  # before it, a password may stand
    return f"{title} endpoint {shown!r} is no URL: write it like https://host or http://host:port"


def _encode(operation: str, payload: Mapping[str, Any] | str) -> bytes:
    text = payload if isinstance(payload, str) else _ENCODER.encode(payload)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise RequestRefused(
            f"{operation}: a value holds half a surrogate pair, which no service stores",
            operation=operation,
        ) from None


def _decode(operation: str, body: bytes) -> Mapping[str, Any]:
    try:
        value = loads(body) if body else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise TransientStoreError(f"{operation}: the reply is no JSON object", operation=operation)
    return value
