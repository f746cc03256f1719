"""What a store that speaks the S3 protocol does by itself: copying objects and parts, tagging.

Sources: Amazon S3 API reference, "CopyObject", "UploadPartCopy", "PutObjectTagging". Copies
answer 200 first and may then report a failure in the body.
"""

from __future__ import annotations

import hashlib
from typing import Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from sync.adapters.dialects import S3Dialect
from sync.adapters.s3_errors import translate
from sync.adapters.s3_headers import content_md5_header, stored_checksums, write_headers
from sync.adapters.s3_session import Call, S3Session
from sync.adapters.s3_xml import XmlFault, expected, parse_error, text_of, unquoted
from sync.errors import AccessDenied, CredentialsRejected, KeyNotAllowed, OutcomeUnknown
from sync.model import ObjectHeaders, ObjectRef, Upload, WriteReceipt
from sync.wire.client import Reply
from sync.wire.request import Timeouts
from sync.wire.sigv4 import encode_key, encode_name

_COPYING: Final = Timeouts(first_byte=900.0, idle=600.0, whole=3600.0)
_NO_VERSION: Final = frozenset({None, "", "null"})


class S3Copies:
    """A `CopyingStore`: the destination, asked to work by itself."""

    def __init__(self, session: S3Session, dialect: S3Dialect) -> None:
        self._session = session
        self._dialect = dialect

    async def copy(
        self, source: ObjectRef, ref: ObjectRef, headers: ObjectHeaders, *, if_match: str
    ) -> WriteReceipt:
        """Copy a whole object; content headers, metadata and tags are those given.

        OutcomeUnknown where the reply ends before it has said how the copy went.
        """
        fault = self._dialect.key_fault(ref.key)
        if fault:
            raise KeyNotAllowed(f"{ref}: {fault}")
        lines = [*self._from(source, if_match), ("x-amz-metadata-directive", "REPLACE")]
        if self._dialect.has_tags:
            lines.append(("x-amz-tagging-directive", "REPLACE"))
        lines += write_headers(headers, self._dialect)
        return await self._copied(self._call("CopyObject", ref, (), lines), "CopyObjectResult")

    async def copy_part(
        self,
        source: ObjectRef,
        upload: Upload,
        number: int,
        *,
        if_match: str,
        byte_range: tuple[int, int],
    ) -> WriteReceipt:
        """Copy bytes as a part."""
        query = (("partNumber", str(number)), ("uploadId", upload.upload_id))
        first, last = byte_range
        lines = [
            *self._from(source, if_match),
            ("x-amz-copy-source-range", f"bytes={first}-{last}"),
        ]
        call = self._call("UploadPartCopy", upload.ref, query, lines)
        return await self._copied(call, "CopyPartResult")

    async def put_tagging(self, ref: ObjectRef, tagging: str) -> None:
        """Replace the tags; "" deletes them."""
        query = (("tagging", ""),)
        if not tagging:
            call = Call("DeleteObjectTagging", "DELETE", ref.bucket, ref.key, query)
            await self._session.send(call)
            return
        body = _tagging_document(tagging)
        lines = (content_md5_header(_md5(body)), ("content-type", "application/xml"))
        call = Call("PutObjectTagging", "PUT", ref.bucket, ref.key, query, lines, body=body)
        await self._session.send(call)

    def _from(self, source: ObjectRef, if_match: str) -> list[tuple[str, str]]:
        path = f"/{encode_name(source.bucket)}/{encode_key(source.key)}"
        # Cloud Storage names generations in a header of its own family, which must not be mixed
        # with Amazon's; the ETag pins there.
        named = source.version_id not in _NO_VERSION and self._dialect.version_query == "versionId"
        if named and source.version_id:
            path += f"?versionId={encode_name(source.version_id)}"
        return [
            ("x-amz-copy-source", path),
            ("x-amz-copy-source-if-match", f'"{if_match}"'),
        ]

    @staticmethod
    def _call(
        operation: str,
        ref: ObjectRef,
        query: tuple[tuple[str, str], ...],
        lines: list[tuple[str, str]],
    ) -> Call:
        return Call(
            operation,
            "PUT",
            ref.bucket,
            ref.key,
            query,
            tuple(lines),
            body=b"",
            timeouts=_COPYING,
        )

    async def _copied(self, call: Call, root: str) -> WriteReceipt:
        try:
            reply = await self._session.send(call)
        except CredentialsRejected:
            raise
        except AccessDenied as error:
            raise _with_hint(error) from error
        if parse_error(reply.body):
            refusal = self._session.refusal(call, reply.status, reply.headers, reply.body)
            raise translate(refusal, now=self._session.now)
        return self._receipt(call, reply, root)

    def _receipt(self, call: Call, reply: Reply, root: str) -> WriteReceipt:
        try:
            result = expected(reply.body, root)
        except XmlFault as fault:
            text = f"{call.operation} {call.subject}: {fault}"
            raise OutcomeUnknown(text, operation=call.operation) from fault
        sums = {
            f"x-amz-checksum-{name.lower()}": text
            for name in ("CRC32C", "CRC64NVME", "Type")
            if (text := text_of(result, f"Checksum{name}"))
        }
        return WriteReceipt(
            unquoted(text_of(result, "ETag")),
            stored_checksums({**reply.headers, **sums}),
            reply.headers.get(self._dialect.version_header),
        )


def _with_hint(error: AccessDenied) -> AccessDenied:
    hint = (
        " (TransferMode = copy asks with the destination's keys, which must be allowed to read "
        "the source bucket: allow it, or set TransferMode = downup)"
    )
    return AccessDenied(
        f"{error}{hint}",
        operation=error.operation,
        status=error.status,
        code=error.code,
        request_id=error.request_id,
    )


def _tagging_document(tagging: str) -> bytes:
    pairs = parse_qsl(tagging, keep_blank_values=True, strict_parsing=True)
    tags = "".join(
        f"<Tag><Key>{escape(key)}</Key><Value>{escape(value)}</Value></Tag>" for key, value in pairs
    )
    return f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode()


def _md5(body: bytes) -> bytes:
    return hashlib.md5(body, usedforsecurity=False).digest()
