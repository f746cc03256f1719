"""One object's way, on fakes: pins, resume, verification, convergence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from support import virtual
from support.simulation import SOURCE, TARGET, source, target
from support.virtual import VirtualClock
from sync.adapters.memory import MEMORY_DIALECT, MemoryLedger, MemoryObserver, MemoryStore
from sync.engine import resume
from sync.engine.budget import Budget
from sync.engine.copier import Copier
from sync.engine.options import CopyOptions
from sync.engine.transfer import Context, JobState
from sync.errors import (
    IntegrityError,
    JobTimedOut,
    KeyNotAllowed,
    NoSuchBucket,
    NotFound,
    ObjectTooLarge,
    OutcomeUnknown,
    TransientStoreError,
)
from sync.model import (
    MIB,
    Dialect,
    JobKind,
    ObjectHeaders,
    ObjectRef,
    Outcome,
    TransferJob,
    TransferResult,
)
from sync.ports import JobLedger

SMALL_PARTS = replace(MEMORY_DIALECT, min_part=1)
BIG = bytes(range(256)) * 40  # 10,240 bytes: 11 parts of 1,000


def options(**changes: Any) -> CopyOptions:
    base = CopyOptions(threshold=2_000, chunk=1_000, late_write_grace=30.0)
    return replace(base, **changes)


class Bench:
    """A copier between two stores."""

    def __init__(
        self,
        *,
        versioned: bool = False,
        dialect: Dialect = SMALL_PARTS,
        ledger: JobLedger | None = None,
        **changes: Any,
    ) -> None:
        self.source = MemoryStore(SOURCE, versioned=versioned)
        self.target = MemoryStore(TARGET, dialect=dialect)
        self.observer = MemoryObserver()
        self.ledger = ledger
        self.context = Context(
            source=self.source,
            destination=self.target,
            ledger=ledger,
            options=options(**changes),
            observer=self.observer,
            clock=VirtualClock(),
            slots=Budget(8),
        )
        self.state = JobState()

    def job(self, key: str = "k", **fields: Any) -> TransferJob:
        kind = fields.pop("kind", JobKind.COPY)
        return TransferJob(
            kind, source(key)._replace(**fields.pop("at", {})), target(key), **fields
        )

    async def copy(self, key: str = "k", **fields: Any) -> TransferResult:
        return await Copier(self.context).run(self.job(key, **fields), self.state)

    def went(self, store: MemoryStore) -> list[str]:
        return [operation for operation, _ref in store.requests]


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return virtual.run(main)


def lose_the_first(
    bench: Bench, operation: str, land: Callable[[], Coroutine[Any, Any, None]]
) -> list[asyncio.Task[None]]:
    """The first write gets no reply; ``land`` is what becomes of it."""
    late: list[asyncio.Task[None]] = []

    async def lose(found: str, _ref: ObjectRef) -> None:
        if found == operation and not late:
            late.append(asyncio.create_task(land()))
            raise OutcomeUnknown("no reply")

    bench.target.interfere = lose
    return late


async def wrong_in_ten_seconds(bench: Bench) -> None:
    await asyncio.sleep(10)
    bench.target.store(target("k"), b"a late and wrong one")


def test_a_small_object_is_one_get_one_put_and_one_look_back() -> None:
    async def main() -> None:
        bench = Bench()
        bench.source.store(source("k"), b"hello", ObjectHeaders((("content-type", "text/x"),)))
        result = await bench.copy(size=5)
        assert result.outcome is Outcome.COPIED
        assert bench.target.content(target("k")) == b"hello"
        assert bench.went(bench.source) == ["get", "head"]
        assert bench.went(bench.target) == ["put"]

    run(main())


@pytest.mark.parametrize("size", [None, 0, 5, 99_999])
def test_what_the_message_says_of_the_size_is_only_a_hint(size: int | None) -> None:
    async def main() -> None:
        bench = Bench()
        bench.source.store(source("k"), BIG)
        assert (await bench.copy(size=size)).outcome is Outcome.COPIED
        assert bench.target.content(target("k")) == BIG
        assert not bench.target.open_uploads

    run(main())


def test_every_ranged_read_of_a_large_object_carries_the_etag() -> None:
    async def main() -> None:
        bench = Bench()
        identity = bench.source.store(source("k"), BIG)
        pins = spy_on_reads(bench.source)
        await bench.copy(size=len(BIG))
        assert len(pins) == 11
        assert set(pins) == {(None, identity.etag)}

    run(main())


def test_by_request_every_ranged_read_carries_the_version() -> None:
    async def main() -> None:
        bench = Bench(versioned=True, read_by_version=True)
        identity = bench.source.store(source("k"), BIG)
        pins = spy_on_reads(bench.source)
        await bench.copy(size=len(BIG))
        assert set(pins) == {(identity.version_id, None)}

    run(main())


def spy_on_reads(store: MemoryStore) -> list[tuple[str | None, str | None]]:
    pins: list[tuple[str | None, str | None]] = []
    inner = store.open

    def spying(ref: ObjectRef, **how: Any) -> Any:
        pins.append((ref.version_id, how.get("if_match")))
        return inner(ref, **how)

    store.open = spying  # type: ignore[method-assign]
    return pins


@pytest.mark.parametrize("read_by_version", [False, True])
@pytest.mark.parametrize("versioned", [False, True])
def test_an_overwrite_in_the_middle_never_mixes(versioned: bool, read_by_version: bool) -> None:
    async def main() -> None:
        bench = Bench(versioned=versioned, read_by_version=read_by_version, parts_per_object=2)
        bench.source.store(source("k"), BIG)
        newer = BIG[::-1]

        async def overwrite(operation: str, _ref: ObjectRef) -> None:
            if operation == "part-done" and bench.went(bench.target).count("part") == 4:
                bench.source.store(source("k"), newer)

        bench.target.interfere = overwrite
        result = await bench.copy(size=len(BIG))
        assert result.outcome is Outcome.COPIED
        assert bench.target.content(target("k")) == newer
        contents = {v.data for v in bench.target._versions(target("k"))}
        assert contents <= {BIG, newer}
        assert not bench.target.open_uploads

    run(main())


@pytest.mark.parametrize("then", [b"small now", None])
@pytest.mark.parametrize("refusals", [0, 1, 99])
def test_parts_of_a_version_that_is_gone_are_not_left_to_be_paid_for(
    then: bytes | None, refusals: int
) -> None:
    """What comes after is no multipart upload, which would have found and dropped them."""

    async def main() -> None:
        left = refusals
        bench = Bench(parts_per_object=2)
        bench.source.store(source("k"), BIG)

        async def change(operation: str, _ref: ObjectRef) -> None:
            nonlocal left
            if operation == "part-done" and bench.went(bench.target).count("part") == 4:
                if then is None:
                    bench.source.remove(source("k"))
                else:
                    bench.source.store(source("k"), then)
            if operation == "abort" and left:
                left -= 1
                raise TransientStoreError("not now")

        bench.target.interfere = change
        result = await bench.copy(size=len(BIG))
        assert result.outcome is (Outcome.GONE if then is None else Outcome.COPIED)
        assert bench.target.content(target("k")) == then
        assert len(bench.target.open_uploads) == (left > 0)
        told = [name for name, _ in bench.observer.events]
        assert told.count("upload-not-aborted") == (left > 0)

    run(main())


def test_a_source_that_ignores_the_pin_is_not_believed() -> None:
    async def main() -> None:
        bench = Bench(parts_per_object=1)
        bench.source.store(source("k"), BIG)
        newer = BIG[::-1]
        inner = bench.source.open

        def ignoring(ref: ObjectRef, **how: Any) -> Any:
            if bench.went(bench.target).count("part") == 5:
                bench.source.store(source("k"), newer)
            how.pop("if_match", None)
            return inner(ref, **how)

        bench.source.open = ignoring  # type: ignore[method-assign]
        await bench.copy(size=len(BIG))
        contents = {v.data for v in bench.target._versions(target("k"))}
        assert contents == {newer}

    run(main())


def test_an_overwrite_after_the_write_is_copied_too() -> None:
    async def main() -> None:
        bench = Bench()
        bench.source.store(source("k"), b"one")

        async def overwrite(operation: str, _ref: ObjectRef) -> None:
            if operation == "put-done" and len(bench.target.requests) == 1:
                bench.source.store(source("k"), b"two")

        bench.target.interfere = overwrite
        result = await bench.copy()
        assert (result.rounds, bench.target.content(target("k"))) == (2, b"two")

    run(main())


def test_an_old_versions_event_ends_in_the_current_object() -> None:
    async def main() -> None:
        bench = Bench(versioned=True, read_by_version=True)
        old = bench.source.store(source("k"), b"old")
        bench.source.store(source("k"), b"new")
        await bench.copy(at={"version_id": old.version_id})
        assert bench.target.content(target("k")) == b"new"

    run(main())


def test_a_version_that_is_gone_falls_back_to_the_current_object() -> None:
    async def main() -> None:
        bench = Bench(versioned=True, read_by_version=True)
        bench.source.store(source("k"), b"new")
        result = await bench.copy(at={"version_id": "never-was"})
        assert (result.outcome, bench.target.content(target("k"))) == (Outcome.COPIED, b"new")

    run(main())


def test_a_gone_object_is_reported_as_gone_and_nothing_deleted() -> None:
    async def main() -> None:
        bench = Bench()
        bench.target.store(target("k"), b"kept")
        assert (await bench.copy()).outcome is Outcome.GONE
        assert bench.target.content(target("k")) == b"kept"

    run(main())


class TestDeletes:
    def test_are_ignored_unless_asked_for(self) -> None:
        async def main() -> None:
            bench = Bench()
            bench.target.store(target("k"), b"kept")
            assert (await bench.copy(kind=JobKind.DELETE)).outcome is Outcome.IGNORED
            assert bench.target.content(target("k")) == b"kept"

        run(main())

    def test_happen_when_the_source_is_really_gone(self) -> None:
        async def main() -> None:
            bench = Bench(sync_deletes=True)
            bench.target.store(target("k"), b"old")
            assert (await bench.copy(kind=JobKind.DELETE)).outcome is Outcome.DELETED
            assert bench.target.content(target("k")) is None

        run(main())

    def test_do_not_happen_when_the_source_exists_again(self) -> None:
        async def main() -> None:
            bench = Bench(sync_deletes=True)
            bench.source.store(source("k"), b"back")
            bench.target.store(target("k"), b"back")
            assert (await bench.copy(kind=JobKind.DELETE)).outcome is Outcome.SKIPPED
            assert bench.target.content(target("k")) == b"back"

        run(main())

    def test_of_an_object_that_exists_bring_back_what_a_late_delete_took(self) -> None:
        async def main() -> None:
            bench = Bench(sync_deletes=True)
            bench.source.store(source("k"), b"back")
            assert (await bench.copy(kind=JobKind.DELETE)).outcome is Outcome.COPIED
            assert bench.target.content(target("k")) == b"back"

        run(main())

    def test_are_undone_when_the_source_comes_back_in_between(self) -> None:
        async def main() -> None:
            bench = Bench(sync_deletes=True)
            bench.target.store(target("k"), b"old")

            async def recreate(operation: str, _ref: ObjectRef) -> None:
                if operation == "delete-done":
                    bench.source.store(source("k"), b"back")

            bench.target.interfere = recreate
            assert (await bench.copy(kind=JobKind.DELETE)).outcome is Outcome.COPIED
            assert bench.target.content(target("k")) == b"back"

        run(main())

    def test_a_missing_source_bucket_deletes_nothing(self) -> None:
        async def main() -> None:
            bench = Bench(sync_deletes=True)
            bench.target.store(target("k"), b"kept")
            bench.source.buckets.clear()
            with pytest.raises(NoSuchBucket):
                await bench.copy(kind=JobKind.DELETE)
            assert bench.target.content(target("k")) == b"kept"

        run(main())


class TestResume:
    @pytest.mark.parametrize("with_ledger", [False, True])
    def test_goes_on_at_the_part(self, with_ledger: bool) -> None:
        async def main() -> None:
            bench = Bench(ledger=MemoryLedger() if with_ledger else None, parts_per_object=1)
            bench.source.store(source("k"), BIG)
            await cut_short(bench, after_parts=6)
            first = set(bench.target.open_uploads)
            assert len(first) == 1
            result = await bench.copy(size=len(BIG))
            assert bench.target.content(target("k")) == BIG
            assert result.parts_reused == 6
            assert result.parts_sent == 5
            assert result.crc32c is not None

        run(main())

    @pytest.mark.parametrize("with_ledger", [False, True])
    def test_never_into_another_versions_upload(self, with_ledger: bool) -> None:
        async def main() -> None:
            bench = Bench(ledger=MemoryLedger() if with_ledger else None, parts_per_object=1)
            bench.source.store(source("k"), BIG)
            await cut_short(bench, after_parts=6)
            newer = BIG[::-1]
            bench.source.store(source("k"), newer)
            result = await bench.copy(size=len(BIG))
            assert bench.target.content(target("k")) == newer
            assert result.parts_reused == 0
            assert not bench.target.open_uploads

        run(main())

    def test_learns_the_part_size_from_what_was_uploaded(self) -> None:
        async def main() -> None:
            bench = Bench(parts_per_object=1)
            bench.source.store(source("k"), BIG)
            await cut_short(bench, after_parts=6)
            other = replace(bench.context.options, chunk=3_000)
            bench.context = replace_options(bench.context, other)
            result = await bench.copy(size=len(BIG))
            assert (result.parts_reused, result.parts_sent) == (6, 5)
            assert bench.target.content(target("k")) == BIG

        run(main())

    def test_an_upload_that_proves_nothing_is_not_used_nor_taken_away(self) -> None:
        async def main() -> None:
            bench = Bench()
            bench.source.store(source("k"), BIG)
            foreign = await bench.target.create_upload(target("k"), ObjectHeaders())
            result = await bench.copy(size=len(BIG))
            assert result.parts_reused == 0
            assert list(bench.target.open_uploads) == [foreign.upload_id]

        run(main())

    def test_a_mark_whose_etag_is_no_md5_proves_nothing(self) -> None:
        async def main() -> None:
            bench = Bench(parts_per_object=1)
            bench.source.store(source("k"), BIG)
            await cut_short(bench, after_parts=6)
            upload = next(iter(bench.target.open_uploads.values()))
            data, part = upload.parts[SMALL_PARTS.max_parts]
            upload.parts[SMALL_PARTS.max_parts] = (data, replace(part, etag="kms-like"))
            result = await bench.copy(size=len(BIG))
            assert result.parts_reused == 0
            assert list(bench.target.open_uploads) == [upload.upload.upload_id]

        run(main())

    def test_cleaning_takes_every_open_upload_of_the_key_away(self) -> None:
        async def main() -> None:
            bench = Bench(clean_unfinished=True)
            bench.source.store(source("k"), BIG)
            await bench.target.create_upload(target("k"), ObjectHeaders())
            await bench.copy(size=len(BIG))
            assert not bench.target.open_uploads

        run(main())

    def test_a_kept_part_with_other_bytes_is_sent_again(self) -> None:
        async def main() -> None:
            bench = Bench(parts_per_object=1)
            bench.source.store(source("k"), BIG)
            await cut_short(bench, after_parts=6)
            spoil_part(bench.target, 3)
            result = await bench.copy(size=len(BIG))
            assert bench.target.content(target("k")) == BIG
            assert result.parts_reused == 5

        run(main())

    def test_a_kept_part_of_another_size_is_sent_again(self) -> None:
        async def main() -> None:
            bench = Bench(ledger=MemoryLedger(), parts_per_object=1)
            bench.source.store(source("k"), BIG)
            await cut_short(bench, after_parts=6)
            upload = next(iter(bench.target.open_uploads.values()))
            data, part = upload.parts[2]
            upload.parts[2] = (data[:-1], replace(part, size=len(data) - 1))
            result = await bench.copy(size=len(BIG))
            assert bench.target.content(target("k")) == BIG
            assert result.parts_reused == 5

        run(main())

    def test_a_store_that_refuses_unused_parts_gets_no_mark(self) -> None:
        async def main() -> None:
            bench = Bench(dialect=replace(SMALL_PARTS, drops_unused_parts=False))
            bench.source.store(source("k"), BIG)
            await bench.copy(size=len(BIG))
            assert bench.target.content(target("k")) == BIG

        run(main())


def replace_options(context: Context, changed: CopyOptions) -> Context:
    return Context(
        source=context.source,
        destination=context.destination,
        ledger=context.ledger,
        options=changed,
        observer=context.observer,
        clock=context.clock,
        slots=context.slots,
    )


def spoil_part(store: MemoryStore, number: int) -> None:
    upload = next(iter(store.open_uploads.values()))
    data, part = upload.parts[number]
    spoilt = b"x" * len(data)
    import hashlib

    etag = hashlib.md5(spoilt).hexdigest()
    upload.parts[number] = (spoilt, replace(part, etag=etag))


async def cut_short(bench: Bench, *, after_parts: int) -> None:
    """Begin the copy and cancel it when that many parts are there."""
    enough = asyncio.Event()
    seen = 0
    marks = 0 if bench.ledger else 1

    async def count(operation: str, _ref: ObjectRef) -> None:
        nonlocal seen
        if operation == "part":
            if seen == after_parts + marks:
                enough.set()
                await asyncio.get_running_loop().create_future()
            seen += 1

    bench.target.interfere = count
    task = asyncio.create_task(bench.copy(size=len(BIG)))
    await enough.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async def nothing(_operation: str, _ref: ObjectRef) -> None:
        return

    bench.target.interfere = nothing
    bench.target.requests.clear()
    bench.state = JobState()


class TestIntegrity:
    def test_a_store_that_says_nothing_gets_content_md5(self) -> None:
        async def main() -> None:
            silent = replace(SMALL_PARTS, digests=frozenset())
            bench = Bench(dialect=silent)
            bench.source.store(source("a"), b"small")
            bench.source.store(source("k"), BIG)
            md5s = spy_on_md5(bench.target)
            await bench.copy("a")
            await bench.copy("k", size=len(BIG))
            assert bench.target.content(target("k")) == BIG
            assert md5s[0] is None
            assert all(md5 is not None for md5 in md5s[1:])

        run(main())

    def test_a_damaged_write_is_noticed_and_sent_again(self) -> None:
        async def main() -> None:
            bench = Bench()
            bench.source.store(source("k"), b"precious")
            damage_first_write(bench.target)
            result = await bench.copy()
            assert result.outcome is Outcome.COPIED
            assert bench.target.content(target("k")) == b"precious"

        run(main())

    def test_a_damaged_read_never_becomes_a_finished_write(self) -> None:
        async def main() -> None:
            bench = Bench()
            bench.source.store(source("k"), b"precious")
            stored = bench.source._versions(source("k"))
            stored[-1] = replace(stored[-1], data=b"spoilt!!")
            with pytest.raises(IntegrityError, match="source's crc32c"):
                await bench.copy()
            assert bench.target.content(target("k")) is None

        run(main())

    def test_parts_that_do_not_make_up_the_sources_object_are_never_completed(self) -> None:
        async def main() -> None:
            bench = Bench()
            bench.source.store(source("k"), BIG)
            stored = bench.source._versions(source("k"))
            stored[-1] = replace(stored[-1], data=BIG[:5_000] + b"?" + BIG[5_001:])
            with pytest.raises(IntegrityError, match="do not make up the source's object"):
                await bench.copy(size=len(BIG))
            assert "complete" not in bench.went(bench.target)
            assert bench.target.content(target("k")) is None

        run(main())

    def test_a_whole_object_that_differs_after_complete_is_made_anew(self) -> None:
        async def main() -> None:
            bench = Bench(ledger=MemoryLedger())
            bench.source.store(source("k"), BIG)
            once = iter([True])

            async def spoil(operation: str, _ref: ObjectRef) -> None:
                if operation == "complete-done" and next(once, False):
                    bench.target.store(target("k"), BIG[:-1] + b"?")

            bench.target.interfere = spoil
            result = await bench.copy(size=len(BIG))
            assert result.outcome is Outcome.COPIED
            assert bench.target.content(target("k")) == BIG

        run(main())

    @pytest.mark.parametrize("twice", [False, True])
    def test_reading_back_finds_what_was_spoilt_after_the_write(self, twice: bool) -> None:
        async def main() -> None:
            bench = Bench(verify_twice=twice)
            bench.source.store(source("k"), b"precious")
            once = iter([True])

            async def spoil(operation: str, _ref: ObjectRef) -> None:
                if operation == "put-done" and next(once, False):
                    bench.target.store(target("k"), b"spoilt!!")

            bench.target.interfere = spoil
            assert (await bench.copy()).outcome is Outcome.COPIED
            expected = b"precious" if twice else b"spoilt!!"
            assert bench.target.content(target("k")) == expected

        run(main())


def spy_on_md5(store: MemoryStore) -> list[bytes | None]:
    seen: list[bytes | None] = []
    put, put_part = store.put, store.put_part

    async def spying_put(*args: Any, **how: Any) -> Any:
        seen.append(how.get("content_md5"))
        return await put(*args, **how)

    async def spying_part(upload: Any, number: int, *args: Any, **how: Any) -> Any:
        if number != store.dialect.max_parts:
            seen.append(how.get("content_md5"))
        return await put_part(upload, number, *args, **how)

    store.put, store.put_part = spying_put, spying_part  # type: ignore[method-assign]
    return seen


def damage_first_write(store: MemoryStore) -> None:
    inner, once = store.put, iter([True])

    async def damaging(ref: ObjectRef, body: Any, headers: ObjectHeaders, **how: Any) -> Any:
        from sync.checksums import BytesStream

        if not next(once, False):
            return await inner(ref, body, headers, **how)
        data = b"".join([bytes(chunk) async for chunk in body])
        return await inner(ref, BytesStream(b"X" + data[1:]), headers, **how)

    store.put = damaging  # type: ignore[method-assign]


class TestFailures:
    def test_a_passing_fault_costs_a_retry(self) -> None:
        async def main() -> None:
            bench = Bench()
            bench.source.store(source("k"), b"x")
            faults = iter([TransientStoreError("reset"), TransientStoreError("reset")])

            async def fail(operation: str, _ref: ObjectRef) -> None:
                if operation == "put" and (fault := next(faults, None)):
                    raise fault

            bench.target.interfere = fail
            assert (await bench.copy()).outcome is Outcome.COPIED
            assert len(bench.observer.named("retry")) == 2

        run(main())

    def test_a_lasting_fault_is_raised_after_maxretry(self) -> None:
        async def main() -> None:
            bench = Bench(max_retry=2)
            bench.source.store(source("k"), b"x")

            async def fail(operation: str, _ref: ObjectRef) -> None:
                if operation == "put":
                    raise TransientStoreError("reset")

            bench.target.interfere = fail
            with pytest.raises(TransientStoreError):
                await bench.copy()
            assert bench.went(bench.target) == ["put"] * 3

        run(main())

    def test_a_write_without_a_reply_is_looked_at_once_more_and_mended(self) -> None:
        async def main() -> None:
            bench = Bench()
            bench.source.store(source("k"), b"new")
            lose_the_first(bench, "put-sent", lambda: wrong_in_ten_seconds(bench))
            result = await bench.copy()
            assert result.outcome is Outcome.COPIED
            assert bench.target.content(target("k")) == b"new"
            assert result.rounds == 2

        run(main())

    def test_so_it_is_where_the_job_ends_without_a_copy(self) -> None:
        """A false 404 behind the write makes it a delete, of an object that exists after all."""

        async def main() -> None:
            bench = Bench(sync_deletes=True)
            bench.source.store(source("k"), b"new")
            late = lose_the_first(bench, "put-sent", lambda: wrong_in_ten_seconds(bench))
            hidden = iter([True])

            async def hide(operation: str, _ref: ObjectRef) -> None:
                if operation == "head" and next(hidden, False):
                    raise NotFound("404, and a HEAD has no body", status=404)

            bench.source.interfere = hide
            await bench.copy()
            assert late[0].done()
            assert bench.target.content(target("k")) == b"new"

        run(main())

    def test_a_delete_without_a_reply_is_looked_at_once_more_and_mended(self) -> None:
        async def main() -> None:
            bench = Bench(sync_deletes=True)
            bench.target.store(target("k"), b"old")

            async def land_late() -> None:
                await asyncio.sleep(5)
                bench.source.store(source("k"), b"new")
                bench.target.store(target("k"), b"new")  # by another worker
                await asyncio.sleep(5)
                bench.target.remove(target("k"))

            late = lose_the_first(bench, "delete", land_late)
            result = await bench.copy(kind=JobKind.DELETE)
            assert late[0].done()
            assert bench.target.content(target("k")) == b"new"
            assert result.outcome is Outcome.COPIED

        run(main())

    def test_complete_whose_reply_was_lost_is_recognised_as_done(self) -> None:
        async def main() -> None:
            bench = Bench()
            bench.source.store(source("k"), BIG)
            once = iter([True])

            async def lose(operation: str, _ref: ObjectRef) -> None:
                if operation == "complete-done" and next(once, False):
                    raise OutcomeUnknown("no reply")

            bench.target.interfere = lose
            result = await bench.copy(size=len(BIG))
            assert result.outcome is Outcome.COPIED
            assert bench.target.content(target("k")) == BIG
            assert bench.went(bench.target).count("create") == 1

        run(main())

    def test_an_upload_that_is_gone_is_not_taken_for_done_by_an_older_copys_bytes(self) -> None:
        """The same bytes were there before, with other metadata."""

        async def main() -> None:
            bench = Bench()
            bench.source.store(source("k"), BIG, ObjectHeaders(metadata=(("mark", "1"),)))
            await bench.copy(size=len(BIG))
            bench.source.store(source("k"), BIG, ObjectHeaders(metadata=(("mark", "2"),)))
            once = iter([True])

            async def take_away(operation: str, _ref: ObjectRef) -> None:
                if operation == "complete" and next(once, False):
                    bench.target.open_uploads.clear()

            bench.target.interfere = take_away
            result = await bench.copy(size=len(BIG))
            assert result.outcome is Outcome.COPIED
            found = await bench.target.head(target("k"))
            assert found.headers.metadata == (("mark", "2"),)

        run(main())

    def test_no_progress_ends_the_job_and_leaves_the_parts(self) -> None:
        async def main() -> None:
            bench = Bench(job_timeout=100.0, parts_per_object=1)
            bench.source.store(source("k"), BIG)

            async def stall(operation: str, _ref: ObjectRef) -> None:
                if operation == "part" and bench.went(bench.target).count("part") > 4:
                    await asyncio.sleep(1_000)

            bench.target.interfere = stall
            with pytest.raises(JobTimedOut):
                await bench.copy(size=len(BIG))
            assert len(bench.target.open_uploads) == 1

        run(main())

    def test_progress_puts_the_time_out_off(self) -> None:
        async def main() -> None:
            bench = Bench(job_timeout=100.0, parts_per_object=1)
            bench.source.store(source("k"), BIG)

            async def slow(operation: str, _ref: ObjectRef) -> None:
                if operation == "part":
                    await asyncio.sleep(60)

            bench.target.interfere = slow
            assert (await bench.copy(size=len(BIG))).outcome is Outcome.COPIED

        run(main())

    def test_a_key_the_destination_cannot_hold_is_refused_before_any_request(self) -> None:
        async def main() -> None:
            picky = replace(SMALL_PARTS, key_fault=lambda k: "no dots" if k == "." else None)
            bench = Bench(dialect=picky)
            bench.source.store(source("."), b"x")
            with pytest.raises(KeyNotAllowed, match="no dots"):
                await bench.copy(".")
            assert not bench.source.requests

        run(main())

    def test_an_object_the_destination_cannot_hold_is_refused(self) -> None:
        async def main() -> None:
            bench = Bench(dialect=replace(SMALL_PARTS, max_object=5_000))
            bench.source.store(source("k"), BIG)
            with pytest.raises(ObjectTooLarge):
                await bench.copy(size=len(BIG))

        run(main())


class TestHeaders:
    kept = ObjectHeaders(
        (("content-type", "image/png"), ("cache-control", "no-store")),
        (("owner", "me"),),
        "STANDARD_IA",
    )

    def written(self, **changes: Any) -> ObjectHeaders:
        async def main() -> ObjectHeaders:
            bench = Bench(versioned=True, **changes)
            bench.source.store(source("k"), b"x", self.kept)
            await bench.copy()
            return bench.target._find(target("k")).meta.headers

        return virtual.run(main())

    def test_are_kept_with_the_configured_class(self) -> None:
        found = self.written(storage_class=lambda _source: "NEARLINE")
        assert found == self.kept._replace(storage_class="NEARLINE")

    def test_can_be_left_out(self) -> None:
        assert self.written(preserve_metadata=False) == ObjectHeaders(storage_class="STANDARD")

    def test_storage_class_is_mapped_on_request(self) -> None:
        found = self.written(storage_class={"STANDARD_IA": "NEARLINE"}.__getitem__)
        assert found.storage_class == "NEARLINE"

    def test_tags_are_kept_on_request(self) -> None:
        tagged = self.kept._replace(tagging="team=a%20b")

        async def main(wanted: bool) -> str:
            bench = Bench(copy_tags=wanted)
            bench.source.store(source("k"), b"x", tagged)
            await bench.copy()
            return bench.target._find(target("k")).meta.headers.tagging

        assert virtual.run(main(wanted=True)) == "team=a%20b"
        assert virtual.run(main(wanted=False)) == ""

    def test_provenance_names_the_source_version(self) -> None:
        names = dict(self.written(provenance=True).metadata)
        assert names["3gsync-source-version-id"] == "v1"
        assert len(names["3gsync-source-etag"]) == 32


def test_the_mark_names_version_and_part_size() -> None:
    from sync.model import Identity

    one = Identity("etag", 10 * MIB, "v1")
    marks = {
        resume.mark(one, 5 * MIB),
        resume.mark(one._replace(version_id="v2"), 5 * MIB),
        resume.mark(one._replace(etag="other"), 5 * MIB),
        resume.mark(one, 6 * MIB),
    }
    assert len(marks) == 4
