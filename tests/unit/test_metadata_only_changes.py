"""What the random histories found: changes that leave the ETag as it was, versions uncovered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from support import virtual
from support.simulation import SOURCE, TARGET, source, target
from support.virtual import VirtualClock
from sync.adapters.dialects import AWS
from sync.adapters.ledger_rows import read_upload, upload_values
from sync.adapters.memory import MEMORY_DIALECT, MemoryLedger, MemoryObserver, MemoryStore
from sync.adapters.s3_headers import identity, object_meta
from sync.engine.budget import Budget
from sync.engine.copier import Copier
from sync.engine.options import CopyOptions
from sync.engine.transfer import Context, JobState
from sync.errors import NoSuchBucket, NotFound, OutcomeUnknown, SyncError
from sync.model import (
    Identity,
    JobKind,
    ObjectHeaders,
    ObjectRef,
    Outcome,
    TransferJob,
    TransferResult,
)
from sync.ports import UploadRecord

BYTES = b"0123456789" * 10


def marked(mark: str) -> ObjectHeaders:
    return ObjectHeaders(metadata=(("mark", mark),), storage_class="STANDARD")


class Scene:
    """A copier between two stores, and what is done at its every request."""

    def __init__(self, *, versioned: bool = False, ledger: bool = False, **options: Any) -> None:
        clock = VirtualClock()
        self.source = MemoryStore(SOURCE, versioned=versioned)
        self.target = MemoryStore(TARGET, dialect=replace(MEMORY_DIALECT, min_part=1))
        self.observer = MemoryObserver()
        self.ledger = MemoryLedger() if ledger else None
        context = Context(
            source=self.source,
            destination=self.target,
            ledger=self.ledger,
            options=CopyOptions(threshold=50, chunk=40, **options),
            observer=self.observer,
            clock=clock,
            slots=Budget(4),
        )
        self.copier = Copier(context)

    async def run(self, **fields: Any) -> TransferResult:
        kind = fields.pop("kind", JobKind.COPY)
        version = fields.pop("version", None)
        ref = ObjectRef(SOURCE, "k", version)
        return await self.copier.run(TransferJob(kind, ref, target("k"), **fields), JobState())

    @property
    def mark(self) -> str:
        versions = self.target.buckets[TARGET]["k"]
        return dict(versions[-1].meta.headers.metadata)["mark"]


@pytest.mark.parametrize("size", [10, 100])
def test_metadata_that_change_during_the_copy_are_copied_too(size: int) -> None:
    scene = Scene()
    scene.source.store(source("k"), BYTES[:size], marked("old"))

    async def interfere(operation: str, _ref: ObjectRef) -> None:
        if operation in {"put-done", "complete-done"} and scene.mark == "old":
            scene.source.store(source("k"), BYTES[:size], marked("new"))

    scene.target.interfere = interfere
    result = virtual.run(scene.run())
    assert (result.outcome, result.rounds, scene.mark) == (Outcome.COPIED, 2, "new")


@pytest.mark.parametrize("ledger", [False, True])
def test_an_upload_begun_with_other_metadata_is_not_gone_on_with(ledger: bool) -> None:
    scene = Scene(ledger=ledger)
    scene.source.store(source("k"), BYTES, marked("old"))

    async def refuse(operation: str, _ref: ObjectRef) -> None:
        if operation == "complete":
            raise NoSuchBucket("for now", status=404)

    scene.target.interfere = refuse

    async def twice() -> None:
        with pytest.raises(NoSuchBucket):
            await scene.run()
        assert scene.target.open_uploads
        scene.source.store(source("k"), BYTES, marked("new"))
        scene.target.interfere = scene.source.interfere
        await scene.run()

    virtual.run(twice())
    assert scene.mark == "new"
    assert not scene.target.open_uploads


def test_a_late_write_of_older_metadata_is_seen() -> None:
    scene = Scene()
    scene.source.store(source("k"), BYTES[:10], marked("new"))
    puts: list[str] = []

    async def interfere(operation: str, _ref: ObjectRef) -> None:
        if operation == "put":
            puts.append(operation)
            if len(puts) == 1:
                raise OutcomeUnknown("no reply")

    scene.target.interfere = interfere

    async def run() -> None:
        def land() -> None:
            scene.target.store(target("k"), BYTES[:10], marked("old"))

        asyncio.get_running_loop().call_later(20.0, land)
        await scene.run()

    virtual.run(run())
    assert scene.mark == "new"


def test_a_delete_event_is_not_skipped_where_only_the_metadata_differ() -> None:
    scene = Scene(sync_deletes=True)
    scene.source.store(source("k"), BYTES[:10], marked("current"))
    scene.target.store(target("k"), BYTES[:10], marked("of a version that was deleted"))
    result = virtual.run(scene.run(kind=JobKind.DELETE))
    assert (result.outcome, scene.mark) == (Outcome.COPIED, "current")
    again = virtual.run(scene.run(kind=JobKind.DELETE))
    assert again.outcome is Outcome.SKIPPED


@pytest.mark.parametrize(
    ("event", "outcome"),
    [("ObjectRemoved:Delete", Outcome.COPIED), ("ObjectRemoved:DeleteMarkerCreated", "ignored")],
)
def test_a_version_that_is_uncovered_is_copied_though_deletes_are_off(
    event: str, outcome: str
) -> None:
    scene = Scene(versioned=True, sync_deletes=False)
    scene.source.store(source("k"), BYTES[:10], marked("uncovered"))
    scene.target.store(target("k"), BYTES[:20], marked("deleted for good"))
    result = virtual.run(scene.run(kind=JobKind.DELETE, event_name=event))
    assert result.outcome == outcome


def test_what_is_gone_stays_where_deletes_are_off() -> None:
    scene = Scene(sync_deletes=False)
    scene.target.store(target("k"), BYTES[:10], marked("kept"))
    event = "ObjectRemoved:Delete"
    result = virtual.run(scene.run(kind=JobKind.DELETE, event_name=event))
    assert (result.outcome, scene.mark) == (Outcome.IGNORED, "kept")


def test_gone_is_not_said_on_the_word_of_a_head_alone() -> None:
    scene = Scene(sync_deletes=False)

    async def no_bucket(operation: str, _ref: ObjectRef) -> None:
        if operation == "head":
            raise NotFound("404 without a body", status=404)
        raise NoSuchBucket("it is not there", status=404)

    scene.source.interfere = no_bucket

    async def run() -> SyncError:
        with pytest.raises(SyncError) as raised:
            await scene.run(size=100)
        return raised.value

    assert isinstance(virtual.run(run()), NoSuchBucket)


def test_a_bucket_that_vanishes_after_a_delete_does_not_end_the_job() -> None:
    scene = Scene(sync_deletes=True)
    scene.target.store(target("k"), BYTES[:10], marked("old"))

    async def vanish(operation: str, _ref: ObjectRef) -> None:
        if scene.target.content(target("k")) is None:
            gone = NotFound if operation == "head" else NoSuchBucket
            raise gone("404", status=404)

    scene.source.interfere = vanish

    async def run() -> None:
        with pytest.raises(NoSuchBucket):
            await scene.run(kind=JobKind.DELETE)

    virtual.run(run())


def test_an_event_of_a_large_version_whose_current_one_is_small_writes_no_empty_object() -> None:
    scene = Scene(versioned=True, read_by_version=True)
    old = scene.source.store(source("k"), BYTES, marked("large"))
    scene.source.store(source("k"), BYTES[:10], marked("small"))
    seen: list[bytes | None] = []

    async def watch(operation: str, _ref: ObjectRef) -> None:
        if operation.endswith("-done"):
            seen.append(scene.target.content(target("k")))

    scene.target.interfere = watch
    result = virtual.run(scene.run(version=old.version_id, size=10))
    assert result.outcome is Outcome.COPIED
    assert scene.target.content(target("k")) == BYTES[:10]
    assert b"" not in seen


def test_a_source_whose_replies_to_get_and_head_differ_is_copied_all_the_same() -> None:
    scene = Scene()
    scene.source.store(source("k"), BYTES[:10], marked("as GET says"))
    current = scene.source.current

    async def otherwise(ref: ObjectRef) -> Identity:
        return (await current(ref))._replace(described="as HEAD says")

    scene.source.current = otherwise  # type: ignore[method-assign]  # a store that has this quirk
    result = virtual.run(scene.run())
    assert (result.outcome, result.rounds) == (Outcome.COPIED, 2)


HEADERS = {"etag": '"e"', "content-type": "text/plain", "x-amz-meta-a": "1", "x-amz-meta-b": "2"}


def told(**changes: str) -> Identity:
    headers = HEADERS | {name.replace("_", "-"): value for name, value in changes.items()}
    return identity(headers, size=1, dialect=AWS)


def test_an_identity_tells_metadata_where_no_version_id_does() -> None:
    assert told() == object_meta(HEADERS, size=1, dialect=AWS).identity
    assert told() == identity(dict(reversed(HEADERS.items())), size=1, dialect=AWS)
    assert told() != told(x_amz_meta_a="other")
    assert told() != told(content_type="text/html")
    assert told() == told(x_amz_storage_class="GLACIER_IR")


def test_the_null_version_tells_metadata_and_a_real_one_need_not() -> None:
    null = told(x_amz_version_id="null")
    assert null != told(x_amz_version_id="null", x_amz_meta_a="other")
    assert told(x_amz_version_id="v1").described == ""
    assert told(x_amz_version_id="v1") == told(x_amz_version_id="v1", x_amz_meta_a="other")


def test_the_ledger_keeps_what_tells_the_metadata() -> None:
    record = UploadRecord("u", Identity("e", 100, None, "fingerprint"), 40, {1: 7})
    assert read_upload(upload_values(record)) == record
