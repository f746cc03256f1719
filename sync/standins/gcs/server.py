"""The stand-in itself: takes requests in, asks the handlers, applies scripted faults."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Self

from sync.standins.gcs import buckets, control, json_api, multipart, objects
from sync.standins.gcs.blobs import Blob
from sync.standins.gcs.calls import Call, check, parse
from sync.standins.gcs.context import Context
from sync.standins.gcs.faults import Fault, FaultScript
from sync.standins.gcs.http1 import Connection, Reply, Request
from sync.standins.gcs.journal import Entry, Journal
from sync.standins.gcs.markup import refusal
from sync.standins.gcs.names import check_extensions, check_key
from sync.standins.gcs.options import Options
from sync.standins.gcs.refusals import CutConnection, Refusal
from sync.standins.gcs.signing import authenticate
from sync.standins.gcs.store import Store

_HANDLERS: Final[dict[str, Callable[[Context, Call], Awaitable[Reply]]]] = {
    "ListBuckets": buckets.list_buckets,
    "CreateBucket": buckets.create,
    "HeadBucket": buckets.head,
    "DeleteBucket": buckets.delete,
    "GetBucketLocation": buckets.location,
    "GetBucketVersioning": buckets.get_versioning,
    "PutBucketVersioning": buckets.put_versioning,
    "ListObjects": buckets.list_objects,
    "ListObjectsV2": buckets.list_objects_v2,
    "ListObjectVersions": buckets.list_versions,
    "DeleteObjects": buckets.delete_objects,
    "ListMultipartUploads": multipart.list_uploads,
    "PutObject": objects.put,
    "CopyObject": objects.copy,
    "GetObject": objects.get,
    "HeadObject": objects.get,
    "DeleteObject": objects.delete,
    "CreateMultipartUpload": multipart.initiate,
    "UploadPart": multipart.put_part,
    "ListParts": multipart.list_parts,
    "CompleteMultipartUpload": multipart.complete,
    "AbortMultipartUpload": multipart.abort,
}
_JSON_PREFIXES: Final = ("/storage/v1/", "/upload/storage/v1/", "/download/storage/v1/")


class GcsStandIn:
    """A strict stand-in for Cloud Storage's XML API, as an async context manager.

    ``async with GcsStandIn(Options(identities=…, buckets=…)) as server:`` then ``server.url``,
    ``server.faults.add(…)``, ``server.journal``, ``server.store``. ``clock`` gives the POSIX
    time signatures and generations are judged by.
    """

    def __init__(self, options: Options, *, clock: Callable[[], float] = time.time) -> None:
        self.options = options
        self.faults = FaultScript()
        self.journal = Journal()
        self.store = Store(
            writes_per_second=options.writes_per_object_per_second,
            retry_after=options.retry_after,
            clock=clock,
        )
        self._identities = {identity.access_id: identity for identity in options.identities}
        self._folder = Path()
        self._own_folder = False
        self._context = Context(self.store, options, self._folder)
        self._server: asyncio.Server | None = None
        self._live: set[Connection] = set()
        self._connections = 0
        for name in options.buckets:
            self.store.create_bucket(name)
        for name in options.versioned_buckets:
            self.store.create_bucket(name, versioned=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Endpoint URL, without a slash at its end."""
        scheme = "https" if self.options.cert_file else "http"
        host = self.options.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._own_folder = not self.options.data_dir
        chosen = self.options.data_dir or tempfile.mkdtemp(prefix="gcs-stand-in-")
        self._folder = self._context.folder = Path(chosen)
        self._folder.mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connect, self.options.host, self.options.port, ssl=self._tls(), backlog=1024
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server:
            self._server.close()
        for connection in list(self._live):
            connection.close()
        if self._server:
            await self._server.wait_closed()
        for bucket in self.store.buckets.values():
            bucket.live.clear()
            bucket.noncurrent.clear()
            bucket.uploads.clear()
        if self._own_folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _tls(self) -> ssl.SSLContext | None:
        if not self.options.cert_file:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.options.cert_file, self.options.key_file or None)
        return context

    def _connect(self) -> Connection:
        self._connections += 1
        return Connection(self._serve, self._live)

    def stats(self) -> dict[str, Any]:
        """Counts of requests, bytes, connections and what is stored."""
        stored = self.store.buckets.values()
        return {
            "operations": dict(self.journal.operations),
            "statuses": {str(status): n for status, n in self.journal.statuses.items()},
            "codes": dict(self.journal.codes),
            "bytes_in": self.journal.bytes_in,
            "bytes_out": self.journal.bytes_out,
            "connections": self._connections,
            "connections_open": len(self._live),
            "running": self.journal.running,
            "most_running": self.journal.most_running,
            "objects": sum(len(bucket.live) for bucket in stored),
            "object_bytes": sum(item.size for bucket in stored for item in bucket.live.values()),
            "open_uploads": sum(len(bucket.uploads) for bucket in stored),
            "open_parts": sum(len(up.parts) for bucket in stored for up in bucket.uploads.values()),
        }

    async def _serve(self, request: Request) -> Reply:
        if request.target.startswith(control.PREFIX):
            return await control.answer(self, request)
        as_json = request.target.startswith(_JSON_PREFIXES)
        call = json_api.parse(request) if as_json else parse(request, self.options.domains)
        entry = self.journal.begin(call)
        fault = self.faults.strike(call)
        reply: Reply | None = None
        try:
            reply = await self._guarded(call, entry, fault)
        finally:
            self.journal.end(entry, call, reply, entry.code)
        return reply

    async def _guarded(self, call: Call, entry: Entry, fault: Fault | None) -> Reply:
        entry.fault = fault is not None
        try:
            if fault is None:
                reply = await self._handle(call)
            else:
                reply = await self._handle_faulty(call, fault)
        except Refusal as refused:
            entry.code = refused.code
            reply = refusal(refused)
        reply.headers.append(("x-guploader-uploadid", f"stand-in-{entry.number}"))
        reply.headers.append(("server", "UploadServer"))
        return reply

    async def _handle(self, call: Call) -> Reply:
        if call.operation.startswith(json_api.OPERATION):
            return await json_api.answer(self._context, call)
        authenticate(call, self._identities, now=self.store.clock())
        check(call)
        check_extensions(call)
        if call.key_bytes:
            call.key = check_key(call.key_bytes)
        return await _HANDLERS[call.operation](self._context, call)

    async def _handle_faulty(self, call: Call, fault: Fault) -> Reply:
        await asyncio.sleep(fault.delay)
        if fault.cut_at_head:
            raise CutConnection
        if fault.status:
            raise _scripted(fault.status, fault.code, fault.retry_after)
        call.request.body.cut_after = fault.cut_body_after
        call.request.body.corrupt_at = fault.corrupt_body_at
        reply = await self._handle(call)
        if fault.corrupt_stored_at is not None:
            self._stored(call).flip(fault.corrupt_stored_at)
        await asyncio.sleep(fault.delay_reply)
        if fault.no_reply:
            raise CutConnection
        if fault.reply_status:
            raise _scripted(fault.reply_status, fault.reply_code, fault.retry_after)
        if fault.drop_hash:
            reply.headers = [line for line in reply.headers if line[0] != "x-goog-hash"]
        reply.cut_after = fault.cut_reply_after
        return reply

    def _stored(self, call: Call) -> Blob:
        if call.operation == "UploadPart":
            upload = self.store.upload(call.bucket, call.key, call.param("uploadId"))
            return upload.parts[int(call.param("partNumber"))].stored.blob
        item = self.store.bucket(call.bucket).find(call.key)
        if item is None:
            raise Refusal("InternalError", "a fault is to damage an object that is not there")
        return item.blob


def _scripted(status: int, code: str, retry_after: int | None) -> Refusal:
    headers = (("retry-after", str(retry_after)),) if retry_after is not None else ()
    return Refusal(code or "InternalError", "scripted fault", status=status, headers=headers)
