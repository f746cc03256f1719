"""What every JobLedger promises. A ledger joins by one entry in LEDGERS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from support.ledger_table import dynamo_ledger, make_table
from support.moto_aws import MotoAws, moto_aws
from sync.adapters.memory import MemoryLedger
from sync.model import Identity, JobKind, ObjectRef, Outcome, TransferJob, TransferResult
from sync.ports import JobLedger, UploadRecord

Opener = Callable[[], AbstractAsyncContextManager[JobLedger]]
HOSTILE = ["a//b", "/a", "./a", "a/../b", "a+b%2B c", "中文/\U0001f600", "k" * 1024, "dir/"]
IDENTITY = Identity("0a1b-7", 73, "v1")
RECORD = UploadRecord("upload-1", IDENTITY, 10, {1: 0, 3: 0xFFFFFFFF})


def memory_ledgers(_: MotoAws) -> Opener:
    @asynccontextmanager
    async def opened() -> AsyncIterator[JobLedger]:
        yield MemoryLedger()

    return opened


def dynamo_ledgers(aws: MotoAws) -> Opener:
    @asynccontextmanager
    async def opened() -> AsyncIterator[JobLedger]:
        async with dynamo_ledger(aws, make_table(aws)) as ledger:
            yield ledger

    return opened


LEDGERS: dict[str, Callable[[MotoAws], Opener]] = {
    "memory": memory_ledgers,
    "dynamodb": dynamo_ledgers,
}


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoAws]:
    with moto_aws() as server:
        yield server


@pytest.fixture(params=list(LEDGERS))
def opener(request: pytest.FixtureRequest, aws: MotoAws) -> Opener:
    return LEDGERS[request.param](aws)


def run(opener: Opener, body: Callable[[JobLedger], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(60), opener() as ledger:
            await body(ledger)

    asyncio.run(whole())


def job(key: str = "k") -> TransferJob:
    return TransferJob(JobKind.COPY, ObjectRef("src", key), ObjectRef("des", key))


def ended(key: str = "k", outcome: Outcome = Outcome.COPIED) -> TransferResult:
    return TransferResult(outcome, job(key), IDENTITY, started_at=1.7e9, finished_at=1.7e9 + 9)


def test_nothing_is_known_of_an_object_never_seen(opener: Opener) -> None:
    async def body(ledger: JobLedger) -> None:
        assert await ledger.unfinished(job()) is None

    run(opener, body)


@pytest.mark.parametrize(
    ("version", "described"), [(None, "fingerprint"), ("null", "fingerprint"), ("v1", "")]
)
def test_a_started_upload_is_found_as_it_was_recorded(
    opener: Opener, version: str | None, described: str
) -> None:
    async def body(ledger: JobLedger) -> None:
        identity = IDENTITY._replace(version_id=version, described=described)
        record = replace(RECORD, identity=identity)
        await ledger.started(job(), record)
        assert await ledger.unfinished(job()) == record

    run(opener, body)


def test_keys_are_kept_byte_for_byte(opener: Opener) -> None:
    async def body(ledger: JobLedger) -> None:
        for number, key in enumerate(HOSTILE):
            await ledger.started(job(key), replace(RECORD, upload_id=f"u{number}"))
        for number, key in enumerate(HOSTILE):
            found = await ledger.unfinished(job(key))
            assert found is not None
            assert found.upload_id == f"u{number}"

    run(opener, body)


def test_progress_is_known_after_flush(opener: Opener) -> None:
    async def body(ledger: JobLedger) -> None:
        await ledger.started(job(), RECORD)
        for last in range(4, 8):
            more = {**RECORD.part_crc32c, **dict.fromkeys(range(4, last + 1), 9)}
            await ledger.progressed(job(), replace(RECORD, part_crc32c=more))
        await ledger.flush()
        found = await ledger.unfinished(job())
        assert found is not None
        assert found.part_crc32c == {1: 0, 3: 0xFFFFFFFF, 4: 9, 5: 9, 6: 9, 7: 9}

    run(opener, body)


def test_a_later_upload_replaces_the_earlier(opener: Opener) -> None:
    async def body(ledger: JobLedger) -> None:
        await ledger.started(job(), RECORD)
        newer = UploadRecord("upload-2", Identity("other", 50, "v2"), 25, {})
        await ledger.started(job(), newer)
        assert await ledger.unfinished(job()) == newer

    run(opener, body)


@pytest.mark.parametrize("outcome", [Outcome.COPIED, Outcome.DELETED, Outcome.GONE])
def test_a_finished_upload_is_not_unfinished(opener: Opener, outcome: Outcome) -> None:
    async def body(ledger: JobLedger) -> None:
        await ledger.started(job(), RECORD)
        await ledger.progressed(job(), RECORD)
        await ledger.finished(ended(outcome=outcome))
        await ledger.flush()
        assert await ledger.unfinished(job()) is None

    run(opener, body)


def test_a_small_object_leaves_no_upload_and_forgets_an_older_one(opener: Opener) -> None:
    async def body(ledger: JobLedger) -> None:
        await ledger.finished(ended())
        await ledger.flush()
        assert await ledger.unfinished(job()) is None

    run(opener, body)


def test_many_jobs_end_at_once(opener: Opener) -> None:
    async def body(ledger: JobLedger) -> None:
        await asyncio.gather(*(ledger.finished(ended(str(n))) for n in range(120)))
        await ledger.flush()

    run(opener, body)
