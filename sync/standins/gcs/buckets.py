"""Buckets: create, head, delete, list, location, versioning; listings and bulk deletes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from sync.standins.gcs.calls import Call
from sync.standins.gcs.context import Context
from sync.standins.gcs.http1 import Reply
from sync.standins.gcs.listing import Page, page
from sync.standins.gcs.markup import (
    LIST_XMLNS,
    UPLOAD_XMLNS,
    children,
    coded,
    document,
    element,
    read,
    stamp,
    text,
    url_coder,
    value,
)
from sync.standins.gcs.multipart import number_asked
from sync.standins.gcs.names import check_bucket_name
from sync.standins.gcs.options import Permission
from sync.standins.gcs.refusals import Refusal
from sync.standins.gcs.store import Bucket, StoredObject

_PAGE: Final = 1000
_MOST_DELETES: Final = 1000


async def list_buckets(ctx: Context, call: Call) -> Reply:
    """ListBuckets: those the caller may list."""
    identity = call.identity
    if identity is None:
        raise Refusal("AccessDenied", "Anonymous caller does not have storage.buckets.list access.")
    shown = [
        element("Bucket", text("Name", bucket.name), text("CreationDate", stamp(bucket.created)))
        for bucket in ctx.store.buckets.values()
        if identity.allows(bucket.name, Permission.LIST)
    ]
    owner = element("Owner", text("ID", identity.access_id))
    root = element("ListAllMyBucketsResult", owner, element("Buckets", *shown), xmlns=LIST_XMLNS)
    return document(root)


async def create(ctx: Context, call: Call) -> Reply:
    """CreateBucket."""
    await ctx.receive_text(call)
    check_bucket_name(call.bucket)
    ctx.need(call, Permission.ADMIN)
    ctx.store.create_bucket(call.bucket, call.identity.access_id if call.identity else "")
    return Reply(200)


async def head(ctx: Context, call: Call) -> Reply:
    """HeadBucket."""
    ctx.bucket(call, Permission.LIST)
    return Reply(200, [("x-goog-storage-class", "STANDARD")])


async def delete(ctx: Context, call: Call) -> Reply:
    """DeleteBucket; only an empty one goes."""
    bucket = ctx.bucket(call, Permission.ADMIN)
    if bucket.live or any(bucket.noncurrent.values()):
        raise Refusal("BucketNotEmpty")
    del ctx.store.buckets[call.bucket]
    return Reply(204)


async def location(ctx: Context, call: Call) -> Reply:
    """GetBucketLocation."""
    ctx.bucket(call, Permission.LIST)
    return document(text("LocationConstraint", "US"))


async def get_versioning(ctx: Context, call: Call) -> Reply:
    """GetBucketVersioning: no Status where it was never enabled."""
    bucket = ctx.bucket(call, Permission.LIST)
    status = [text("Status", "Enabled")] if bucket.versioned else []
    return document(element("VersioningConfiguration", *status, xmlns=LIST_XMLNS))


async def put_versioning(ctx: Context, call: Call) -> Reply:
    """PutBucketVersioning."""
    bucket = ctx.bucket(call, Permission.ADMIN)
    root = read(await ctx.receive_text(call), "VersioningConfiguration")
    status = value(root, "Status")
    if status not in {"Enabled", "Suspended"}:
        raise Refusal("MalformedXML", f"Status {status!r}")
    bucket.versioned = status == "Enabled"
    return Reply(200)


def _limit(ctx: Context, call: Call) -> int:
    return min(number_asked(call, "max-keys", _PAGE), _PAGE, ctx.options.page_size)


async def list_objects(ctx: Context, call: Call) -> Reply:
    """ListObjects, the first version, with markers."""
    bucket = ctx.bucket(call, Permission.LIST)
    coding = url_coder(call.param("encoding-type"))
    marker = call.param("marker")
    found = _page(ctx, call, bucket, marker)
    more = [text("NextMarker", coded(found.last, coding))] if found.truncated else []
    return _listing(ctx, call, bucket, found, text("Marker", coded(marker, coding)), *more)


async def list_objects_v2(ctx: Context, call: Call) -> Reply:
    """ListObjectsV2, with continuation tokens."""
    if call.param("list-type") != "2":
        raise Refusal("InvalidArgument", f"list-type {call.param('list-type')!r}")
    bucket = ctx.bucket(call, Permission.LIST)
    coding = url_coder(call.param("encoding-type"))
    token, start = call.param("continuation-token"), call.param("start-after")
    found = _page(ctx, call, bucket, _untoken(token) if token else start)
    lines = [text("KeyCount", len(found.keys) + len(found.prefixes))]
    if token:
        lines.append(text("ContinuationToken", token))
    if start:
        lines.append(text("StartAfter", coded(start, coding)))
    if found.truncated:
        lines.append(text("NextContinuationToken", _token(found.last)))
    return _listing(ctx, call, bucket, found, *lines)


def _token(last: str) -> str:
    return base64.urlsafe_b64encode(b"1:" + last.encode()).decode()


def _untoken(token: str) -> str:
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except binascii.Error:
        raw = b""
    if not raw.startswith(b"1:"):
        raise Refusal("InvalidArgument", "The continuation token is not one of ours.")
    return raw[2:].decode()


def _page(ctx: Context, call: Call, bucket: Bucket, after: str) -> Page:
    return page(
        bucket.names,
        prefix=call.param("prefix"),
        delimiter=call.param("delimiter"),
        after=after,
        limit=_limit(ctx, call),
    )


def _listing(ctx: Context, call: Call, bucket: Bucket, found: Page, *lines: str) -> Reply:
    coding = call.param("encoding-type")
    delimiter = call.param("delimiter")
    return document(
        element(
            "ListBucketResult",
            text("Name", bucket.name),
            text("Prefix", coded(call.param("prefix"), coding)),
            *([text("Delimiter", coded(delimiter, coding))] if delimiter else []),
            *([text("EncodingType", coding)] if coding else []),
            text("MaxKeys", _limit(ctx, call)),
            text("IsTruncated", str(found.truncated).lower()),
            *lines,
            *(_entry(bucket.live[key], coding) for key in found.keys),
            *(
                element("CommonPrefixes", text("Prefix", coded(prefix, coding)))
                for prefix in found.prefixes
            ),
            xmlns=LIST_XMLNS,
        )
    )


def _entry(item: StoredObject, coding: str, *more: str, tag: str = "Contents") -> str:
    return element(
        tag,
        text("Key", coded(item.key, coding)),
        text("Generation", item.generation),
        text("MetaGeneration", item.metageneration),
        text("LastModified", stamp(item.created)),
        text("ETag", f'"{item.etag}"'),
        text("Size", item.size),
        text("StorageClass", item.description.storage_class),
        *more,
    )


async def list_versions(ctx: Context, call: Call) -> Reply:
    """ListObjectVersions: every generation, newest first within a key."""
    bucket = ctx.bucket(call, Permission.LIST)
    coding = url_coder(call.param("encoding-type"))
    prefix, limit = call.param("prefix"), _limit(ctx, call)
    marker = (call.param("key-marker"), number_asked(call, "version-id-marker", 0))
    found = [
        (item, live)
        for item, live in bucket.generations()
        if item.key.startswith(prefix) and _past(item, *marker)
    ]
    shown = found[:limit]
    cut = len(found) > limit and bool(shown)
    last = shown[-1][0] if cut else None
    return document(
        element(
            "ListVersionsResult",
            text("Name", bucket.name),
            text("Prefix", coded(prefix, coding)),
            text("MaxKeys", limit),
            *([text("EncodingType", coding)] if coding else []),
            text("IsTruncated", str(cut).lower()),
            *([text("NextKeyMarker", coded(last.key, coding))] if last else []),
            *([text("NextVersionIdMarker", last.generation)] if last else []),
            *(_version(item, coding, live=live) for item, live in shown),
            xmlns=LIST_XMLNS,
        )
    )


def _past(item: StoredObject, key: str, generation: int) -> bool:
    if not key or item.key > key:
        return True
    return item.key == key and 0 < item.generation < generation


def _version(item: StoredObject, coding: str, *, live: bool) -> str:
    more = [text("VersionId", item.generation), text("IsLatest", str(live).lower())]
    if not live:
        more.append(text("DeletedTime", stamp(item.removed)))
    return _entry(item, coding, *more, tag="Version")


async def delete_objects(ctx: Context, call: Call) -> Reply:
    """DeleteObjects, up to a thousand. A key without an object counts as deleted."""
    body = await ctx.receive_text(call)
    bucket = ctx.bucket(call, Permission.DELETE)
    root = read(body, "Delete")
    named = list(children(root, "Object"))
    if not 1 <= len(named) <= _MOST_DELETES:
        raise Refusal("InvalidMultiObjectDeleteRequest", f"{len(named)} objects")
    quiet = value(root, "Quiet").lower() == "true"
    results = list(_delete_each(ctx, bucket, named, quiet=quiet))
    return document(element("DeleteResult", *results, xmlns=UPLOAD_XMLNS))


def _delete_each(
    ctx: Context, bucket: Bucket, named: list[Element], *, quiet: bool
) -> Iterator[str]:
    for node in named:
        key, generation = value(node, "Key"), value(node, "VersionId")
        try:
            _delete_one(ctx, bucket, key, generation)
        except Refusal as refused:
            lines = (text("Key", key), text("Code", refused.code), text("Message", refused.message))
            yield element("Error", *lines)
        else:
            if not quiet:
                yield element("Deleted", text("Key", key))


def _delete_one(ctx: Context, bucket: Bucket, key: str, generation: str) -> None:
    if generation and not generation.isdecimal():
        raise Refusal("InvalidArgument", f"VersionId {generation!r}")
    if bucket.find(key, int(generation) if generation else None) is None:
        return
    ctx.store.admit_write(bucket.name, key)
    if generation:
        bucket.forget(key, int(generation), ctx.store.clock())
    else:
        bucket.remove(key, ctx.store.clock())
