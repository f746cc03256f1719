"""What a worker would do with a message body, and why; for operators and their dead letters.

Pure: it looks at the message and the configuration only, never at a store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sync.errors import MessageError
from sync.ignore import IgnoreList
from sync.messages import DestinationRule, Note, decode_records
from sync.model import JobKind, ObjectRef, TransferJob

_DELETES_OFF: Final = "{name}: deletes are not propagated; SyncDeletes is off"
_DELETES_ON: Final = "{name}: deleted if the source object is really gone at that moment"

KeyFault = Callable[[str], str | None]


def explain(
    body: str,
    *,
    rule: DestinationRule,
    ignore: IgnoreList,
    sync_deletes: bool,
    key_fault: KeyFault,
) -> list[dict[str, object]]:
    """One dict for each record of the body, in its order; a body that cannot be read gives
    one with the action ``reject``. Raises nothing.

    Each is ``{"action", "source": {"bucket", "key", "version_id"}, "destination":
    {"bucket", "key"}, "size", "reason"}``, with None where something is not known; the
    actions are copy, delete, ignore, skip and reject. ``key_fault`` says why the
    destination cannot hold a key, or None (a dialect's).
    """
    try:
        records = decode_records(body, rule)
    except MessageError as error:
        return [_line("reject", str(error))]
    return [_record(record, ignore, key_fault, sync_deletes=sync_deletes) for record in records]


def _record(
    record: TransferJob | Note, ignore: IgnoreList, key_fault: KeyFault, *, sync_deletes: bool
) -> dict[str, object]:
    if isinstance(record, Note):
        return _line("skip", record.reason, source=record.source)
    action, reason = _decide(record, ignore, key_fault, sync_deletes=sync_deletes)
    return _line(
        action,
        reason,
        source=record.source,
        destination=record.destination,
        size=record.size,
    )


def _decide(
    job: TransferJob, ignore: IgnoreList, key_fault: KeyFault, *, sync_deletes: bool
) -> tuple[str, str]:
    """The first that holds: ignored; a delete while these are off; a key the destination
    cannot hold; else what the event asks for.
    """
    name = job.event_name or "no event name: taken as created"
    if line := ignore.match(job.source.bucket, job.source.key):
        return "ignore", f"the ignore list's line {line!r}"
    if job.kind is JobKind.DELETE and not sync_deletes:
        return "skip", _DELETES_OFF.format(name=name)
    if fault := key_fault(job.destination.key):
        return "reject", f"the destination cannot hold the key: {fault}"
    if job.kind is JobKind.DELETE:
        return "delete", _DELETES_ON.format(name=name)
    return "copy", name


def _line(
    action: str,
    reason: str,
    *,
    source: ObjectRef | None = None,
    destination: ObjectRef | None = None,
    size: int | None = None,
) -> dict[str, object]:
    return {
        "action": action,
        "source": {
            "bucket": source.bucket if source else None,
            "key": source.key if source else None,
            "version_id": source.version_id if source else None,
        },
        "destination": {
            "bucket": destination.bucket if destination else None,
            "key": destination.key if destination else None,
        },
        "size": size,
        "reason": reason,
    }
