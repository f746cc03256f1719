"""What every handler shares: the store, permissions, receiving a body."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sync.standins.gcs.blobs import BlobWriter, Stored
from sync.standins.gcs.calls import Call
from sync.standins.gcs.names import expected_hashes
from sync.standins.gcs.options import Options, Permission
from sync.standins.gcs.refusals import Refusal
from sync.standins.gcs.signing import UNSIGNED
from sync.standins.gcs.store import MAX_OBJECT, Bucket, Store

_SMALL_BODY: Final = 8 * 1024 * 1024
_VERBS: Final = {
    Permission.READ: "storage.objects.get",
    Permission.WRITE: "storage.objects.create",
    Permission.DELETE: "storage.objects.delete",
    Permission.LIST: "storage.objects.list",
    Permission.ADMIN: "storage.buckets.update",
}


@dataclass(slots=True)
class Session:
    """A resumable upload of the JSON API under way."""

    bucket: str
    key: str
    resource: dict[str, Any]
    writer: BlobWriter


@dataclass(slots=True)
class Context:
    """The stand-in as handlers see it. ``folder`` is where large bodies go."""

    store: Store
    options: Options
    folder: Path
    sessions: dict[str, Session] = field(default_factory=dict)

    def need(self, call: Call, permission: Permission, bucket: str = "") -> None:
        """Refusal AccessDenied unless the caller holds the permission."""
        if call.identity is None:
            who = "Anonymous caller"
        elif call.identity.allows(bucket or call.bucket, permission):
            return
        else:
            who = call.identity.access_id
        verb = _VERBS[permission]
        raise Refusal("AccessDenied", f"{who} does not have {verb} access (or it may not exist).")

    def bucket(self, call: Call, permission: Permission) -> Bucket:
        """The call's bucket, once the caller may do that in it."""
        bucket = self.store.bucket(call.bucket)
        self.need(call, permission)
        return bucket

    def need_overwrite(self, call: Call, bucket: Bucket, key: str) -> None:
        """Replacing an object needs the permission to delete it as well."""
        if key in bucket.live:
            self.need(call, Permission.DELETE)

    async def receive(self, call: Call) -> Stored:
        """The call's body, stored and checked against what the request says of it.

        Refusal BadDigest, XAmzContentSHA256Mismatch, EntityTooLarge, MissingContentLength.
        """
        _need_length(call)
        expected = expected_hashes(call)
        signed = call.payload != UNSIGNED
        writer = BlobWriter(self.folder, memory_limit=self.options.memory_limit, want_sha256=signed)
        try:
            async for piece in call.request.body.chunks():
                writer.write(piece)
            stored = writer.finish()
        except BaseException:
            writer.discard()
            raise
        if signed and stored.sha256 != call.payload:
            raise Refusal("XAmzContentSHA256Mismatch", stored.sha256)
        _compare(stored, expected)
        return stored

    async def receive_text(self, call: Call) -> bytes:
        """A small body in memory, for XML."""
        body = bytearray()
        async for piece in call.request.body.chunks():
            body += piece
            if len(body) > _SMALL_BODY:
                raise Refusal("MaxMessageLengthExceeded")
        if call.payload not in {UNSIGNED, hashlib.sha256(body).hexdigest()}:
            raise Refusal("XAmzContentSHA256Mismatch")
        expected = expected_hashes(call).get("md5")
        if expected not in {None, hashlib.md5(body, usedforsecurity=False).digest()}:
            raise Refusal("BadDigest")
        return bytes(body)


def _need_length(call: Call) -> None:
    length = call.request.body.length
    if length is None and "chunked" not in call.request.header("transfer-encoding").lower():
        raise Refusal("MissingContentLength")
    if length is not None and length > MAX_OBJECT:
        raise Refusal("EntityTooLarge", str(length))


def _compare(stored: Stored, expected: dict[str, bytes]) -> None:
    found = {"md5": stored.md5, "crc32c": stored.crc32c.to_bytes(4, "big")}
    for name, value in expected.items():
        if found[name] != value:
            raise Refusal("BadDigest", f"{name} differs from what the request says")
