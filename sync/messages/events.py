"""Events: S3 notifications, the inventory shape, the capitalised shape, and EventBridge.

Version rule (AWS, "Event message structure"): an equal major version is understood, a
higher minor one too; unknown fields are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from sync.errors import MessageError
from sync.messages import fields
from sync.messages.fields import Json, shown
from sync.messages.records import DestinationRule, Note, NoteKind, Record
from sync.model import JobKind, ObjectRef, TransferJob

TEST_EVENT: Final = "s3:TestEvent"
_MAJOR: Final = {"S3": "2", "EventBridge": "1"}
_VERSION: Final = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}")
_USUAL_VERSIONS: Final = ("2.1", "2.2", "2.3", "2.0")
_COPY: Final = ("ObjectCreated:", "ObjectRestore:Completed")
# Expiry by a lifecycle rule is announced under a name of its own, not as ObjectRemoved.
_DELETE: Final = ("ObjectRemoved:", "LifecycleExpiration:")
_BRIDGE_KINDS: Final = {
    "Object Created": JobKind.COPY,
    "Object Restore Completed": JobKind.COPY,
    "Object Deleted": JobKind.DELETE,
}


def form_decoded(key: str) -> str:
    """A key as S3 notifications and inventories write it: ``+`` is a space."""
    return _decoded(key, unquote_plus) if "%" in key or "+" in key else key


def percent_decoded(key: str) -> str:
    """A key as batch bodies write it: ``+`` is a plus."""
    return _decoded(key, unquote)


def raw(key: str) -> str:
    """A key its sender did not encode."""
    return key


def _decoded(key: str, decoder: Callable[..., str]) -> str:
    try:
        return decoder(key, errors="strict")
    except UnicodeDecodeError:
        raise MessageError(f"the key is not URL-encoded UTF-8: {shown(key)}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How one kind of sender names the fields of a record, and encodes the key."""

    key: str = "key"
    size: str = "size"
    etag: str = "eTag"
    version_id: str = "versionId"
    sequencer: str = "sequencer"
    bucket: str = "bucket"
    bucket_name: str = "name"
    object: str = "object"
    s3: str = "s3"
    event_name: str = "eventName"
    event_time: str = "eventTime"
    event_version: str = "eventVersion"
    decoded: Callable[[str], str] = form_decoded


PLAIN: Final = Spelling()
# Its sender writes keys unencoded, so decoding would spoil `a+b` and `100%25`.
CAPITALISED: Final = Spelling(
    key="Key",
    size="Size",
    etag="ETag",
    version_id="VersionId",
    sequencer="Sequencer",
    bucket="Bucket",
    bucket_name="Name",
    object="Object",
    s3="S3",
    event_name="EventName",
    event_time="EventTime",
    event_version="EventVersion",
    decoded=raw,
)
EVENT_BRIDGE: Final = Spelling(etag="etag", version_id="version-id", decoded=raw)


def test_event() -> Note:
    """What S3 sends to a queue when notifications are switched on."""
    return Note(NoteKind.TEST_EVENT, f"{TEST_EVENT}: notifications were switched on")


def notification(body: Json, rule: DestinationRule) -> list[Record]:
    """Each of ``Records``: S3's own, an inventory tool's, or the capitalised ones."""
    found: list[Record] = []
    for number, record in enumerate(fields.items(body, "Records")):
        try:
            found.append(_record(record, rule))
        except MessageError as error:
            raise MessageError(f"Records[{number}]: {error}") from None
    return found


def _record(record: object, rule: DestinationRule) -> Record:
    if not isinstance(record, dict):
        raise MessageError(f"a JSON object is expected, not {shown(record)}")
    spelling = PLAIN
    if "s3" not in record:
        if "S3" not in record:
            raise MessageError(f"no 's3' in it; its names are {shown(sorted(record))}")
        spelling = CAPITALISED
    version = record.get(spelling.event_version)
    if version not in _USUAL_VERSIONS:
        check_version("S3", version)
    name = _event_name(record, spelling)
    kind = _kind(name)
    entity = fields.mapping(record, spelling.s3)
    if kind is None:
        return no_data(name, entity, spelling)
    when = fields.timestamp(record, spelling.event_time)
    return job(entity, rule, kind=kind, name=name, when=when, spelling=spelling)


def check_version(family: str, version: Any) -> None:
    """MessageError unless the version is missing or has the major number understood here."""
    if version is None or version == "":
        return
    major = _MAJOR[family]
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise MessageError(f"the event version must be like '{major}.1'; it is {shown(version)}")
    if version.partition(".")[0] != major:
        raise MessageError(f"event version {version} is not understood; {major}.x is expected")


def _event_name(record: Json, spelling: Spelling) -> str:
    name = record.get(spelling.event_name, "")
    if not isinstance(name, str):
        raise MessageError(f"{spelling.event_name} must be a text; it is {shown(name)}")
    if not name.isascii():
        fields.unicode(name, spelling.event_name)
    return name.removeprefix("s3:")


def _kind(name: str) -> JobKind | None:
    """COPY for created and restored, DELETE for removed and expired, None for the rest.

    No name at all is an inventory's record: the object is there, so it is to be copied.
    """
    if not name or name.startswith(_COPY):
        return JobKind.COPY
    return JobKind.DELETE if name.startswith(_DELETE) else None


def no_data(name: str, entity: Json, spelling: Spelling) -> Note:
    """The note for an event that moves no data; its object is named where it can be read."""
    try:
        source = _source(entity, spelling)
    except MessageError:
        source = None
    return Note(NoteKind.NO_DATA, f"{shown(name)} moves no data", source)


def job(
    entity: Json,
    rule: DestinationRule,
    *,
    kind: JobKind,
    name: str,
    when: float | None,
    spelling: Spelling,
) -> TransferJob:
    """The job of an event; ``entity`` holds the bucket and the object."""
    source = _source(entity, spelling)
    described = entity[spelling.object]  # which _source has seen
    return TransferJob(
        kind=kind,
        source=source,
        destination=rule.destination(source.key),
        size=fields.size(described, spelling.size),
        etag=fields.etag(described, spelling.etag),
        event_time=when,
        sequencer=fields.hint(described, spelling.sequencer),
        event_name=name,
    )


def _source(entity: Json, spelling: Spelling) -> ObjectRef:
    bucket = fields.bucket(fields.mapping(entity, spelling.bucket), spelling.bucket_name)
    described = fields.mapping(entity, spelling.object)
    key = spelling.decoded(fields.text(described, spelling.key))
    return ObjectRef(bucket, key, fields.optional_text(described, spelling.version_id))


def event_bridge(body: Json, rule: DestinationRule) -> Record:
    """An EventBridge event of S3 (AWS, "EventBridge event message structure")."""
    name = fields.text(body, "detail-type")
    if body.get("source", "aws.s3") != "aws.s3" or not name.startswith("Object "):
        raise MessageError(f"an EventBridge event, but not one of S3's objects: {shown(name)}")
    detail = fields.mapping(body, "detail")
    check_version("EventBridge", detail.get("event-version"))
    kind = _BRIDGE_KINDS.get(name)
    if kind is None:
        return no_data(name, detail, EVENT_BRIDGE)
    when = fields.timestamp(body, "time")
    return job(detail, rule, kind=kind, name=name, when=when, spelling=EVENT_BRIDGE)
