"""A store that speaks the S3 protocol, as the engine wants it: AWS, Cloud Storage, others.

What differs between them is in the `S3Dialect`. The adapter never retries by policy, never
sends a checksum header, ``aws-chunked`` or a signed Accept-Encoding (Cloud Storage refuses or
rewrites them), and hands keys, metadata and headers on unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sync.adapters.dialects import S3Dialect
from sync.adapters.s3_errors import translate
from sync.adapters.s3_headers import (
    byte_count,
    content_md5_header,
    identity,
    object_meta,
    stored_checksums,
    whole_size,
    with_md5,
    write_headers,
    write_receipt,
)
from sync.adapters.s3_listing import S3Listing, parsed
from sync.adapters.s3_place import parse_endpoint
from sync.adapters.s3_read import OpenRead
from sync.adapters.s3_session import Call, S3Session
from sync.adapters.s3_xml import (
    PartsPage,
    UploadEntry,
    XmlFault,
    complete_document,
    concatenated,
    parse_complete,
    parse_error,
    parse_parts,
    parse_tagging,
    parse_upload_id,
    parse_uploads,
)
from sync.errors import (
    AccessDenied,
    IntegrityError,
    KeyNotAllowed,
    NoSuchBucket,
    NotFound,
    OutcomeUnknown,
    RequestRefused,
    StoreError,
    SyncError,
    TransientStoreError,
)
from sync.model import (
    Identity,
    ObjectHeaders,
    ObjectMeta,
    ObjectRef,
    Upload,
    UploadedPart,
    WriteReceipt,
)
from sync.paging import Onward
from sync.ports import ByteStream, Clock, CredentialProvider
from sync.wire.client import Client, Reply
from sync.wire.request import Timeouts

_METHOD_NOT_ALLOWED: Final = 405
_Lines = tuple[tuple[str, str], ...]
_ASK_CHECKSUMS: Final[_Lines] = (("x-amz-checksum-mode", "ENABLED"),)
_ACCEPT_GZIP: Final[_Lines] = (("accept-encoding", "gzip"),)
_PAGE: Final = "1000"
# Cloud Storage documents that completing "can take several minutes"; S3 says the same.
_COMPLETE_TIMEOUTS: Final = Timeouts(first_byte=900.0, idle=600.0, whole=3600.0)


class S3Store(S3Listing):
    """Reads and writes objects: `SourceStore` and `DestinationStore` in one.

    ``endpoint`` is a URL of scheme, host and port. ``region`` "" takes the endpoint's, the
    credentials' or the dialect's. ``addressing``: ``auto`` puts the bucket into the host name
    for AWS only. The client stays the caller's to close.
    """

    def __init__(
        self,
        *,
        client: Client,
        credentials: CredentialProvider,
        endpoint: str,
        dialect: S3Dialect,
        region: str = "",
        addressing: str = "auto",
        clock: Clock | None = None,
    ) -> None:
        self._dialect = dialect
        # What every read of a whole object asks for, and what no signature may cover.
        self._whole: _Lines = _ASK_CHECKSUMS if dialect.asks_checksums else ()
        self._unsigned: _Lines = _ACCEPT_GZIP if dialect.asks_gzip else ()
        place = parse_endpoint(endpoint, dialect=dialect, region=region, addressing=addressing)
        self._session = S3Session(
            client=client, credentials=credentials, endpoint=place, clock=clock
        )

    @property
    def dialect(self) -> S3Dialect:
        """The facts about this store."""
        return self._dialect

    async def head(self, ref: ObjectRef) -> ObjectMeta:
        """Describe the current version, or ``ref.version_id``. NotFound if there is none."""
        headers, size = await self._head(ref)
        return object_meta(headers, size=size, dialect=self._dialect)

    async def described(self, ref: ObjectRef) -> ObjectMeta:
        """As ``head``, with the MD5 among the checksums also where only the ETag tells it."""
        headers, size = await self._head(ref)
        return with_md5(
            object_meta(headers, size=size, dialect=self._dialect), headers, self._dialect
        )

    async def current(self, ref: ObjectRef) -> Identity:
        """What makes the current version itself; as ``head``, with less to read."""
        headers, size = await self._head(ref)
        return identity(headers, size=size, dialect=self._dialect)

    async def _head(self, ref: ObjectRef) -> tuple[Mapping[str, str], int]:
        call = self._reading("HeadObject", "HEAD", ref)
        try:
            headers = (await self._session.send(call)).headers
        except (NotFound, AccessDenied, RequestRefused) as error:
            if error.status == _METHOD_NOT_ALLOWED:
                raise  # a delete marker: the bucket and the version are there
            raise await self._explained(ref, error) from error
        size = byte_count(headers.get("content-length", ""))
        return headers, whole_size(headers, size, ref)

    def open(
        self,
        ref: ObjectRef,
        *,
        if_match: str | None = None,
        byte_range: tuple[int, int] | None = None,
    ) -> OpenRead:
        """Read an object or the bytes first..last of it, both included.

        IntegrityError where the store sends another range than the one asked for.
        """
        call = self._reading("GetObject", "GET", ref, if_match=if_match, byte_range=byte_range)
        return OpenRead(self._session, call, ref, byte_range=byte_range, dialect=self._dialect)

    async def tagging(self, ref: ObjectRef) -> str:
        """The tag set, URL-encoded (``a=1&b=2``), or "" (also where the store has no tags)."""
        if not self._dialect.has_tags:
            return ""
        query = (("tagging", ""), *self._version(ref))
        call = Call("GetObjectTagging", "GET", ref.bucket, ref.key, query)
        try:
            reply = await self._session.send(call)
        except StoreError as error:
            if error.code == "NoSuchTagSet":
                return ""
            raise
        return parsed(call, parse_tagging, reply.body)

    async def put(
        self,
        ref: ObjectRef,
        body: ByteStream,
        headers: ObjectHeaders,
        *,
        content_md5: bytes | None = None,
    ) -> WriteReceipt:
        """Write a whole object in one request."""
        self._check_key(ref)
        lines = write_headers(headers, self._dialect)
        if content_md5 is not None:
            lines = (*lines, content_md5_header(content_md5))
        call = Call("PutObject", "PUT", ref.bucket, ref.key, headers=lines, body=body)
        return write_receipt((await self._session.send(call)).headers, self._dialect)

    async def delete(self, ref: ObjectRef) -> None:
        """Remove the object (or ``ref.version_id`` of it); no error where there is none."""
        call = Call("DeleteObject", "DELETE", ref.bucket, ref.key, self._version(ref))
        reply = await self._unless_gone(call)
        # moto says text/html of the nothing that it sends with status 204.
        if reply is not None and reply.body and "html" in reply.headers.get("content-type", ""):
            raise OutcomeUnknown(
                f"{call.operation} {call.subject}: the reply is a page, so it is not the store's",
                operation=call.operation,
            )

    async def create_upload(self, ref: ObjectRef, headers: ObjectHeaders) -> Upload:
        """Begin a multipart upload. ``initiated`` is the store's time as far as it is known."""
        self._check_key(ref)
        lines = write_headers(headers, self._dialect)
        call = Call(
            "CreateMultipartUpload",
            "POST",
            ref.bucket,
            ref.key,
            (("uploads", ""),),
            lines,
            body=b"",
        )
        reply = await self._session.send(call)
        upload_id = parsed(call, parse_upload_id, reply.body)
        return Upload(ref, upload_id, self._session.now)

    async def put_part(
        self, upload: Upload, number: int, body: ByteStream, *, content_md5: bytes | None = None
    ) -> WriteReceipt:
        """Write part ``number``."""
        ref = upload.ref
        query = (("partNumber", str(number)), ("uploadId", upload.upload_id))
        lines = () if content_md5 is None else (content_md5_header(content_md5),)
        call = Call("UploadPart", "PUT", ref.bucket, ref.key, query, lines, body=body)
        return write_receipt((await self._session.send(call)).headers, self._dialect)

    async def complete(self, upload: Upload, parts: Sequence[UploadedPart]) -> WriteReceipt:
        """Make the object of these parts, in order. NoSuchUpload where it is not open any more.

        The store may begin its reply with 200 and report a failure in its body: that is raised.
        """
        call = Call(
            "CompleteMultipartUpload",
            "POST",
            upload.ref.bucket,
            upload.ref.key,
            (("uploadId", upload.upload_id),),
            (("content-type", "application/xml"),),
            body=complete_document(parts),
            timeouts=_COMPLETE_TIMEOUTS,
        )
        return self._completed(call, await self._session.send(call))

    async def abort(self, upload: Upload) -> None:
        """Drop the upload and its parts; no error where there is none."""
        query = (("uploadId", upload.upload_id),)
        call = Call("AbortMultipartUpload", "DELETE", upload.ref.bucket, upload.ref.key, query)
        await self._unless_gone(call)

    async def uploads(self, ref: ObjectRef) -> list[Upload]:
        """Open uploads of exactly this key, the latest begun first."""
        try:
            found = await self._uploads(ref, encoded=False)
        except XmlFault:
            found = await self._uploads(ref, encoded=True)
        found.sort(key=lambda entry: entry.initiated, reverse=True)
        return [Upload(ref, entry.upload_id, entry.initiated) for entry in found]

    async def _uploads(self, ref: ObjectRef, *, encoded: bool) -> list[UploadEntry]:
        """Plain keys first: RGW encodes them here without saying so, SeaweedFS says so and does
        not. Encoded only where a key holds characters that XML cannot.
        """
        encoding = (("encoding-type", "url"),) if encoded else ()
        found: list[UploadEntry] = []
        markers: tuple[tuple[str, str], ...] = ()
        onward = Onward(f"ListMultipartUploads {ref}")
        while True:
            query = (("uploads", ""), *encoding, ("max-uploads", _PAGE), ("prefix", ref.key))
            call = Call("ListMultipartUploads", "GET", ref.bucket, query=(*query, *markers))
            reply = await self._session.send(call)
            page = parsed(call, parse_uploads, reply.body) if encoded else parse_uploads(reply.body)
            found += [entry for entry in page.entries if entry.key == ref.key]
            following = (("key-marker", page.key_marker), ("upload-id-marker", page.upload_marker))
            # The listing is sorted by key, so the exact key comes before all longer ones.
            past = any(entry.key != ref.key for entry in page.entries)
            if past or not page.key_marker or following == markers:
                return found
            onward.step(following, empty=not page.entries)
            markers = following

    async def parts(self, upload: Upload) -> list[UploadedPart]:
        """All parts of an open upload, by number. NoSuchUpload where it is not open."""
        pages: list[PartsPage] = []
        marker, onward = "0", Onward(f"ListParts {upload.ref}", start="0")
        while marker:
            query = (
                ("max-parts", _PAGE),
                ("part-number-marker", marker),
                ("uploadId", upload.upload_id),
            )
            call = Call("ListParts", "GET", upload.ref.bucket, upload.ref.key, query)
            page = parsed(call, parse_parts, (await self._session.send(call)).body)
            pages.append(page)
            marker = page.marker
            if marker:
                onward.step(marker, empty=not page.parts)
        return concatenated(pages)

    def _check_key(self, ref: ObjectRef) -> None:
        fault = self._dialect.key_fault(ref.key)
        if fault:
            raise KeyNotAllowed(f"{ref}: {fault}")

    def _version(self, ref: ObjectRef) -> tuple[tuple[str, str], ...]:
        return ((self._dialect.version_query, ref.version_id),) if ref.version_id else ()

    def _reading(
        self,
        operation: str,
        method: str,
        ref: ObjectRef,
        *,
        if_match: str | None = None,
        byte_range: tuple[int, int] | None = None,
    ) -> Call:
        if if_match is None and byte_range is None:
            lines = self._whole
        else:
            lines = tuple(_conditions(if_match, byte_range))
            if byte_range is None:
                lines += self._whole
        version = self._version(ref) if ref.version_id else ()
        return Call(operation, method, ref.bucket, ref.key, version, lines, self._unsigned)

    async def _explained(self, ref: ObjectRef, error: StoreError) -> SyncError:
        """Why a HEAD was refused: its reply has no body, so a GET of one byte is asked.

        A missing bucket must not pass for a missing object, nor a rotated key for a missing
        permission.
        """
        try:
            async with self.open(ref, byte_range=(0, 0)):
                pass
        except IntegrityError:
            pass  # the object is there, and empty
        except SyncError as told:
            return told
        return TransientStoreError(
            f"{error}; a GET a moment later found it", operation="HeadObject", status=error.status
        )

    def _completed(self, call: Call, reply: Reply) -> WriteReceipt:
        if parse_error(reply.body):
            refusal = self._session.refusal(call, reply.status, reply.headers, reply.body)
            raise translate(refusal, now=self._session.now)
        try:
            done = parse_complete(reply.body)
        except XmlFault as fault:
            raise OutcomeUnknown(
                f"{call.operation} {call.subject}: {fault}", operation=call.operation
            ) from fault
        return WriteReceipt(
            etag=done.etag,
            checksums=stored_checksums({**reply.headers, **done.checksums}),
            version_id=reply.headers.get(self._dialect.version_header),
        )

    async def _unless_gone(self, call: Call) -> Reply | None:
        try:
            return await self._session.send(call)
        except NoSuchBucket:
            raise
        except NotFound:
            return None


def _conditions(
    if_match: str | None, byte_range: tuple[int, int] | None
) -> Iterator[tuple[str, str]]:
    if if_match is not None:
        yield "if-match", f'"{if_match}"'
    if byte_range is not None:
        yield "range", f"bytes={byte_range[0]}-{byte_range[1]}"
