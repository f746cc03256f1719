"""An object's headers in a reply, conditions on it, and the range of it that is asked for."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from email.utils import formatdate, parsedate_to_datetime
from typing import Final

from sync.standins.gcs.calls import Call
from sync.standins.gcs.http1 import Reply
from sync.standins.gcs.refusals import Refusal
from sync.standins.gcs.store import StoredObject

_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")
_ANY_WBITS: Final = 47

Headers = list[tuple[str, str]]


def hash_headers(crc32c: int, md5: bytes | None) -> Headers:
    """x-goog-hash as Cloud Storage sends it: one header line for each algorithm."""
    coded = base64.b64encode(crc32c.to_bytes(4, "big")).decode()
    lines = [("x-goog-hash", f"crc32c={coded}")]
    if md5 is not None:
        lines.append(("x-goog-hash", f"md5={base64.b64encode(md5).decode()}"))
    return lines


def written(item: StoredObject) -> Headers:
    """Headers of the reply to a write."""
    return [
        ("etag", f'"{item.etag}"'),
        ("x-goog-generation", str(item.generation)),
        ("x-goog-metageneration", str(item.metageneration)),
        *hash_headers(item.crc32c, item.md5),
        (
            "x-goog-stored-content-encoding",
            dict(_content(item)).get("content-encoding", "identity"),
        ),
        ("x-goog-stored-content-length", str(item.size)),
    ]


def _content(item: StoredObject) -> tuple[tuple[str, str], ...]:
    return item.description.content


def described(item: StoredObject, call: Call) -> Headers:
    """Headers of the reply to a GET or HEAD."""
    lines = [("last-modified", formatdate(item.created, usegmt=True)), *written(item)]
    lines.append(("x-goog-storage-class", item.description.storage_class))
    for name, value in item.description.metadata:
        lines.append((f"x-{call.family}-meta-{name}", value))
    content = dict(_content(item))
    # What Cloud Storage says of objects that are not public, whoever wrote them.
    content.setdefault("cache-control", "private, max-age=0")
    lines.append(("expires", formatdate(item.created, usegmt=True)))
    for name, value in content.items():
        lines.append((name, call.param(f"response-{name}") or value))
    return lines


def check_read(item: StoredObject, call: Call) -> Reply | None:
    """A 304 reply where the conditions ask for one; Refusal PreconditionFailed; else None."""
    request, etag = call.request, item.etag
    if request.has("if-match") and not _names(request.header("if-match"), etag):
        raise Refusal("PreconditionFailed")
    since = _date(request.header("if-unmodified-since"))
    if since is not None and not request.has("if-match") and int(item.created) > since:
        raise Refusal("PreconditionFailed")
    check_generation(item, call)
    unchanged = False
    if request.has("if-none-match"):
        unchanged = _names(request.header("if-none-match"), etag)
    else:
        since = _date(request.header("if-modified-since"))
        unchanged = since is not None and int(item.created) <= since
    return Reply(304, [("etag", f'"{etag}"')]) if unchanged else None


def check_generation(item: StoredObject | None, call: Call, prefix: str = "") -> None:
    """Refusal PreconditionFailed where x-goog-if-(meta)generation-match does not hold.

    Only a GOOG4 signature (or none) can carry them: beside x-amz headers they are refused.
    """
    found = {
        "generation": item.generation if item else 0,
        "metageneration": item.metageneration if item else 0,
    }
    for name, value in found.items():
        wanted = call.request.header(f"x-goog-{prefix}if-{name}-match")
        if wanted and not wanted.isdecimal():
            raise Refusal("InvalidArgument", f"x-goog-{prefix}if-{name}-match {wanted!r}")
        if wanted and int(wanted) != value:
            raise Refusal("PreconditionFailed")


def names_etag(condition: str, etag: str) -> bool:
    """True where an If-Match style list names the ETag, with or without quotes, or ``*``."""
    return _names(condition, etag)


def _names(condition: str, etag: str) -> bool:
    listed = {entry.strip().removeprefix("W/").strip('"') for entry in condition.split(",")}
    return "*" in listed or etag in listed


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        return None


def content_reply(item: StoredObject, call: Call) -> Reply:
    """The reply to a GET or HEAD: the whole object, a range of it, or it unpacked."""
    lines = [*described(item, call), ("accept-ranges", "bytes")]
    if item.gzipped and "gzip" not in call.request.header("accept-encoding").lower():
        return _unpacked(item, lines)
    if call.request.method == "HEAD" and item.gzipped:
        # Seen on the service: no Content-Length for what it might unpack.
        return Reply(200, lines, iter(()), None)
    span = _span(call.request.header("range"), item.size)
    if span is None:
        return Reply(200, lines, item.blob.read(), item.size)
    first, last = span
    lines.append(("content-range", f"bytes {first}-{last}/{item.size}"))
    return Reply(206, lines, item.blob.read(first, last - first + 1), last - first + 1)


def _unpacked(item: StoredObject, lines: Headers) -> Reply:
    kept = [line for line in lines if line[0] not in {"content-encoding", "accept-ranges"}]
    kept.append(("warning", "214 UploadServer gunzipped"))
    return Reply(200, kept, _gunzip(item.blob.read()), None)


def _gunzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=_ANY_WBITS)
    for piece in pieces:
        plain = unpacker.decompress(piece)
        if plain:
            yield plain
    rest = unpacker.flush()
    if rest:
        yield rest


def _span(header: str, size: int) -> tuple[int, int] | None:
    match = _RANGE.fullmatch(header.strip())
    if not match or match.groups() == ("", ""):
        return None
    start, end = match.groups()
    if not start:
        first, last = max(0, size - int(end)), size - 1
    else:
        first, last = int(start), min(int(end) if end else size - 1, size - 1)
        if end and int(end) < int(start):
            return None
    if first > last or first >= size:
        raise Refusal("InvalidRange", header, headers=(("content-range", f"bytes */{size}"),))
    return first, last
