"""Every request that leaves this process, whichever client sends it, with its reply's status."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import botocore.httpsession
import pytest
import requests

from sync.wire.client import Client


@dataclass(frozen=True)
class Sent:
    """One request. ``headers`` are by lower-case name; ``body`` is b"" where it is a
    stream; ``client`` is 3gsync, boto3 or google.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    client: str = "3gsync"

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.url).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    @property
    def signer(self) -> str:
        """The access key that signed it, or ""."""
        _, _, rest = self.headers.get("authorization", "").partition("Credential=")
        return rest.partition("/")[0]

    @property
    def signed_headers(self) -> set[str]:
        _, _, rest = self.headers.get("authorization", "").partition("SignedHeaders=")
        return set(filter(None, rest.partition(",")[0].split(";")))


@dataclass
class Recording:
    """What was sent since it began."""

    sent: list[Sent] = field(default_factory=list)


@contextlib.contextmanager
def recording() -> Iterator[Recording]:
    """Record what 3GSync's own client, boto3 and Google's libraries send."""
    made = Recording()
    with pytest.MonkeyPatch.context() as patch:
        _record_ours(patch, made)
        _record_boto(patch, made)
        _record_google(patch, made)
        yield made


def _record_ours(patch: pytest.MonkeyPatch, made: Recording) -> None:
    real = Client.open

    async def opened(client: Client, request: Any) -> Any:
        reply = await real(client, request)
        lines = [line.partition(":") for line in request.lines.split("\r\n") if line]
        headers = {name.lower(): value.strip() for name, _, value in lines}
        headers |= {name.lower(): value for name, value in request.headers}
        url = f"{request.origin.scheme}://{request.origin.authority}{request.target}"
        body = request.body if isinstance(request.body, bytes) else b""
        made.sent.append(Sent(request.method, url, headers, body, reply.status))
        return reply

    patch.setattr(Client, "open", opened)


def _record_boto(patch: pytest.MonkeyPatch, made: Recording) -> None:
    real = botocore.httpsession.URLLib3Session.send

    def send(session: Any, request: Any) -> Any:
        reply = real(session, request)
        made.sent.append(_plain(request, reply, "boto3"))
        return reply

    patch.setattr(botocore.httpsession.URLLib3Session, "send", send)


def _record_google(patch: pytest.MonkeyPatch, made: Recording) -> None:
    real = requests.Session.send

    def send(session: Any, request: Any, **options: Any) -> Any:
        reply = real(session, request, **options)
        made.sent.append(_plain(request, reply, "google"))
        return reply

    patch.setattr(requests.Session, "send", send)


def _plain(request: Any, reply: Any, client: str) -> Sent:
    texts = ((name.lower(), value) for name, value in request.headers.items())
    headers = {n: v.decode("latin-1") if isinstance(v, bytes) else str(v) for n, v in texts}
    body = request.body if isinstance(request.body, bytes | str) else b""
    data = body.encode() if isinstance(body, str) else body
    return Sent(
        str(request.method), str(request.url), headers, data, int(reply.status_code), client
    )
