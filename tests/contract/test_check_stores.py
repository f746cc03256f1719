"""What the check asks of stores and of the ledger, over sockets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from support.ledger_table import dynamo_ledger, make_table
from support.moto_aws import MotoAws, moto_aws
from support.stores import Subject
from sync.adapters.clock import SystemClock
from sync.adapters.memory import MemoryObserver
from sync.checksums import BytesStream, Digester
from sync.engine.budget import Budget
from sync.engine.comparing.whole_read import WholeReader
from sync.engine.retry import Retry
from sync.errors import NotFound, PreconditionFailed, SourceChanged
from sync.model import (
    Identity,
    JobKind,
    ObjectHeaders,
    ObjectRef,
    Outcome,
    TransferJob,
    TransferResult,
)


def reader(store: Any) -> WholeReader:
    retry = Retry(retries=1, clock=SystemClock(), observer=MemoryObserver())
    return WholeReader(store, slots=Budget(4), retry=retry, range_size=70_000)


def test_a_description_holds_the_md5_of_what_was_written_at_once(subject: Subject) -> None:
    ref = ObjectRef(subject.bucket, "described/once")

    async def test(store: Any) -> None:
        await store.put(ref, BytesStream(b"content"), ObjectHeaders())
        described = await store.described(ref)
        assert described.checksums.md5 == hashlib.md5(b"content").digest()
        assert described.identity == (await store.head(ref)).identity
        with pytest.raises(NotFound):
            await store.described(ObjectRef(subject.bucket, "described/none"))

    subject.run(test)


def test_objects_are_read_in_ranges_and_pinned(subject: Subject) -> None:
    ref = ObjectRef(subject.bucket, "read/whole")
    content = bytes(range(256)) * 1200  # five ranges
    expected = Digester()
    expected.update(content)

    async def test(store: Any) -> None:
        await store.put(ref, BytesStream(content), ObjectHeaders())
        meta = await store.described(ref)
        read = await reader(store).pinned(ref, meta)
        assert read.sums.crc32c == expected.checksums().crc32c
        assert (await reader(store).whole(ref)).sums.crc32c == read.sums.crc32c
        if subject.dialect.write_interval:
            await asyncio.sleep(subject.dialect.write_interval)
        await store.put(ref, BytesStream(content[::-1]), ObjectHeaders())
        with pytest.raises((PreconditionFailed, SourceChanged)):
            await reader(store).pinned(ref, meta)

    subject.run(test)


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoAws]:
    with moto_aws() as server:
        yield server


def result(key: str, outcome: Outcome = Outcome.COPIED, **fields: Any) -> TransferResult:
    job = TransferJob(JobKind.COPY, ObjectRef("src", key), ObjectRef("des", f"to/{key}"))
    identity = Identity("etag", 5, "v1")
    return TransferResult(outcome, job, identity, finished_at=1.7e9, **fields)


def test_the_ledger_tells_of_copies_that_are_done(aws: MotoAws) -> None:
    table = make_table(aws)
    keys = [f"k{number}" for number in range(120)]

    async def whole() -> None:
        async with asyncio.timeout(60), dynamo_ledger(aws, table) as ledger:
            rows = [result(key, crc32c=number) for number, key in enumerate(keys)]
            rows.append(result("without"))
            rows.append(result("gone", Outcome.GONE, crc32c=1))
            await asyncio.gather(*(ledger.finished(row) for row in rows))
            asked = [ObjectRef("src", key) for key in [*keys, "without", "gone", "unknown"]]
            found = await ledger.copies(asked)
            assert found.keys() == {ObjectRef("src", key) for key in [*keys, "without"]}
            copied = Identity("etag", 5, "v1")
            assert found[asked[7]] == (copied, ObjectRef("des", "to/k7"), 7)
            assert found[ObjectRef("src", "without")][2] is None

    asyncio.run(whole())
