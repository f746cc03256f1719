"""One signed exchange with a store, and what is learned when it refuses.

The session does not loop: a refused request is sent once more only where the refusal itself
taught something (new keys, the bucket's region, the right time) and its body can be repeated.
Everything else is for the caller's retry policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from sync.adapters.echoes import without
from sync.adapters.s3_errors import VISIBLE, Refusal, http_date, translate
from sync.adapters.s3_place import Endpoint, Place
from sync.adapters.s3_xml import parse_error
from sync.errors import ClockSkewed, CredentialsRejected, SyncError, TransientStoreError
from sync.ports import ByteStream, Clock, CredentialProvider, Credentials
from sync.wire.client import Client, Reply
from sync.wire.clock import ClockOffset
from sync.wire.exchange import Exchange
from sync.wire.request import Request, Timeouts
from sync.wire.sigv4 import (
    EMPTY_HASH,
    UNSIGNED_PAYLOAD,
    Signer,
    encode_key,
    encode_name,
    payload_hash,
)

_ERROR_LIMIT: Final = 256 * 1024
_FIRST_FAILURE: Final = 300
# S3 refuses signatures that are more than fifteen minutes off.
_SKEW_LIMIT: Final = 900.0
_SIGNABLE: Final = re.compile(r"[a-z0-9-]{1,64}")
_MAX_PLACES: Final = 1024
_MOVED: Final = frozenset({301, 302, 307, 308, 400})


class Call(NamedTuple):
    """One operation on a bucket or an object. ``unsigned`` headers stay out of the signature."""

    operation: str
    method: str
    bucket: str
    key: str = ""
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    unsigned: tuple[tuple[str, str], ...] = ()
    body: ByteStream | bytes | None = None
    timeouts: Timeouts | None = None

    @property
    def subject(self) -> str:
        """``bucket/key`` for messages."""
        return f"{self.bucket}/{self.key}" if self.key else self.bucket

    @property
    def repeatable(self) -> bool:
        """True where the body is at hand to be sent a second time."""
        return self.body is None or isinstance(self.body, bytes)

    @property
    def versioned(self) -> bool:
        """True where a certain version is asked for."""
        return any(name in {"versionId", "generation"} for name, _ in self.query)

    @property
    def of_upload(self) -> bool:
        """True where a multipart upload is named."""
        return any(name == "uploadId" for name, _ in self.query)


class _Judged:
    """The error for a refusal, and whether something was ``learned`` that mends it.

    ``take`` lets go of it: an error that is raised where a variable holds it makes a cycle, of all
    frames on its way, and the worker lets cycles lie for long.
    """

    __slots__ = ("_errors", "learned")

    def __init__(self, error: SyncError, *, learned: bool = False) -> None:
        self._errors = [error]
        self.learned = learned

    def take(self) -> SyncError:
        """The error, once."""
        return self._errors.pop()


class S3Session:
    """Signs, sends, and translates refusals for one endpoint. Safe for many tasks at once."""

    def __init__(
        self,
        *,
        client: Client,
        credentials: CredentialProvider,
        endpoint: Endpoint,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._endpoint = endpoint
        self._offset = _offset(clock)
        self._signer = Signer(service="s3")
        self._regions: dict[str, str] = {}
        self._places: dict[tuple[str, str], Place] = {}
        self._tokens: tuple[str, ...] = ()

    async def send(self, call: Call) -> Reply:
        """Exchange a request for its whole reply; an error of `sync.errors` for a refusal."""
        used = await self._credentials.credentials()
        reply = await self._client.send(self._request(call, used))
        if reply.status < _FIRST_FAILURE:
            return reply
        judged = await self._judge(call, reply.status, reply.headers, reply.body, used)
        if not (judged.learned and call.repeatable):
            raise judged.take()
        used = await self._credentials.credentials()
        reply = await self._client.send(self._request(call, used))
        if reply.status < _FIRST_FAILURE:
            return reply
        raise (await self._judge(call, reply.status, reply.headers, reply.body, used)).take()

    async def open(self, call: Call) -> tuple[Request, Exchange]:
        """Exchange a repeatable request for a reply whose body is still to be read.

        ``release`` must follow.
        """
        used = await self._credentials.credentials()
        request = self._request(call, used)
        response = await self._client.open(request)
        if response.status < _FIRST_FAILURE:
            return request, response
        judged = await self._refused(call, request, response, used)
        if not judged.learned:
            raise judged.take()
        used = await self._credentials.credentials()
        request = self._request(call, used)
        response = await self._client.open(request)
        if response.status < _FIRST_FAILURE:
            return request, response
        raise (await self._refused(call, request, response, used)).take()

    def release(self, request: Request, response: Exchange) -> None:
        """The reply is done with. Where its body has not ended the connection is closed."""
        self._client.release(request, response)

    async def _refused(
        self, call: Call, request: Request, response: Exchange, used: Credentials
    ) -> _Judged:
        try:
            body = await response.read(_ERROR_LIMIT)
        finally:
            self._client.release(request, response)
        return await self._judge(call, response.status, response.headers, body, used)

    def refusal(self, call: Call, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """A reply as what `translate` needs."""
        return Refusal(
            operation=call.operation,
            subject=call.subject,
            status=status,
            headers=headers,
            body=parse_error(without(body, self._tokens)) if body else None,
            versioned=call.versioned,
            of_upload=call.of_upload,
        )

    @property
    def now(self) -> float:
        """The store's time, as far as it is known."""
        return self._offset.now()

    def _request(self, call: Call, credentials: Credentials) -> Request:
        place = self._place(call.bucket, credentials)
        key, body = call.key, call.body
        if credentials.token and credentials.token not in self._tokens:
            self._tokens = (credentials.token, *self._tokens[:1])  # the last is still under way
        target, lines = self._signer.sign_lines(
            method=call.method,
            host=place.authority,
            path=place.prefix + encode_key(key) if key else place.prefix,
            query=call.query,
            headers=call.headers,
            payload_hash=EMPTY_HASH if body is None else _hash(body),
            credentials=credentials,
            region=place.region,
            now=self._offset.now(),
        )
        return Request(
            method=call.method,
            origin=place.origin,
            target=target,
            headers=call.unsigned,
            body=call.body,
            # Sent twice, the first copy could take effect late, on top of a newer object; so a
            # dead kept-alive connection is the caller's to know of.
            repeatable=call.operation not in VISIBLE,
            timeouts=call.timeouts,
            lines=lines,
        )

    def _place(self, bucket: str, credentials: Credentials) -> Place:
        region = self._regions.get(bucket) or self._endpoint.region or credentials.region
        place = self._places.get((bucket, region))
        if place is None:
            if len(self._places) >= _MAX_PLACES:
                self._places.clear()
            place = self._endpoint.place(bucket, region=region, encoded=encode_name(bucket))
            self._places[bucket, region] = place
        return place

    async def _judge(
        self,
        call: Call,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        used: Credentials,
    ) -> _Judged:
        refusal = self.refusal(call, status, headers, body)
        region = self._other_region(refusal, call.bucket, used)
        if region:
            self._regions[call.bucket] = region
            return _Judged(self._moved(refusal, region), learned=True)
        error = translate(refusal, now=self.now)
        if isinstance(error, ClockSkewed) or self._skewed(refusal):
            return _Judged(self._set_clock(refusal, headers), learned=True)
        if isinstance(error, CredentialsRejected):
            return _Judged(error, learned=await self._renewed(used))
        return _Judged(error)

    def _other_region(self, refusal: Refusal, bucket: str, used: Credentials) -> str:
        """The region a refusal names, where requests can be signed or sent for it; or "".

        Another host is only ever one built from the configured endpoint. Where the refusal is
        about the signature alone, the host stays and the region is signed for.
        """
        if refusal.status not in _MOVED:
            return ""
        named = refusal.headers.get("x-amz-bucket-region", "")
        region = named or (refusal.body.region if refusal.body else "")
        signable = refusal.code == "AuthorizationHeaderMalformed" and _SIGNABLE.fullmatch(region)
        if region == self._place(bucket, used).region:
            return ""
        return region if signable or self._endpoint.can_move(region) else ""

    def _moved(self, refusal: Refusal, region: str) -> TransientStoreError:
        return TransientStoreError(
            f"{refusal.operation} {refusal.subject}: the bucket is in {region}; "
            "further requests go there",
            operation=refusal.operation,
            status=refusal.status,
            code=refusal.code,
            request_id=refusal.request_id,
        )

    def _skewed(self, refusal: Refusal) -> bool:
        """A HEAD has no body to name the reason: the Date header gives a wrong clock away."""
        store = http_date(refusal.headers.get("date", ""))
        unnamed = refusal.status in {400, 403} and not refusal.code
        return unnamed and store is not None and abs(store - self.now) > _SKEW_LIMIT

    def _set_clock(self, refusal: Refusal, headers: Mapping[str, str]) -> ClockSkewed:
        self._offset.learn(headers.get("date", ""))
        return ClockSkewed(
            f"{refusal.operation} {refusal.subject}: this machine's clock differs from the "
            "store's; requests are signed with the store's time from now on (mend the clock)",
            operation=refusal.operation,
            status=refusal.status,
            code=refusal.code,
            request_id=refusal.request_id,
        )

    async def _renewed(self, used: Credentials) -> bool:
        """Read the keys anew, once for all tasks that were refused with the same ones."""
        if await self._credentials.credentials() == used:
            self._credentials.invalidate()
        return await self._credentials.credentials() != used


def _offset(clock: Clock | None) -> ClockOffset:
    return ClockOffset(time=clock.time, monotonic=clock.monotonic) if clock else ClockOffset()


def _hash(body: ByteStream | bytes) -> str:
    return payload_hash(body) if isinstance(body, bytes) else UNSIGNED_PAYLOAD
