"""An open read of an object: what the reply's head said, and the bytes, counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, NamedTuple

from sync.adapters.dialects import S3Dialect
from sync.adapters.s3_headers import object_meta, ranged_size, whole_size
from sync.adapters.s3_session import Call, S3Session
from sync.checksums import joined
from sync.errors import IntegrityError, TransientStoreError
from sync.model import ObjectMeta, ObjectRef
from sync.ports import ByteStream, SourceRead
from sync.wire.request import Response

_PARTIAL: Final = 206


class _Read(NamedTuple):
    meta: ObjectMeta
    body: ByteStream


class _Body:
    """A reply's body as a ByteStream of a known length."""

    __slots__ = ("_response", "_subject", "length")

    def __init__(self, response: Response, length: int, subject: object) -> None:
        self._response = response
        self._subject = subject
        self.length = length

    def __aiter__(self) -> AsyncIterator[memoryview]:
        """The connection counts where it knows the length; here where it does not."""
        if self._response.content_length == self.length:
            return self._response.chunks()
        return self._counted()

    async def read(self) -> bytes:
        """All of it at once."""
        if self._response.content_length == self.length:
            return await self._response.read(self.length)
        return await joined(self._counted())

    async def _counted(self) -> AsyncIterator[memoryview]:
        left = self.length
        async for chunk in self._response.chunks():
            left -= len(chunk)
            if left < 0:
                raise IntegrityError(f"{self._subject}: more than {self.length} bytes came")
            yield chunk
        if left:
            raise TransientStoreError(f"{self._subject}: the body ended {left} bytes early")


class OpenRead(AbstractAsyncContextManager[SourceRead]):
    """A GET, and its reply for as long as the context lasts. A generator would do, but the
    event loop keeps a weak reference to each one, and there is one for every object.
    """

    __slots__ = ("_byte_range", "_call", "_dialect", "_ref", "_request", "_response", "_session")

    def __init__(
        self,
        session: S3Session,
        call: Call,
        ref: ObjectRef,
        *,
        byte_range: tuple[int, int] | None,
        dialect: S3Dialect,
    ) -> None:
        self._session = session
        self._call = call
        self._ref = ref
        self._byte_range = byte_range
        self._dialect = dialect

    async def __aenter__(self) -> SourceRead:
        self._request, self._response = await self._session.open(self._call)
        try:
            return opened(
                self._response,
                self._byte_range,
                subject=self._ref,
                dialect=self._dialect,
            )
        except BaseException:
            self._session.release(self._request, self._response)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.release(self._request, self._response)


def opened(
    response: Response,
    byte_range: tuple[int, int] | None,
    *,
    subject: object,
    dialect: S3Dialect,
) -> SourceRead:
    """A reply to a GET as the read that was asked for.

    IntegrityError where it is another range, or the whole where a range was asked for.
    """
    headers, length = response.headers, response.content_length
    if byte_range is None:
        size = whole_size(headers, length, subject)
        meta = object_meta(headers, size=size, dialect=dialect)
        return _Read(meta, _Body(response, size, subject))
    if response.status != _PARTIAL:
        raise IntegrityError(f"{subject}: a range was asked for and the store sent the whole")
    size = ranged_size(headers, byte_range, length, subject)
    meta = object_meta(headers, size=size, dialect=dialect)
    return _Read(meta, _Body(response, byte_range[1] - byte_range[0] + 1, subject))
