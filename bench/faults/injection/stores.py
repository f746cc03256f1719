"""Faults on the ways to the two stores: the catalogue, and which place each is tried at first."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import Final, NamedTuple

from faults.injection.places import struck
from faults.injection.scene import Plan, Scene
from faults.proxy import Fault
from faults.proxy import library as do
from faults.proxy.heads import Head


class Entry(NamedTuple):
    """``places``: where the short form tries it. ``more``: where the full one does besides.
    ``truth``: what must be true afterwards, besides all that must always be.
    """

    fault: Callable[[], Fault]
    places: tuple[str, ...]
    more: tuple[str, ...] = ()
    times: int = 1
    truth: str = "tried again"


READS: Final = ("get", "get-1", "get-2", "get-3", "current", "head", "verify", "list")
WRITES: Final = ("put", "put-1", "put-2", "put-3", "create", "complete")
BODIES: Final = ("get", "get-1", "get-2", "get-3")
PARTS: Final = ("put-1", "put-2", "put-3")
ALL: Final = READS + WRITES


def _whole_for_range(head: Head) -> Head:
    if head.status != "206":
        return head
    return head.started("HTTP/1.1 200 OK").replaced("Content-Range", None)


def _next_range(head: Head) -> Head:
    told = head.headers.get("content-range")
    if told is None:
        return head
    first, _, rest = told.removeprefix("bytes ").partition("-")
    return head.replaced("Content-Range", f"bytes {int(first) + 1}-{rest}")


def _without(*names: str) -> Callable[[Head], Head]:
    def change(head: Head) -> Head:
        for name in names:
            head = head.replaced(name, None)
        return head

    return change


def _soon() -> dict[str, str]:
    return {"Retry-After": formatdate(usegmt=True)}


CATALOGUE: Final[dict[str, Entry]] = {
    # time
    "latency": Entry(do.latency, ("get", "put-2"), ALL, truth="only slower"),
    "stall before the head": Entry(do.stall_unheard, ("get", "put"), ALL, truth="idle deadline"),
    "stall: body not read": Entry(do.stall_unread, ("put-1",), PARTS, truth="idle deadline"),
    "stall: reply held back": Entry(do.stall_reply, ("put-2",), ALL, truth="looked at once more"),
    "stall in the head": Entry(do.stall_in_head, ("get", "put"), ALL),
    "stall in the body": Entry(do.stall_in_body, ("get-2",), BODIES, truth="no torso is kept"),
    "drip: reply by bytes": Entry(lambda: do.drip_reply(0.001), ("put",), ("current", "create")),
    "drip: body read slowly": Entry(
        lambda: do.drip_request(4096, 0.002), ("put-3",), ("put",), truth="only slower"
    ),
    # connections that end
    "reset before the request": Entry(do.reset_unheard, ("get", "put"), ALL),
    "reset in the request's body": Entry(do.reset_in_request, ("put-2",), PARTS),
    "lost request": Entry(do.lost_request, ("put",), ALL, truth="looked at once more"),
    "lost reply": Entry(do.lost_reply, ("put", "put-1", "current"), READS + PARTS),
    "closed without a reply": Entry(lambda: do.lost_reply(reset=False), ("put",), ALL),
    "complete: reply lost": Entry(do.lost_reply, ("complete",), truth="found complete"),
    "complete: timed out": Entry(do.stall_reply, ("complete",), truth="found complete"),
    "complete: done but 500": Entry(
        lambda: do.done_but(500, "InternalError"), ("complete",), truth="found complete"
    ),
    "complete: 200 with an error": Entry(
        lambda: do.refused(200, "InternalError"), ("complete",), truth="completed again"
    ),
    "reset in the reply's head": Entry(do.reset_in_head, ("get", "put"), ALL),
    "reset in the reply's body": Entry(do.reset_in_body, ("get-1",), BODIES),
    "truncated body": Entry(do.truncated, ("get", "get-3"), BODIES, truth="no torso is kept"),
    "half-closed kept-alive": Entry(do.closed_after, ("get", "put"), ALL),
    "reset by the next request": Entry(do.reset_next, ("put", "current"), ALL),
    # bytes that differ
    "flipped byte to the destination": Entry(
        do.flipped_request, ("put", "put-2"), PARTS, truth="seen by checksum, sent again"
    ),
    "Content-Length too long": Entry(lambda: do.lying_length(9), ("get", "get-2"), BODIES),
    "Content-Length too short": Entry(lambda: do.lying_length(-9), ("get", "get-2"), BODIES),
    "duplicate reply": Entry(do.twice, ("get", "put", "current"), WRITES, truth="in step"),
    "duplicate reply, later": Entry(lambda: do.twice(0.05), ("put",), ("current", "put-3")),
    "1xx before the reply": Entry(do.interim, ("get", "put"), ALL, truth="skipped"),
    "reply in chunks": Entry(do.as_chunks, ("get", "put-1"), BODIES + WRITES),
    "reply of HTTP/1.0": Entry(do.old_http, ("get", "put-1"), BODIES + PARTS),
    "the whole for a range": Entry(
        lambda: do.retold("whole", _whole_for_range), ("get-2",), ("get-1", "get-3")
    ),
    "another range": Entry(lambda: do.retold("range", _next_range), ("get-3",), ("get-1",)),
    "a page from between": Entry(
        do.portal,
        ("get", "put", "current", "put-2", "complete", "create", "list"),
        ("get-1", "verify", "head"),
        truth="not taken for the store's word",
    ),
    "a page from between, again and again": Entry(
        do.portal,
        ("put", "get", "put-1"),
        ("current", "complete", "get-1"),
        times=6,
        truth="redelivered",
    ),
    "nothing that proves": Entry(
        lambda: do.retold("mute", _without("ETag", "x-goog-hash")),
        ("put", "put-1"),
        ("put-3",),
        truth="not taken for a write",
    ),
    # refusals
    "500": Entry(lambda: do.refused(500, "InternalError"), ("get", "put-1"), ALL),
    "500 storm": Entry(lambda: do.refused(500), ("put",), ("get",), times=5, truth="redelivered"),
    "502": Entry(lambda: do.refused(502), ("put", "current"), ALL),
    "503 SlowDown": Entry(lambda: do.refused(503, "SlowDown"), ("get", "put-2"), ALL),
    "503 storm": Entry(
        lambda: do.refused(503, "SlowDown"), ("put",), ("get",), times=5, truth="redelivered"
    ),
    "503 with Retry-After": Entry(
        lambda: do.refused(503, "SlowDown", headers={"Retry-After": "1"}), ("put",), ALL
    ),
    "503 with Retry-After as a date": Entry(
        lambda: do.refused(503, "SlowDown", headers=_soon()), ("get",), ("put-1",)
    ),
    "503 with a Retry-After of nonsense": Entry(
        lambda: do.refused(503, "", headers={"Retry-After": "-5 soon"}), ("put",), ("get",)
    ),
    "503 before the body is read": Entry(
        lambda: do.refused(503, "SlowDown", early=True), ("put-1", "put"), PARTS
    ),
    "429": Entry(lambda: do.refused(429, "TooManyRequests"), ("put", "get"), ALL),
    "429 with Retry-After": Entry(
        lambda: do.refused(429, headers={"Retry-After": "1"}), ("put-2",), ("get",)
    ),
    "504": Entry(lambda: do.refused(504), ("get", "complete"), ALL),
    "400 RequestTimeout": Entry(lambda: do.refused(400, "RequestTimeout"), ("put-2",), PARTS),
    "400 BadDigest": Entry(lambda: do.refused(400, "BadDigest"), ("put-1",), ("put",)),
    "400 IncompleteBody": Entry(lambda: do.refused(400, "IncompleteBody"), ("put",), PARTS),
    "400 InvalidPart on complete": Entry(
        lambda: do.refused(400, "InvalidPart"), ("complete",), truth="begun anew"
    ),
    "409 OperationAborted": Entry(lambda: do.refused(409, "OperationAborted"), ("put",), WRITES),
    "416 while it is longer": Entry(
        lambda: do.refused(416, "InvalidRange"), ("get-3",), ("get-2",), truth="read again"
    ),
    "done but 503": Entry(lambda: do.done_but(503, "SlowDown"), ("put", "put-2"), ("complete",)),
    "expired token": Entry(lambda: do.refused(400, "ExpiredToken"), ("get", "put-1"), ALL),
    "revoked for a time": Entry(
        lambda: do.refused(403, "InvalidAccessKeyId"), ("put",), ("get", "put-2"), times=2
    ),
    "denied for a time": Entry(
        lambda: do.refused(403, "AccessDenied"), ("put", "get"), ("put-2", "current"), times=2
    ),
    "false 404 for a part": Entry(
        lambda: do.refused(404, "NoSuchKey"), ("get-2",), ("get-3",), truth="looked at again"
    ),
    "false 412 for a part": Entry(
        lambda: do.refused(412, "PreconditionFailed"), ("get-2",), ("get-1", "get-3")
    ),
    "a gateway's 504, and it lands late": Entry(
        lambda: do.late(504, 0.3), ("put", "put-1", "complete"), ("put-3",), truth="looked again"
    ),
}


def short_plans() -> list[Plan]:
    """Each fault once at each of its first places."""
    return [
        struck(kind, entry.fault, place, times=entry.times)
        for kind, entry in CATALOGUE.items()
        for place in entry.places
    ] + special_plans()


def full_plans() -> list[Plan]:
    """Each fault at every place that makes sense."""
    return [
        struck(kind, entry.fault, place, times=entry.times)
        for kind, entry in CATALOGUE.items()
        for place in dict.fromkeys((*entry.places, *entry.more))
    ] + special_plans()


# --- with a deed at the same time ---------------------------------------------------------


def _orphan(scene: Scene, key: str) -> None:
    """Nobody learns the id of the upload that was begun: the policy of old uploads ends it."""
    scene.at("target", r"^POST {k}\?uploads", do.lost_reply())
    scene.opened.add(key)
    scene.large(key)


def _aborted_while(scene: Scene, key: str, pattern: str) -> None:
    target = scene.rig.target

    def abort() -> None:
        found = target.boto.list_multipart_uploads(Bucket=target.bucket, Prefix=key)
        for entry in found.get("Uploads", ()):
            target.boto.abort_multipart_upload(
                Bucket=target.bucket, Key=key, UploadId=entry["UploadId"]
            )

    scene.at("target", pattern, do.meanwhile(abort))
    scene.large(key)


def _aborted_at_part(scene: Scene, key: str) -> None:
    _aborted_while(scene, key, r"^PUT {k}\?partNumber=2&")


def _aborted_at_complete(scene: Scene, key: str) -> None:
    _aborted_while(scene, key, r"^POST {k}\?uploadId")


def special_plans() -> list[Plan]:
    """Faults that need more than a request to be struck."""
    return [
        Plan("create: reply lost", "create-lost", _orphan),
        Plan("NoSuchUpload in mid-flight", "no-such-upload--put-2", _aborted_at_part),
        Plan("NoSuchUpload in mid-flight", "no-such-upload--complete", _aborted_at_complete),
    ]
