"""What is done otherwise than by relaying whatever comes: copies by the store, checks, verifying
first, and windows of time. On fakes.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from support import virtual
from support.memory_sides import Described, sides, with_etag
from support.simulation import SOURCE, TARGET, source, target
from support.virtual import VirtualClock
from sync.adapters.memory import MEMORY_DIALECT, MemoryLedger, MemoryObserver
from sync.engine.budget import Budget
from sync.engine.copier import Copier
from sync.engine.equality import Different
from sync.engine.options import CopyOptions, Mode
from sync.engine.transfer import Context, JobState
from sync.errors import (
    AccessDenied,
    IntegrityError,
    NoSuchBucket,
    OutcomeUnknown,
    SourceChanged,
    SyncError,
    TransientStoreError,
    Verdict,
)
from sync.model import Dialect, JobKind, ObjectHeaders, ObjectRef, Outcome, TransferJob
from sync.model import TransferResult as Result

TEXT = ObjectHeaders((("content-type", "text/plain"),), (("colour", "blue"),))
TAGGED = TEXT._replace(tagging="a=1&b=2")
BIG = bytes(range(256)) * 40  # 10,240 bytes
DIALECT = replace(MEMORY_DIALECT, min_part=1, max_copy=4_000)


class Bench:
    """A copier between two stores."""

    def __init__(
        self,
        mode: Mode = Mode.DOWNUP,
        *,
        dialect: Dialect = DIALECT,
        versioned: bool = False,
        **changes: Any,
    ) -> None:
        clock = VirtualClock()
        self.source = Described(SOURCE, versioned=versioned, clock=clock.time)
        self.target = Described(TARGET, dialect=dialect, clock=clock.time)
        self.observer = MemoryObserver()
        both, self.copies = sides(self.source, self.target)
        base = CopyOptions(threshold=2_000, chunk=1_000, mode=mode, max_retry=2)
        self.context = Context(
            source=self.source,
            destination=self.target,
            ledger=changes.pop("ledger", None),
            options=replace(base, **changes),
            observer=self.observer,
            clock=clock,
            slots=Budget(8),
            sides=both,
        )
        self.state = JobState()

    def put(self, data: bytes, headers: ObjectHeaders = TEXT, *, copied: bool = False) -> None:
        self.source.store(source("k"), data, headers)
        if copied:
            self.target.store(target("k"), data, headers)

    async def do(self, **fields: Any) -> Result:
        job = TransferJob(fields.pop("kind", JobKind.COPY), source("k"), target("k"), **fields)
        return await Copier(self.context).run(job, self.state)

    def wrote(self) -> list[str]:
        reads = {"head", "get", "tagging", "uploads", "parts"}
        return [name for name, _ in self.target.requests if name not in reads]


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return virtual.run(main)


# --- TransferMode = copy ------------------------------------------------------------------


def test_the_store_copies_and_no_byte_passes_through_here() -> None:
    async def main() -> None:
        bench = Bench(Mode.COPY, copy_tags=True)
        bench.put(b"hello", TAGGED)
        result = await bench.do()
        assert (result.outcome, result.bytes_moved) == (Outcome.COPIED, 5)
        assert bench.target.content(target("k")) == b"hello"
        held = bench.target._find(target("k")).meta.headers
        assert (held.content, held.metadata, held.tagging) == (
            TEXT.content,
            TEXT.metadata,
            "a=1&b=2",
        )
        assert bench.wrote() == ["copy"]
        assert "get" not in [name for name, _ in bench.source.requests]

    run(main())


@pytest.mark.parametrize("by_version", [False, True])
def test_a_copy_is_pinned(by_version: bool) -> None:
    async def main() -> None:
        bench = Bench(Mode.COPY, versioned=True, read_by_version=by_version)
        bench.put(b"hello")
        identity = bench.source._find(source("k")).meta.identity
        result = await bench.do()
        version = identity.version_id if by_version else None
        assert bench.copies.asked == [(ObjectRef(SOURCE, "k", version), identity.etag, None)]
        assert result.identity == identity

    run(main())


def test_a_large_object_is_copied_in_parts_each_pinned() -> None:
    async def main() -> None:
        bench = Bench(Mode.COPY)
        bench.put(BIG)
        identity = bench.source._find(source("k")).meta.identity
        result = await bench.do()
        assert bench.target.content(target("k")) == BIG
        assert {etag for _, etag, _ in bench.copies.asked} == {identity.etag}
        cuts = sorted(cut for _, _, cut in bench.copies.asked if cut)
        assert cuts == [(0, 3999), (4000, 7999), (8000, 10239)]
        assert (result.parts_sent, result.bytes_moved) == (3, len(BIG))
        assert bench.target._find(target("k")).meta.headers.content == TEXT.content

    run(main())


def test_where_the_store_cannot_copy_parts_a_large_object_travels() -> None:
    async def main() -> None:
        bench = Bench(Mode.COPY, dialect=replace(DIALECT, copies_parts=False))
        bench.put(BIG)
        assert (await bench.do()).outcome is Outcome.COPIED
        assert bench.target.content(target("k")) == BIG
        assert bench.copies.asked == []

    run(main())


def test_an_overwrite_between_look_and_copy_is_noticed_and_copied() -> None:
    async def main() -> None:
        bench = Bench(Mode.COPY)
        bench.put(b"one")

        async def overwrite(operation: str, _ref: ObjectRef) -> None:
            if operation == "copy" and len(bench.wrote()) == 1:
                bench.put(b"two")

        bench.target.interfere = overwrite
        await bench.do()
        assert bench.target.content(target("k")) == b"two"
        assert bench.wrote() == ["copy", "copy"]

    run(main())


@pytest.mark.parametrize("when", ["copy-done", "part-done"])
def test_an_overwrite_after_the_copy_is_copied_too(when: str) -> None:
    async def main() -> None:
        bench, told = Bench(Mode.COPY), list[str]()
        bench.put(BIG if when == "part-done" else b"one")

        async def overwrite(operation: str, _ref: ObjectRef) -> None:
            if operation == when and not told:
                told.append(when)
                bench.put(BIG[::-1])

        bench.target.interfere = overwrite
        result = await bench.do()
        assert result.rounds == 2
        assert bench.target.content(target("k")) == BIG[::-1]
        assert not bench.target.open_uploads

    run(main())


def test_an_object_that_vanishes_before_its_copy_is_gone() -> None:
    async def main() -> None:
        bench = Bench(Mode.COPY)
        bench.put(b"one")

        async def remove(operation: str, _ref: ObjectRef) -> None:
            if operation == "copy":
                bench.source.remove(source("k"))

        bench.target.interfere = remove
        assert (await bench.do()).outcome is Outcome.GONE

    run(main())


@pytest.mark.parametrize("size", [5, len(BIG)])
def test_a_copy_that_shows_other_bytes_is_made_again_and_never_believed(size: int) -> None:
    async def main() -> None:
        bench = Bench(Mode.COPY)
        bench.put(BIG[:size])

        async def damage(operation: str, ref: ObjectRef) -> None:
            if operation in {"copy-done", "complete-done"}:
                bench.target.store(ref, b"x" * size)

        bench.target.interfere = damage
        with pytest.raises(IntegrityError):
            await bench.do()
        assert len([name for name in bench.wrote() if name in {"copy", "complete"}]) == 2

    run(main())


@pytest.mark.parametrize("size", [5, len(BIG)])
def test_a_bucket_that_is_not_there_is_no_object_that_is_gone(size: int) -> None:
    async def main() -> None:
        bench = Bench(Mode.COPY)
        bench.put(BIG[:size])

        async def refuse(operation: str, _ref: ObjectRef) -> None:
            if operation in {"copy", "copy-part"}:
                raise NoSuchBucket("no such bucket")

        bench.target.interfere = refuse
        with pytest.raises(NoSuchBucket):
            await bench.do()

    run(main())


def test_a_copy_without_an_answer_is_looked_at_once_more() -> None:
    async def main() -> None:
        bench, late = Bench(Mode.COPY), list[str]()
        bench.put(b"one")

        async def lose(operation: str, _ref: ObjectRef) -> None:
            if operation == "copy-done" and not late:
                late.append(operation)
                raise OutcomeUnknown("no reply")

        bench.target.interfere = lose
        before = bench.context.clock.monotonic()
        assert (await bench.do()).outcome is Outcome.COPIED
        assert bench.context.clock.monotonic() - before >= 30.0

    run(main())


def test_parts_of_a_copy_that_was_cut_short_stay_and_count() -> None:
    async def main() -> None:
        bench = Bench(Mode.COPY, parts_per_object=1)
        bench.put(BIG)

        async def fail(operation: str, _ref: ObjectRef) -> None:
            if operation == "copy-part" and bench.wrote().count("copy-part") > 2:
                raise AccessDenied("not now")

        bench.target.interfere = fail
        with pytest.raises(AccessDenied):
            await bench.do()
        (upload,) = bench.target.open_uploads.values()
        for number in (1, 2):  # the last one may have been under way unseen
            data, part = upload.parts[number]
            upload.parts[number] = (data, replace(part, last_modified=100.0 * number))
        bench.target.interfere, bench.state = _nothing, JobState()
        result = await bench.do()
        assert (result.parts_reused, result.parts_sent) == (1, 2)
        assert bench.target.content(target("k")) == BIG

    run(main())


async def _nothing(_operation: str, _ref: ObjectRef) -> None:
    return


def test_deletes_are_propagated_as_ever() -> None:
    async def main() -> None:
        bench = Bench(Mode.COPY, sync_deletes=True)
        bench.target.store(target("k"), b"old")
        assert (await bench.do(kind=JobKind.DELETE)).outcome is Outcome.DELETED

    run(main())


# --- TransferMode = check -----------------------------------------------------------------


@pytest.mark.parametrize("kind", list(JobKind))
def test_a_check_of_equal_objects_says_by_what_and_writes_nothing(kind: JobKind) -> None:
    async def main() -> None:
        bench = Bench(Mode.CHECK, ledger=MemoryLedger(), sync_deletes=True)
        bench.put(b"hello", copied=True)
        result = await bench.do(kind=kind)
        assert (result.outcome, result.reason) == (Outcome.SKIPPED, "equal: crc32c")
        assert bench.wrote() == []

    run(main())


def changed(**what: Any) -> ObjectHeaders:
    return TAGGED._replace(**what)


@pytest.mark.parametrize(
    ("data", "headers", "reason"),
    [
        (b"hell", TAGGED, "it has 4 bytes, the source 5"),
        (b"jello", TAGGED, "CRC32C"),
        (b"hello", changed(content=(("content-type", "a/b"),)), "content-type is 'a/b', not"),
        (b"hello", changed(content=()), "content-type is '', not 'text/plain'"),
        (b"hello", changed(metadata=()), "metadata differs: colour"),
        (
            b"hello",
            changed(metadata=(("colour", "red"), ("x", "y"))),
            "metadata differs: colour, x",
        ),
        (b"hello", changed(tagging="a=1"), "tags differ: b"),
        (b"hello", changed(tagging="b=2&a=1&c="), "tags differ: c"),
        (None, TAGGED, "missing at the destination"),
    ],
)
def test_a_check_of_unequal_objects_is_for_the_dead_letter_queue_with_the_reason(
    data: bytes | None, headers: ObjectHeaders, reason: str
) -> None:
    async def main() -> None:
        bench = Bench(Mode.CHECK, copy_tags=True)
        bench.put(b"hello", TAGGED)
        if data is not None:
            bench.target.store(target("k"), data, headers)
        with pytest.raises(Different) as caught:
            await bench.do()
        assert caught.value.verdict is Verdict.DEAD_LETTER
        assert reason in str(caught.value)
        assert "source-bucket/k differs" in str(caught.value)
        assert bench.wrote() == []

    run(main())


def test_a_check_names_all_differences_at_once() -> None:
    async def main() -> None:
        bench = Bench(Mode.CHECK, copy_tags=True)
        bench.put(b"hello", TAGGED)
        bench.target.store(target("k"), b"hell", ObjectHeaders())
        with pytest.raises(Different, match=r"bytes.*content-type.*metadata.*tags"):
            await bench.do()

    run(main())


@pytest.mark.parametrize(
    "headers",
    [
        changed(content=(*TEXT.content, ("cache-control", "private, max-age=0"))),
        changed(
            metadata=(*TEXT.metadata, ("3gsync-source-etag", "5d41402abc4b2a76b9719d911017c592"))
        ),
        changed(tagging="b=2&a=1"),
        changed(storage_class="NEARLINE"),
    ],
)
def test_what_a_store_adds_or_orders_by_itself_is_no_difference(headers: ObjectHeaders) -> None:
    async def main() -> None:
        bench = Bench(Mode.CHECK, copy_tags=True)
        bench.put(b"hello", TAGGED)
        bench.target.store(target("k"), b"hello", headers)
        assert (await bench.do()).outcome is Outcome.SKIPPED

    run(main())


def test_what_is_not_copied_is_not_compared() -> None:
    async def main() -> None:
        bench = Bench(Mode.CHECK, preserve_metadata=False)
        bench.put(b"hello", TAGGED)
        bench.target.store(target("k"), b"hello")
        assert (await bench.do()).outcome is Outcome.SKIPPED
        without = Bench(Mode.CHECK, dialect=replace(DIALECT, keeps_expires=False))
        without.put(b"hello", ObjectHeaders((("expires", "Thu, 01 Jan 2026 00:00:00 GMT"),)))
        without.target.store(target("k"), b"hello")
        assert (await without.do()).outcome is Outcome.SKIPPED

    run(main())


def test_etags_that_are_no_md5_differ_without_meaning_anything() -> None:
    async def main() -> None:
        bench = Bench(Mode.CHECK)
        bench.put(b"hello", copied=True)
        bench.source.mute = bench.target.mute = True
        with_etag(bench.target, target("k"), "0" * 32)
        result = await bench.do()
        assert result.outcome is Outcome.SKIPPED
        assert "by size" in result.reason

    run(main())


@pytest.mark.parametrize("error", [AccessDenied("403"), TransientStoreError("503")])
@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("operation", ["head", "tagging"])
def test_what_cannot_be_looked_at_is_neither_missing_nor_different(
    error: SyncError, side: str, operation: str
) -> None:
    async def main() -> None:
        for options in ({"mode": Mode.CHECK}, {"verify_first": True}):
            bench = Bench(copy_tags=True, **options)
            bench.put(b"hello", TAGGED, copied=True)

            async def refuse(asked: str, _ref: ObjectRef) -> None:
                if asked == operation:
                    raise error

            getattr(bench, side).interfere = refuse
            with pytest.raises(type(error)) as caught:
                await bench.do()
            assert caught.value.verdict is Verdict.REDELIVER
            assert bench.wrote() == []

    run(main())


@pytest.mark.parametrize("deletes", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_a_check_of_a_deleted_object(deletes: bool, there: bool) -> None:
    async def main() -> None:
        bench = Bench(Mode.CHECK, sync_deletes=deletes)
        if there:
            bench.target.store(target("k"), b"old")
        if deletes and there:
            with pytest.raises(Different, match="still has it"):
                await bench.do(kind=JobKind.DELETE)
        else:
            assert (await bench.do(kind=JobKind.DELETE)).outcome is Outcome.GONE
        assert bench.wrote() == []

    run(main())


def test_a_copy_that_vanishes_during_the_check_is_missing() -> None:
    async def main() -> None:
        bench = Bench(Mode.CHECK, copy_tags=True)
        bench.put(b"hello", copied=True)

        async def vanish(operation: str, _ref: ObjectRef) -> None:
            if operation == "tagging":
                bench.target.remove(target("k"))

        bench.target.interfere = vanish
        with pytest.raises(Different, match="missing"):
            await bench.do()

    run(main())


def test_an_object_that_changes_during_the_check_is_compared_anew() -> None:
    async def main() -> None:
        bench = Bench(Mode.CHECK)
        bench.put(b"one")

        async def copied_meanwhile(operation: str, _ref: ObjectRef) -> None:
            if operation == "head" and bench.target.content(target("k")) is None:
                bench.put(b"two", copied=True)

        bench.target.interfere = copied_meanwhile
        assert (await bench.do()).reason == "equal: crc32c"
        restless = Bench(Mode.CHECK)
        restless.put(b"0")

        async def changes(operation: str, _ref: ObjectRef) -> None:
            restless.put(str(len(restless.target.requests)).encode())

        restless.target.interfere = changes
        with pytest.raises(SourceChanged):
            await restless.do()

    run(main())


# --- VerifyBeforeCopy ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.DOWNUP, Mode.COPY])
def test_what_is_equal_already_is_left_alone(mode: Mode) -> None:
    async def main() -> None:
        bench = Bench(mode, verify_first=True, copy_tags=True)
        bench.put(b"hello", TAGGED, copied=True)
        result = await bench.do()
        assert result.outcome is Outcome.SKIPPED
        assert "equal already (crc32c)" in result.reason
        assert bench.wrote() == []

    run(main())


@pytest.mark.parametrize(
    ("data", "headers"),
    [(b"jello", TAGGED), (b"hello", changed(metadata=())), (None, TAGGED)],
)
@pytest.mark.parametrize("mode", [Mode.DOWNUP, Mode.COPY])
def test_what_is_not_equal_is_copied_whole(
    mode: Mode, data: bytes | None, headers: ObjectHeaders
) -> None:
    async def main() -> None:
        bench = Bench(mode, verify_first=True, copy_tags=True)
        bench.put(b"hello", TAGGED)
        if data is not None:
            bench.target.store(target("k"), data, headers)
        assert (await bench.do()).outcome is Outcome.COPIED
        assert bench.wrote() == ["put" if mode is Mode.DOWNUP else "copy"]
        held = bench.target._find(target("k"))
        assert (held.data, held.meta.headers.metadata) == (b"hello", TEXT.metadata)

    run(main())


def test_what_cannot_be_proven_equal_is_copied() -> None:
    async def main() -> None:
        bench = Bench(verify_first=True)
        bench.put(b"hello", copied=True)
        bench.source.mute = True
        with_etag(bench.source, source("k"), "abc-2")
        assert (await bench.do()).outcome is Outcome.COPIED

    run(main())


def test_the_copy_s_own_word_proves_it() -> None:
    async def main() -> None:
        bench = Bench(verify_first=True)
        bench.put(b"hello")
        with_etag(bench.source, source("k"), "abc-2")
        bench.source.mute = True
        own = TEXT._replace(metadata=(*TEXT.metadata, ("3gsync-source-etag", "abc-2")))
        bench.target.store(target("k"), b"hello", own)
        result = await bench.do()
        assert (result.outcome, bench.wrote()) == (Outcome.SKIPPED, [])
        assert "provenance" in result.reason

    run(main())


@pytest.mark.parametrize("tagging", ["a=1&b=2", ""])
def test_where_only_the_tags_differ_they_alone_are_set(tagging: str) -> None:
    async def main() -> None:
        bench = Bench(verify_first=True, copy_tags=True)
        bench.put(b"hello", TEXT._replace(tagging=tagging))
        bench.target.store(target("k"), b"hello", TEXT._replace(tagging="a=1&b=3"))
        result = await bench.do()
        assert (result.outcome, result.bytes_moved) == (Outcome.COPIED, 0)
        assert "only the tags" in result.reason
        assert bench.wrote() == ["tag"]
        assert bench.target._find(target("k")).meta.headers.tagging == tagging

    run(main())


def test_tags_do_not_matter_where_they_are_not_copied() -> None:
    async def main() -> None:
        bench = Bench(verify_first=True)
        bench.put(b"hello", TAGGED)
        bench.target.store(target("k"), b"hello", TEXT)
        assert (await bench.do()).outcome is Outcome.SKIPPED

    run(main())


def test_nothing_is_verified_of_an_object_that_is_gone() -> None:
    async def main() -> None:
        bench = Bench(verify_first=True, sync_deletes=True)
        bench.target.store(target("k"), b"old")
        assert (await bench.do()).outcome is Outcome.DELETED

    run(main())


# --- ModifiedSince, NotModifiedSince ------------------------------------------------------

NOW = 1_700_001_000.0  # what the virtual clocks begin with


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("size", [5, len(BIG)])
@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        ((NOW, None), True),
        ((NOW + 1, None), False),
        ((None, NOW), False),
        ((None, NOW + 1), True),
        ((NOW - 1, NOW + 1), True),
        ((NOW - 2, NOW - 1), False),
        ((NOW + 1, NOW + 2), False),
    ],
)
def test_only_objects_of_the_time_asked_for_are_touched(
    mode: Mode, verify: bool, size: int, window: tuple[float | None, float | None], wanted: bool
) -> None:
    async def main() -> None:
        since, until = window
        bench = Bench(mode, verify_first=verify, modified_since=since, not_modified_since=until)
        bench.put(BIG[:size])
        if wanted and mode is Mode.CHECK:
            with pytest.raises(Different):
                await bench.do()
            return
        result = await bench.do(size=5)
        assert result.outcome is (Outcome.COPIED if wanted else Outcome.SKIPPED)
        assert ("last modified" in result.reason) is not wanted
        assert bool(bench.wrote()) is wanted

    run(main())


def test_the_time_counts_that_the_read_itself_tells() -> None:
    async def main() -> None:
        bench = Bench(not_modified_since=NOW + 10)
        bench.put(b"old")

        async def rewritten(operation: str, _ref: ObjectRef) -> None:
            if operation == "get":
                await bench.context.clock.sleep(60)
                bench.put(b"new")

        bench.source.interfere = rewritten
        assert (await bench.do()).outcome is Outcome.SKIPPED
        assert bench.wrote() == []

    run(main())


def test_the_time_counts_that_the_last_look_tells() -> None:
    async def main() -> None:
        bench, heads = Bench(not_modified_since=NOW + 10), list[str]()
        bench.put(BIG)

        async def changing(operation: str, _ref: ObjectRef) -> None:
            heads.append(operation)
            if heads == ["head"]:
                bench.source.remove(source("k"))
            elif operation == "get":
                bench.put(BIG)
            elif operation == "head":
                await bench.context.clock.sleep(60)
                bench.put(BIG[::-1])

        bench.source.interfere = changing
        assert (await bench.do()).outcome is Outcome.SKIPPED
        assert heads == ["head", "get", "head"]
        assert bench.wrote() == []

    run(main())


def test_an_object_without_a_time_is_never_left_out() -> None:
    async def main() -> None:
        bench = Bench(modified_since=NOW + 1)
        bench.put(b"hello")
        stored = bench.source._find(source("k"))
        object.__setattr__(stored, "meta", stored.meta._replace(last_modified=0.0))
        assert (await bench.do()).outcome is Outcome.COPIED

    run(main())


def test_the_version_a_message_names_does_not_decide_for_the_current_one() -> None:
    async def main() -> None:
        bench = Bench(versioned=True, read_by_version=True, modified_since=NOW + 30)
        bench.put(b"old")
        old = bench.source._find(source("k")).meta.identity
        await bench.context.clock.sleep(60)
        bench.put(b"new")
        job = TransferJob(JobKind.COPY, ObjectRef(SOURCE, "k", old.version_id), target("k"), size=3)
        result = await Copier(bench.context).run(job, bench.state)
        assert result.outcome is Outcome.COPIED
        assert bench.target.content(target("k")) == b"new"

    run(main())
