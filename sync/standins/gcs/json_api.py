"""The little of the JSON API that google-cloud-storage's plain path needs, over the same store.

It asks for no credentials: Google's library is given AnonymousCredentials here.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, unquote_plus, unquote_to_bytes
from uuid import uuid4

from sync.standins.gcs.blobs import BlobWriter
from sync.standins.gcs.calls import Call, split_target
from sync.standins.gcs.context import Context, Session
from sync.standins.gcs.described import content_reply
from sync.standins.gcs.http1 import Reply, Request
from sync.standins.gcs.listing import page
from sync.standins.gcs.markup import stamp
from sync.standins.gcs.multipart import number_asked
from sync.standins.gcs.names import CONTENT_HEADERS, STORAGE_CLASSES, check_bucket_name, check_key
from sync.standins.gcs.objects import publish
from sync.standins.gcs.refusals import Refusal
from sync.standins.gcs.store import Bucket, Description, StoredObject

OPERATION: Final = "json."
_RANGE: Final = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_FIELDS: Final = {
    "contentType": "content-type",
    "contentEncoding": "content-encoding",
    "contentLanguage": "content-language",
    "contentDisposition": "content-disposition",
    "cacheControl": "cache-control",
}
_RESUME: Final = 308

Json = dict[str, Any]


def parse(request: Request) -> Call:
    """The call behind a JSON API request; bucket and key from its path or query."""
    path, raw_query = split_target(request.target)
    pairs = (piece.partition("=") for piece in raw_query.split("&") if piece)
    query = tuple((unquote_plus(name), unquote_plus(value)) for name, _, value in pairs)
    pieces = path.partition("/v1/")[2].split("/")
    bucket = unquote_to_bytes(pieces[1]).decode("utf-8", "replace") if len(pieces) > 1 else ""
    key = unquote_to_bytes(pieces[3]) if len(pieces) > 3 else b""  # noqa: PLR2004  /b/B/o/K
    call = Call(request, bucket, key, query)
    named = call.param("name")
    call.key = key.decode("utf-8", "surrogateescape") or named
    call.operation = OPERATION + _operation(call, path, len(pieces))
    return call


def _operation(call: Call, path: str, depth: int) -> str:
    method = call.request.method
    if path.startswith("/upload/"):
        return f"{method.lower()}_upload"
    place = {1: "buckets", 2: "bucket", 3: "objects", 4: "object"}.get(depth, "nothing")
    if place == "object" and method == "GET" and call.param("alt") == "media":
        return "get_media"
    return f"{method.lower()}_{place}"


async def answer(ctx: Context, call: Call) -> Reply:
    """Answer a JSON API call. Refusals come out as JSON errors."""
    handler = _HANDLERS.get(call.operation.removeprefix(OPERATION), _unknown)
    try:
        return await handler(ctx, call)
    except Refusal as refused:
        fault = {"code": refused.status, "message": f"{refused.message} {refused.details}".strip()}
        return _json({"error": fault}, refused.status)


async def _unknown(ctx: Context, call: Call) -> Reply:
    del ctx
    raise Refusal("NotImplemented", call.operation, status=501)


def _json(value: Any, status: int = 200, *headers: tuple[str, str]) -> Reply:
    body = json.dumps(value).encode()
    return Reply(status, [("content-type", "application/json; charset=UTF-8"), *headers], body)


async def _text(call: Call) -> bytes:
    return b"".join([piece async for piece in call.request.body.chunks()])


def _object(item: StoredObject, bucket: str) -> Json:
    content = dict(item.description.content)
    fields: Json = {name: content[header] for name, header in _FIELDS.items() if header in content}
    if item.md5 is not None:
        fields["md5Hash"] = base64.b64encode(item.md5).decode()
    return fields | {
        "kind": "storage#object",
        "id": f"{bucket}/{item.key}/{item.generation}",
        "name": item.key,
        "bucket": bucket,
        "generation": str(item.generation),
        "metageneration": str(item.metageneration),
        "storageClass": item.description.storage_class,
        "size": str(item.size),
        "crc32c": base64.b64encode(item.crc32c.to_bytes(4, "big")).decode(),
        "etag": item.etag,
        "timeCreated": stamp(item.created),
        "updated": stamp(item.created),
        "metadata": dict(item.description.metadata),
    }


def _bucket(bucket: Bucket) -> Json:
    return {
        "kind": "storage#bucket",
        "id": bucket.name,
        "name": bucket.name,
        "location": "US",
        "storageClass": "STANDARD",
        "timeCreated": stamp(bucket.created),
        "versioning": {"enabled": bucket.versioned},
        "metageneration": "1",
        "etag": "CAE=",
    }


async def _list_buckets(ctx: Context, call: Call) -> Reply:
    del call
    items = [_bucket(bucket) for bucket in ctx.store.buckets.values()]
    return _json({"kind": "storage#buckets", "items": items})


async def _create_bucket(ctx: Context, call: Call) -> Reply:
    name = str(_loads(await _text(call)).get("name", ""))
    check_bucket_name(name)
    return _json(_bucket(ctx.store.create_bucket(name)))


async def _get_bucket(ctx: Context, call: Call) -> Reply:
    return _json(_bucket(ctx.store.bucket(call.bucket)))


async def _delete_bucket(ctx: Context, call: Call) -> Reply:
    if ctx.store.bucket(call.bucket).live:
        raise Refusal("BucketNotEmpty")
    del ctx.store.buckets[call.bucket]
    return Reply(204)


async def _list_objects(ctx: Context, call: Call) -> Reply:
    bucket = ctx.store.bucket(call.bucket)
    after = base64.urlsafe_b64decode(call.param("pageToken")).decode()
    limit = min(number_asked(call, "maxResults", 1000), ctx.options.page_size)
    found = page(
        bucket.names,
        prefix=call.param("prefix"),
        delimiter=call.param("delimiter"),
        after=after,
        limit=limit,
    )
    listing: Json = {
        "kind": "storage#objects",
        "items": [_object(bucket.live[key], bucket.name) for key in found.keys],
        "prefixes": list(found.prefixes),
    }
    if found.truncated:
        listing["nextPageToken"] = base64.urlsafe_b64encode(found.last.encode()).decode()
    return _json(listing)


def _find(ctx: Context, call: Call) -> StoredObject:
    generation = number_asked(call, "generation", 0) or None
    item = ctx.store.bucket(call.bucket).find(call.key, generation)
    if item is None:
        raise Refusal("NoSuchKey", f"No such object: {call.bucket}/{call.key}")
    _check_generation(call, item)
    return item


def _check_generation(call: Call, item: StoredObject | None) -> None:
    current = item.generation if item else 0
    if number_asked(call, "ifGenerationMatch", current) != current:
        raise Refusal("PreconditionFailed")


async def _get_object(ctx: Context, call: Call) -> Reply:
    return _json(_object(_find(ctx, call), call.bucket))


async def _get_media(ctx: Context, call: Call) -> Reply:
    return content_reply(_find(ctx, call), call)


async def _delete_object(ctx: Context, call: Call) -> Reply:
    _find(ctx, call)
    ctx.store.admit_write(call.bucket, call.key)
    ctx.store.bucket(call.bucket).remove(call.key, ctx.store.clock())
    return Reply(204)


async def _patch_object(ctx: Context, call: Call) -> Reply:
    item = _find(ctx, call)
    changed = replace(
        item,
        description=_described(_loads(await _text(call)), item.description),
        metageneration=item.metageneration + 1,
    )
    ctx.store.bucket(call.bucket).live[call.key] = changed
    return _json(_object(changed, call.bucket))


def _loads(text: bytes) -> Json:
    try:
        value = json.loads(text or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refusal("InvalidArgument", "The body is not a JSON object.")
    return value


def _described(resource: Mapping[str, Any], before: Description) -> Description:
    content = dict(before.content)
    content |= {header: str(resource[name]) for name, header in _FIELDS.items() if name in resource}
    known = {name: value for name, value in content.items() if name in CONTENT_HEADERS}
    metadata = dict(before.metadata)
    for name, value in (resource.get("metadata") or {}).items():
        metadata.pop(name, None)
        if value is not None:
            metadata[name] = str(value)
    named = str(resource.get("storageClass") or before.storage_class)
    if named not in STORAGE_CLASSES:
        raise Refusal("InvalidStorageClass", named)
    return Description(tuple(known.items()), tuple(metadata.items()), named)


async def _upload(ctx: Context, call: Call) -> Reply:
    kind = call.param("uploadType")
    if kind == "resumable":
        return await _begin_session(ctx, call)
    resource, content = await _simple_content(call, kind)
    key = call.key or str(resource.get("name", ""))
    writer = _writer(ctx)
    writer.write(content)
    return _json(_object(_store(ctx, call, key, resource, writer), call.bucket))


async def _simple_content(call: Call, kind: str) -> tuple[Json, bytes]:
    body = await _text(call)
    stated = call.request.header("content-type")
    if kind == "media":
        return {"contentType": stated or "application/octet-stream"}, body
    if kind != "multipart":
        raise Refusal("InvalidArgument", f"uploadType {kind!r}")
    boundary = stated.partition("boundary=")[2].strip("\"'").encode()
    pieces = body.split(b"--" + boundary)
    if not boundary or len(pieces) != 4:  # noqa: PLR2004  before, resource, content, after
        raise Refusal("InvalidArgument", "The body is not two parts.")
    head, _, text = pieces[1].partition(b"\r\n\r\n")
    media_head, _, content = pieces[2].partition(b"\r\n\r\n")
    del head
    resource = _loads(text)
    kind_line = re.search(rb"content-type: *([^\r\n]+)", media_head, re.IGNORECASE)
    if kind_line:
        resource.setdefault("contentType", kind_line[1].decode("latin-1"))
    return resource, content.removesuffix(b"\r\n")


def _writer(ctx: Context) -> BlobWriter:
    return BlobWriter(ctx.folder, memory_limit=ctx.options.memory_limit, want_sha256=False)


def _store(ctx: Context, call: Call, key: str, resource: Json, writer: BlobWriter) -> StoredObject:
    bucket = ctx.store.bucket(call.bucket)
    name = check_key(key.encode("utf-8", "surrogateescape"))
    _check_generation(call, bucket.live.get(name))
    ctx.store.admit_write(call.bucket, name)
    stored = writer.finish()
    found = {
        "crc32c": base64.b64encode(stored.crc32c.to_bytes(4, "big")).decode(),
        "md5Hash": base64.b64encode(stored.md5).decode(),
    }
    for field, value in found.items():
        if resource.get(field, value) != value:
            raise Refusal("BadDigest", f"{field} is {value}")
    plain = Description((("content-type", "application/octet-stream"),))
    return publish(ctx, bucket, name, stored, _described(resource, plain))


async def _begin_session(ctx: Context, call: Call) -> Reply:
    resource = _loads(await _text(call))
    kind = call.request.header("x-upload-content-type")
    if kind:
        resource.setdefault("contentType", kind)
    ctx.store.bucket(call.bucket)
    number = uuid4().hex
    key = call.key or str(resource.get("name", ""))
    ctx.sessions[number] = Session(call.bucket, key, resource, _writer(ctx))
    place = f"/upload/storage/v1/b/{quote(call.bucket)}/o?uploadType=resumable&upload_id={number}"
    host = call.request.header("host")
    scheme = "https" if ctx.options.cert_file else "http"
    return _json({}, 200, ("location", f"{scheme}://{host}{place}"))


async def _continue_session(ctx: Context, call: Call) -> Reply:
    session = ctx.sessions.get(call.param("upload_id"))
    if session is None:
        raise Refusal("NoSuchUpload")
    header = call.request.header("content-range") or "bytes */*"
    match = _RANGE.fullmatch(header)
    if not match:
        raise Refusal("InvalidArgument", f"content-range {header!r}")
    first, _, total = match.groups()
    if first is not None and int(first) != session.writer.length:
        raise Refusal("InvalidArgument", f"{session.writer.length} bytes are here", status=503)
    async for piece in call.request.body.chunks():
        session.writer.write(piece)
    whole = total == str(session.writer.length) or not call.request.has("content-range")
    if not whole:
        had = session.writer.length
        return Reply(_RESUME, [("range", f"bytes=0-{had - 1}")] if had else [])
    del ctx.sessions[call.param("upload_id")]
    item = _store(ctx, call, session.key, session.resource, session.writer)
    return _json(_object(item, call.bucket))


_HANDLERS: Final[dict[str, Callable[[Context, Call], Awaitable[Reply]]]] = {
    "get_buckets": _list_buckets,
    "post_buckets": _create_bucket,
    "get_bucket": _get_bucket,
    "delete_bucket": _delete_bucket,
    "get_objects": _list_objects,
    "get_object": _get_object,
    "get_media": _get_media,
    "delete_object": _delete_object,
    "patch_object": _patch_object,
    "post_upload": _upload,
    "put_upload": _continue_session,
}
