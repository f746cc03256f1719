"""Parts of the check: ranges read in turn, the spool, samples, the ledger's word."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import virtual
from support.virtual import VirtualClock
from sync.adapters.memory import MemoryObserver, MemoryStore
from sync.checksums import Digester
from sync.engine.budget import Budget
from sync.engine.comparing.compare import Difference, Finding
from sync.engine.comparing.evidence import Copied
from sync.engine.comparing.known_copies import KnownCopies
from sync.engine.comparing.sampling import sample
from sync.engine.comparing.spool import Spool
from sync.engine.comparing.together import both, together
from sync.engine.comparing.whole_read import WholeRead, WholeReader
from sync.engine.retry import Retry
from sync.errors import (
    NotFound,
    PreconditionFailed,
    SourceChanged,
    SyncError,
    TransientStoreError,
)
from sync.model import Digest, Identity, ListedObject, ObjectRef

REF = ObjectRef("b", "large")
ALL = frozenset({Digest.CRC64NVME})


def reader(store: MemoryStore, range_size: int, *, slots: int = 3) -> WholeReader:
    retry = Retry(retries=2, clock=VirtualClock(), observer=MemoryObserver())
    return WholeReader(store, slots=Budget(slots), retry=retry, range_size=range_size)


async def read_pinned(store: MemoryStore, range_size: int) -> WholeRead:
    return await reader(store, range_size).pinned(REF, await store.head(REF), ALL)


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=400), range_size=st.integers(1, 90))
def test_an_object_read_in_ranges_has_the_checksums_of_its_bytes(
    content: bytes, range_size: int
) -> None:
    store = MemoryStore("b")
    store.store(REF, content)
    whole = Digester(ALL)
    whole.update(content)
    read = virtual.run(read_pinned(store, range_size))
    assert read.sums[:2] == whole.checksums()[:2]
    gets = [name for name, _ in store.requests if name == "get"]
    assert len(gets) == max(1, -(-len(content) // range_size))


@pytest.mark.parametrize(
    ("range_size", "error"), [(100, PreconditionFailed), (10_000, SourceChanged)]
)
def test_an_object_that_is_replaced_while_it_is_read_is_not_mixed(
    range_size: int, error: type[Exception]
) -> None:
    store = MemoryStore("b")
    store.store(REF, b"a" * 1000)

    async def replace(operation: str, ref: ObjectRef) -> None:
        if operation == "get" and len(store.requests) == (5 if range_size == 100 else 2):
            store.store(REF, b"b" * 1000)

    store.interfere = replace
    with pytest.raises(error):
        virtual.run(read_pinned(store, range_size))


def test_a_store_that_ignores_the_pin_is_found_out() -> None:
    """Same length, another version: only the identity in the reply tells."""

    class Deaf(MemoryStore):
        def open(self, ref: ObjectRef, **how: object) -> object:  # type: ignore[override]
            how.pop("if_match", None)
            return super().open(ref, **how)  # type: ignore[arg-type]

    store = Deaf("b")
    store.store(REF, b"a" * 1000)

    async def replace(operation: str, ref: ObjectRef) -> None:
        if operation == "get" and len(store.requests) == 5:
            store.store(REF, b"b" * 1000)

    store.interfere = replace
    with pytest.raises(SourceChanged):
        virtual.run(read_pinned(store, 100))


def test_a_range_that_fails_is_read_again_alone() -> None:
    store = MemoryStore("b")
    store.store(REF, bytes(range(250)) * 4)
    failures = iter([TransientStoreError("reset")])

    async def fail(operation: str, ref: ObjectRef) -> None:
        if operation == "get" and len(store.requests) > 4:
            for error in failures:
                raise error

    store.interfere = fail
    read = virtual.run(read_pinned(store, 100))
    whole = Digester()
    whole.update(bytes(range(250)) * 4)
    assert read.sums.crc32c == whole.checksums().crc32c
    assert len([name for name, _ in store.requests if name == "get"]) == 11


def test_ranges_stay_within_the_budget_of_transfers() -> None:
    store = MemoryStore("b")
    store.store(REF, b"x" * 5000)
    busiest = running = 0

    async def count(operation: str, ref: ObjectRef) -> None:
        nonlocal busiest, running
        running += operation == "get"
        busiest = max(busiest, running)
        await asyncio.sleep(1)
        running -= operation == "get"

    store.interfere = count

    async def main() -> None:
        one = reader(store, 100, slots=2)
        meta = await store.head(REF)
        await asyncio.gather(*(one.pinned(REF, meta) for _ in range(3)))

    virtual.run(main())
    assert busiest == 2


# --- works at once -------------------------------------------------------------------------


def test_the_first_failure_ends_the_others_and_is_raised_as_it_is() -> None:
    ended = []

    async def waits() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    async def fails() -> None:
        await asyncio.sleep(1)
        raise NotFound("gone", status=404)

    for start in (together, both):
        with pytest.raises(NotFound):
            virtual.run(start(waits(), fails()))
    assert ended == [True, True]


# --- the spool -----------------------------------------------------------------------------

KEYS = st.text(st.characters(), min_size=1, max_size=8)
ENTRIES = st.builds(
    ListedObject,
    key=KEYS,
    size=st.integers(0, 2**50),
    etag=st.text(max_size=5),
    last_modified=st.floats(0, 2e9),
    storage_class=st.just("STANDARD"),
    version_id=st.none() | st.text(max_size=4),
    checksums=st.none(),
)
FINDINGS = st.builds(
    Finding,
    kind=st.sampled_from(Difference),
    key=KEYS,
    source=st.none() | ENTRIES,
    destination=st.none() | ENTRIES,
    detail=st.text(max_size=5),
)


@settings(max_examples=100, deadline=None)
@given(
    findings=st.lists(FINDINGS, max_size=15),
    in_memory=st.integers(1, 7),
    takes=st.lists(st.integers(0, 6), max_size=20),
)
def test_the_spool_gives_back_what_was_put_in_order(
    findings: list[Finding], in_memory: int, takes: list[int]
) -> None:
    async def main() -> list[Finding]:
        found = []
        with Spool(in_memory=in_memory) as spool:
            waiting = iter(findings)
            for count in takes:
                for finding in (f for _, f in zip(range(count), waiting, strict=False)):
                    spool.put(finding, 1.5)
                if spool.waiting:
                    one = await spool.get()
                    assert one is not None
                    found.append(one.finding)
                held = len(spool._head) + len(spool._tail)
                assert held <= 2 * in_memory
            for finding in waiting:
                spool.put(finding, 1.5)
            spool.close()
            while (rest := await spool.get()) is not None:
                assert rest.found_at == 1.5
                found.append(rest.finding)
        return found

    taken = asyncio.run(main())
    assert len(taken) >= len(findings) - sum(takes)
    assert taken == findings[: len(taken)]


def test_the_spools_file_is_gone_at_its_end(tmp_path: Path) -> None:
    finding = Finding(Difference.MISSING, "k")
    with Spool(in_memory=2, folder=tmp_path) as spool:
        for _ in range(9):
            spool.put(finding, 0.0)
        assert spool._file is not None
    assert list(tmp_path.iterdir()) == []
    assert spool._file.closed


def test_who_waits_at_the_spool_is_woken() -> None:
    async def main() -> list[object]:
        with Spool() as spool:
            waiters = [asyncio.create_task(spool.get()) for _ in range(3)]
            await asyncio.sleep(1)
            spool.put(Finding(Difference.MISSING, "k"), 0.0)
            await asyncio.sleep(1)
            spool.close()
            return [await waiter for waiter in waiters]

    found = virtual.run(main())
    assert sum(one is not None for one in found) == 1


# --- samples -------------------------------------------------------------------------------


@given(keys=st.sets(KEYS, max_size=50), shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_larger_sample_holds_the_smaller(keys: set[str], shares: tuple[float, float]) -> None:
    small, large = (sample(share, "seed") for share in sorted(shares))
    assert {key for key in keys if small(key)} <= {key for key in keys if large(key)}
    assert all(sample(1.0)(key) for key in keys)


def test_a_sample_has_about_its_size_and_is_the_same_everywhere() -> None:
    chosen = sample(0.01)
    found = [key for key in map(str, range(100_000)) if chosen(key)]
    assert 900 < len(found) < 1100
    assert found[:4] == ["15", "19", "66", "134"]  # on every machine and in every version


# --- the ledger's word ---------------------------------------------------------------------


class Ledger:
    def __init__(self, error: SyncError | None = None) -> None:
        self.asked: list[int] = []
        self.error = error

    async def copies(self, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, Copied]:
        self.asked.append(len(refs))
        await asyncio.sleep(0.5)
        if self.error:
            raise self.error
        return {ref: Copied(Identity("e", 1), ref) for ref in refs if ref.key != "unknown"}


def test_many_questions_are_asked_together() -> None:
    ledger = Ledger()

    async def main() -> list[Copied | None]:
        known = KnownCopies(ledger.copies, clock=VirtualClock(), failed=lambda _e: None)
        keys = [*map(str, range(250)), "unknown", "7"]
        return await asyncio.gather(*(known.get(ObjectRef("b", key)) for key in keys))

    found = virtual.run(main())
    assert ledger.asked == [100, 100, 52]
    assert found[-2] is None
    assert found[-1] == Copied(Identity("e", 1), ObjectRef("b", "7"))


def test_a_ledger_that_fails_is_not_asked_again() -> None:
    ledger, said = Ledger(TransientStoreError("down")), list[SyncError]()

    async def main() -> list[Copied | None]:
        known = KnownCopies(ledger.copies, clock=VirtualClock(), failed=said.append)
        first = await asyncio.gather(*(known.get(ObjectRef("b", str(n))) for n in range(150)))
        return [*first, await known.get(ObjectRef("b", "later"))]

    assert set(virtual.run(main())) == {None}
    assert (len(ledger.asked), len(said)) == (2, 1)
