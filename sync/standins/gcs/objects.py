"""Objects: put, get, head, delete, copy."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import unquote

from sync.standins.gcs.blobs import Stored
from sync.standins.gcs.calls import Call
from sync.standins.gcs.context import Context
from sync.standins.gcs.described import (
    check_generation,
    check_read,
    content_reply,
    names_etag,
    written,
)
from sync.standins.gcs.http1 import Reply
from sync.standins.gcs.markup import UPLOAD_XMLNS, document, element, stamp, text
from sync.standins.gcs.names import check_key, description, storage_class
from sync.standins.gcs.options import Permission
from sync.standins.gcs.refusals import Refusal
from sync.standins.gcs.store import Bucket, Description, StoredObject

_MULTIPART_ETAG: Final = "-"


async def put(ctx: Context, call: Call) -> Reply:
    """PutObject. If-Match and If-None-Match do nothing here, as on the service."""
    what = description(call)
    bucket = ctx.bucket(call, Permission.WRITE)
    ctx.need_overwrite(call, bucket, call.key)
    check_generation(bucket.live.get(call.key), call)
    ctx.store.check_pace(call.bucket, call.key)
    stored = await ctx.receive(call)
    # The body took its time: what held before may not hold any more.
    ctx.need_overwrite(call, bucket, call.key)
    check_generation(bucket.live.get(call.key), call)
    ctx.store.admit_write(call.bucket, call.key)
    item = publish(ctx, bucket, call.key, stored, what)
    return Reply(200, written(item))


def publish(
    ctx: Context, bucket: Bucket, key: str, stored: Stored, what: Description
) -> StoredObject:
    """Make stored bytes the live generation of a key."""
    item = StoredObject(
        key=key,
        generation=ctx.store.next_generation(),
        blob=stored.blob,
        crc32c=stored.crc32c,
        etag=stored.md5.hex(),
        md5=stored.md5,
        description=what,
        created=ctx.store.clock(),
    )
    bucket.put(item)
    return item


def generation_asked(call: Call) -> int | None:
    """The generation a query names, or None."""
    named = call.param("generation") or call.param("versionId")
    if not named or named == "null":
        return None
    if not named.isdecimal():
        raise Refusal("InvalidArgument", f"generation {named!r}")
    return int(named)


def find(ctx: Context, call: Call, permission: Permission) -> StoredObject:
    """The object asked for. Who may not list is not told whether it exists."""
    bucket = ctx.bucket(call, permission)
    item = bucket.find(call.key, generation_asked(call))
    if item is None:
        if permission is Permission.READ:
            ctx.need(call, Permission.LIST)
        raise Refusal("NoSuchKey", f"No such object: {call.bucket}/{call.key}")
    return item


async def get(ctx: Context, call: Call) -> Reply:
    """GetObject and HeadObject."""
    item = find(ctx, call, Permission.READ)
    return check_read(item, call) or content_reply(item, call)


async def delete(ctx: Context, call: Call) -> Reply:
    """DeleteObject. A key without an object is a 404, unlike on S3. If-Match does nothing."""
    bucket = ctx.bucket(call, Permission.DELETE)
    item = find(ctx, call, Permission.DELETE)
    check_generation(item, call)
    ctx.store.admit_write(call.bucket, call.key)
    generation = generation_asked(call)
    if generation is None:
        bucket.remove(call.key, ctx.store.clock())
    else:
        bucket.forget(call.key, generation, ctx.store.clock())
    return Reply(204)


async def copy(ctx: Context, call: Call) -> Reply:
    """CopyObject, in one piece."""
    source = _copy_source(ctx, call)
    bucket = ctx.bucket(call, Permission.WRITE)
    ctx.need_overwrite(call, bucket, call.key)
    check_generation(bucket.live.get(call.key), call)
    ctx.store.admit_write(call.bucket, call.key)
    item = replace(
        source,
        key=call.key,
        generation=ctx.store.next_generation(),
        metageneration=1,
        created=ctx.store.clock(),
        removed=0.0,
        description=_copied_description(call, source),
    )
    bucket.put(item)
    lines = [line for line in written(item) if line[0] != "etag"]
    return document(
        element(
            "CopyObjectResult",
            text("LastModified", stamp(item.created)),
            text("ETag", f'"{item.etag}"'),
            xmlns=UPLOAD_XMLNS,
        ),
        *lines,
    )


def _copied_description(call: Call, source: StoredObject) -> Description:
    directive = call.extension("metadata-directive") or "COPY"
    if directive not in {"COPY", "REPLACE"}:
        raise Refusal("InvalidArgument", f"metadata directive {directive!r}")
    if directive == "REPLACE":
        return description(call)
    return replace(source.description, storage_class=storage_class(call))


def _copy_source(ctx: Context, call: Call) -> StoredObject:
    named, _, query = call.extension("copy-source").partition("?")
    bucket_name, _, raw_key = unquote(named, errors="surrogateescape").lstrip("/").partition("/")
    if not bucket_name or not raw_key:
        raise Refusal("InvalidArgument", "copy source is /bucket/object")
    bucket = ctx.store.bucket(bucket_name)
    ctx.need(call, Permission.READ, bucket_name)
    generation = query.rpartition("=")[2] or call.extension("copy-source-generation")
    item = bucket.find(
        check_key(raw_key.encode("utf-8", "surrogateescape")),
        int(generation) if generation.isdecimal() else None,
    )
    if item is None:
        raise Refusal("NoSuchKey", f"No such object: {named}")
    _check_copy_source(item, call)
    return item


def _check_copy_source(item: StoredObject, call: Call) -> None:
    wanted = call.extension("copy-source-if-match")
    if wanted and _MULTIPART_ETAG in wanted:
        # Seen on the service: it takes no pin that names an ETag of a multipart object.
        raise Refusal("InvalidArgument", f"copy-source-if-match {wanted}")
    if wanted and not names_etag(wanted, item.etag):
        raise Refusal("PreconditionFailed")
    unwanted = call.extension("copy-source-if-none-match")
    if unwanted and names_etag(unwanted, item.etag):
        raise Refusal("PreconditionFailed")
    check_generation(item, call, prefix="copy-source-")
