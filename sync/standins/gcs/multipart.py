"""Multipart uploads: initiate, part, list, complete, abort."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from itertools import pairwise
from typing import Final
from xml.etree.ElementTree import Element

from sync.standins.gcs.blobs import Blob, crc32c_of
from sync.standins.gcs.calls import Call
from sync.standins.gcs.context import Context
from sync.standins.gcs.described import hash_headers, written
from sync.standins.gcs.http1 import Reply
from sync.standins.gcs.markup import (
    UPLOAD_XMLNS,
    children,
    coded,
    document,
    element,
    plain_tag,
    read,
    stamp,
    text,
    url_coder,
    value,
)
from sync.standins.gcs.names import description
from sync.standins.gcs.options import Permission
from sync.standins.gcs.refusals import Refusal
from sync.standins.gcs.store import MIN_PART, OpenUpload, Part, StoredObject

MAX_PART_NUMBER: Final = 10_000
_PAGE: Final = 1000


async def initiate(ctx: Context, call: Call) -> Reply:
    """CreateMultipartUpload. Preconditions are refused, as on the service."""
    for name, _ in call.request.headers:
        if name.startswith("x-goog-if-"):
            raise Refusal("NotImplemented", f"{name} on a multipart upload")
    if call.request.body.length is None:
        raise Refusal("MissingContentLength")
    what = description(call)
    ctx.bucket(call, Permission.WRITE)
    await ctx.receive_text(call)
    owner = call.identity.access_id if call.identity else ""
    upload = ctx.store.begin_upload(call.bucket, call.key, what, owner)
    return document(
        element(
            "InitiateMultipartUploadResult",
            text("Bucket", call.bucket),
            text("Key", call.key),
            text("UploadId", upload.upload_id),
            xmlns=UPLOAD_XMLNS,
        )
    )


async def put_part(ctx: Context, call: Call) -> Reply:
    """UploadPart: the reply carries ETag (MD5) and both hashes."""
    number = call.param("partNumber")
    if not number.isdecimal() or not 1 <= int(number) <= MAX_PART_NUMBER:
        raise Refusal("InvalidArgument", f"partNumber is 1 to {MAX_PART_NUMBER}")
    ctx.bucket(call, Permission.WRITE)
    upload = _upload(ctx, call)
    stored = await ctx.receive(call)
    # It may have been completed or aborted while the body came.
    upload = _upload(ctx, call)
    part = Part(int(number), stored, ctx.store.clock())
    upload.parts[part.number] = part
    return Reply(200, [("etag", f'"{part.etag}"'), *hash_headers(stored.crc32c, stored.md5)])


def _upload(ctx: Context, call: Call) -> OpenUpload:
    return ctx.store.upload(call.bucket, call.key, call.param("uploadId"))


async def list_parts(ctx: Context, call: Call) -> Reply:
    """ListParts, a thousand at most in a page."""
    ctx.bucket(call, Permission.WRITE)
    upload = _upload(ctx, call)
    limit = min(number_asked(call, "max-parts", _PAGE), _PAGE, ctx.options.page_size)
    after = number_asked(call, "part-number-marker", 0)
    found = [upload.parts[number] for number in sorted(upload.parts) if number > after]
    shown = found[:limit]
    return document(
        element(
            "ListPartsResult",
            text("Bucket", call.bucket),
            text("Key", call.key),
            text("UploadId", upload.upload_id),
            text("StorageClass", upload.description.storage_class),
            text("PartNumberMarker", after),
            text("NextPartNumberMarker", shown[-1].number if shown else after),
            text("MaxParts", limit),
            text("IsTruncated", str(len(found) > limit).lower()),
            *map(_part_element, shown),
            xmlns=UPLOAD_XMLNS,
        )
    )


def _part_element(part: Part) -> str:
    return element(
        "Part",
        text("PartNumber", part.number),
        text("LastModified", stamp(part.modified)),
        text("ETag", f'"{part.etag}"'),
        text("Size", part.size),
    )


def number_asked(call: Call, name: str, default: int) -> int:
    """A whole number in the query; Refusal InvalidArgument where it is not one."""
    given = call.param(name)
    if not given:
        return default
    if not given.isdecimal():
        raise Refusal("InvalidArgument", f"{name} {given!r}")
    return int(given)


async def abort(ctx: Context, call: Call) -> Reply:
    """AbortMultipartUpload."""
    bucket = ctx.bucket(call, Permission.WRITE)
    del bucket.uploads[_upload(ctx, call).upload_id]
    return Reply(204)


async def complete(ctx: Context, call: Call) -> Reply:
    """CompleteMultipartUpload. Parts left out vanish; a second time there is no such upload."""
    body = await ctx.receive_text(call)
    bucket = ctx.bucket(call, Permission.WRITE)
    ctx.need_overwrite(call, bucket, call.key)
    upload = _upload(ctx, call)
    parts = _chosen(upload, body)
    ctx.store.admit_write(call.bucket, call.key)
    blob = Blob(tuple(segment for part in parts for segment in part.stored.blob.segments))
    crc = await asyncio.to_thread(crc32c_of, blob.read())
    _upload(ctx, call)
    item = StoredObject(
        key=call.key,
        generation=ctx.store.next_generation(),
        blob=blob,
        crc32c=crc,
        etag=_etag(parts),
        md5=None,
        description=upload.description,
        created=ctx.store.clock(),
    )
    del bucket.uploads[upload.upload_id]
    bucket.put(item)
    return _completed(call, item)


def _completed(call: Call, item: StoredObject) -> Reply:
    lines = [line for line in written(item) if line[0] != "etag"]
    return document(
        element(
            "CompleteMultipartUploadResult",
            text("Location", f"http://{call.request.header('host')}/{call.bucket}/{call.key}"),
            text("Bucket", call.bucket),
            text("Key", call.key),
            text("ETag", f'"{item.etag}"'),
            xmlns=UPLOAD_XMLNS,
        ),
        *lines,
    )


def _etag(parts: list[Part]) -> str:
    # Not the MD5 of the object. That it is S3's MD5 of MD5s is what rclone's check of it, left on
    # for its GCS provider, and the documented example "…-9" say.
    digest = hashlib.md5(b"".join(part.stored.md5 for part in parts), usedforsecurity=False)
    return f"{digest.hexdigest()}-{len(parts)}"


def _chosen(upload: OpenUpload, body: bytes) -> list[Part]:
    root = read(body, "CompleteMultipartUpload")
    parts = [_named(upload, node) for node in children(root, "Part")]
    if not parts or any(plain_tag(node) != "Part" for node in root):
        raise Refusal("MalformedXML", "A list of parts is needed.")
    numbers = [part.number for part in parts]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise Refusal("InvalidPartOrder")
    _check_sizes(parts[:-1])
    return parts


def _named(upload: OpenUpload, node: Element) -> Part:
    number, etag = value(node, "PartNumber").strip(), value(node, "ETag").strip().strip('"')
    if not number.isdecimal() or not etag:
        raise Refusal("MalformedXML", "A part has PartNumber and ETag.")
    part = upload.parts.get(int(number))
    if part is None or part.etag != etag.lower():
        raise Refusal("InvalidPart", f"part {number}, ETag {etag}")
    return part


def _check_sizes(parts: Iterable[Part]) -> None:
    for part in parts:
        if part.size < MIN_PART:
            raise Refusal(
                "EntityTooSmall",
                f"part {part.number} has {part.size} bytes; all but the last have {MIN_PART}",
            )


async def list_uploads(ctx: Context, call: Call) -> Reply:
    """ListMultipartUploads with prefix and markers."""
    bucket = ctx.bucket(call, Permission.LIST)
    coding = url_coder(call.param("encoding-type"))
    limit = min(number_asked(call, "max-uploads", _PAGE), _PAGE, ctx.options.page_size)
    marker = (call.param("key-marker"), call.param("upload-id-marker"))
    prefix = call.param("prefix")
    order = sorted(bucket.uploads.values(), key=lambda upload: (upload.key, upload.upload_id))
    found = [up for up in order if up.key.startswith(prefix) and _is_behind(up, *marker)]
    shown = found[:limit]
    last = shown[-1] if len(found) > limit and shown else None
    return document(
        element(
            "ListMultipartUploadsResult",
            text("Bucket", call.bucket),
            text("KeyMarker", coded(marker[0], coding)),
            text("UploadIdMarker", marker[1]),
            text("NextKeyMarker", coded(last.key, coding) if last else ""),
            text("NextUploadIdMarker", last.upload_id if last else ""),
            text("Prefix", coded(prefix, coding)),
            text("MaxUploads", limit),
            *([text("EncodingType", coding)] if coding else []),
            text("IsTruncated", str(last is not None).lower()),
            *(_upload_element(upload, coding) for upload in shown),
            xmlns=UPLOAD_XMLNS,
        )
    )


def _is_behind(upload: OpenUpload, key: str, upload_id: str) -> bool:
    if not key:
        return True
    return upload.key > key or bool(
        upload_id and upload.key == key and upload.upload_id > upload_id
    )


def _upload_element(upload: OpenUpload, coding: str) -> str:
    return element(
        "Upload",
        text("Key", coded(upload.key, coding)),
        text("UploadId", upload.upload_id),
        text("StorageClass", upload.description.storage_class),
        text("Initiated", stamp(upload.initiated)),
    )
