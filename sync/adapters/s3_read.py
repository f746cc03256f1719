"""An open read of an object: what the reply's head said, and the bytes, counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from sync.adapters.dialects import S3Dialect
from sync.adapters.s3_headers import object_meta, ranged_size, whole_size
from sync.errors import IntegrityError, TransientStoreError
from sync.model import ObjectMeta
from sync.ports import ByteStream, SourceRead
from sync.wire.request import Response

_PARTIAL: Final = 206


@dataclass(frozen=True, slots=True)
class _Read:
    meta: ObjectMeta
    body: ByteStream


class _Body:
    """A reply's body as a ByteStream of a known length."""

    __slots__ = ("_response", "_subject", "length")

    def __init__(self, response: Response, length: int, subject: str) -> None:
        self._response = response
        self._subject = subject
        self.length = length

    def __aiter__(self) -> AsyncIterator[memoryview]:
        """The connection counts where it knows the length; here where it does not."""
        if self._response.content_length == self.length:
            return self._response.chunks()
        return self._counted()

    async def _counted(self) -> AsyncIterator[memoryview]:
        left = self.length
        async for chunk in self._response.chunks():
            left -= len(chunk)
            if left < 0:
                raise IntegrityError(f"{self._subject}: more than {self.length} bytes came")
            yield chunk
        if left:
            raise TransientStoreError(f"{self._subject}: the body ended {left} bytes early")


def opened(
    response: Response,
    byte_range: tuple[int, int] | None,
    *,
    subject: str,
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
