"""The copier on the real store adapter and the wire, against a destination with faults."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.gcs import BUCKET, boto_client, running_gcs
from support.stores import FixedCredentials
from sync.adapters.clock import SystemClock
from sync.adapters.dialects import GCS
from sync.adapters.memory import MemoryLedger, MemoryObserver, MemoryStore
from sync.adapters.s3 import S3Store
from sync.engine.budget import Budget
from sync.engine.copier import Copier
from sync.engine.options import CopyOptions
from sync.engine.transfer import Context, JobState
from sync.errors import IntegrityError, SyncError, TransientStoreError
from sync.model import MIB, JobKind, ObjectRef, Outcome, TransferJob, TransferResult
from sync.ports import Credentials
from sync.standins.gcs import Fault, GcsProcess, Match
from sync.wire.client import Client

SMALL = b"small and precious"
LARGE = os.urandom(12 * MIB)  # three parts of 5 MiB and less
OPTIONS = CopyOptions(
    threshold=MIB, chunk=5 * MIB, late_write_grace=0.05, max_retry=5, parts_per_object=2
)


@pytest.fixture(scope="module")
def gcs() -> Iterator[GcsProcess]:
    with running_gcs() as standin:
        yield standin


@pytest.fixture(autouse=True)
def no_old_faults(gcs: GcsProcess) -> None:
    gcs.control.clear_faults()
    gcs.control.clear_requests()


def copy(
    gcs: GcsProcess, key: str, data: bytes, *, ledger: MemoryLedger | None = None
) -> TransferResult:
    """Copy one object from memory into the stand-in."""

    async def main() -> TransferResult:
        source = MemoryStore("src")
        source.store(ObjectRef("src", key), data)
        client = Client()
        who = gcs.identity
        keys = FixedCredentials(Credentials(who.access_id, who.secret, region="auto"))
        store = S3Store(client=client, credentials=keys, endpoint=gcs.url, dialect=GCS)
        context = Context(
            source=source,
            destination=store,
            ledger=ledger,
            options=OPTIONS,
            observer=MemoryObserver(),
            clock=SystemClock(),
            slots=Budget(4),
        )
        ref, to = ObjectRef("src", key), ObjectRef(BUCKET, key)
        job = TransferJob(JobKind.COPY, ref, to, size=len(data))
        try:
            return await Copier(context).run(job, JobState())
        finally:
            await client.close()

    return asyncio.run(main())


def held(gcs: GcsProcess, key: str) -> bytes:
    body: bytes = boto_client(gcs).get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return body


def fired(gcs: GcsProcess) -> bool:
    return not gcs.control.unfired()


PUT, PART, COMPLETE = "PutObject", "UploadPart", "CompleteMultipartUpload"
FAULTS: dict[str, Callable[[Match], Fault]] = {
    "500": lambda m: Fault(m, times=2, status=500, code="InternalError"),
    "503 slow down": lambda m: Fault(m, status=503, code="SlowDown", retry_after=0),
    "429": lambda m: Fault(m, status=429, code="SlowDown"),
    "reset at the head": lambda m: Fault(m, cut_at_head=True),
    "no reply": lambda m: Fault(m, no_reply=True),
    "an error although done": lambda m: Fault(m, reply_status=500, reply_code="InternalError"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_small_object_survives(gcs: GcsProcess, fault: str) -> None:
    gcs.control.add(FAULTS[fault](Match(operation=PUT)))
    assert copy(gcs, f"small/{fault}", SMALL).outcome is Outcome.COPIED
    assert held(gcs, f"small/{fault}") == SMALL
    assert fired(gcs)


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", PART, COMPLETE])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_large_object_survives(gcs: GcsProcess, fault: str, operation: str) -> None:
    gcs.control.add(FAULTS[fault](Match(operation=operation)))
    key = f"large/{operation}/{fault}"
    assert copy(gcs, key, LARGE).outcome is Outcome.COPIED
    assert hashlib.sha256(held(gcs, key)).digest() == hashlib.sha256(LARGE).digest()
    assert fired(gcs)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Match(operation=PART, part=2), cut_body_after=100_000),
        Fault(Match(operation=PART, part=2), corrupt_body_at=100_000),
        Fault(Match(operation=COMPLETE), status=200, code="InternalError"),
        Fault(Match(operation="ListMultipartUploads"), status=503, code="ServiceUnavailable"),
        Fault(Match(operation="HeadObject"), status=503, code="ServiceUnavailable"),
    ],
    ids=["torn part", "a flipped byte", "200 with an error", "listing uploads", "the last look"],
)
def test_a_large_object_survives_this_too(
    gcs: GcsProcess, fault: Fault, request: pytest.FixtureRequest
) -> None:
    gcs.control.add(fault)
    key = f"large/{request.node.name}"
    assert copy(gcs, key, LARGE).outcome is Outcome.COPIED
    assert held(gcs, key) == LARGE
    assert fired(gcs)


def test_a_byte_flipped_on_the_way_is_noticed_and_sent_again(gcs: GcsProcess) -> None:
    gcs.control.add(Fault(Match(operation=PUT), corrupt_body_at=3))
    copy(gcs, "flipped", SMALL)
    assert held(gcs, "flipped") == SMALL
    first, second = gcs.control.requests(operation=PUT)
    assert fired(gcs)
    assert not header(first, "content-md5")
    assert header(second, "content-md5")


def header(logged: dict[str, Any], name: str) -> str:
    value: str = dict(logged["headers"]).get(name, "")
    return value


def test_what_is_always_damaged_is_never_called_copied(gcs: GcsProcess) -> None:
    gcs.control.add(Fault(Match(operation=PUT), times=0, corrupt_body_at=3))
    with pytest.raises(IntegrityError):
        copy(gcs, "damaged", SMALL)


@pytest.mark.parametrize(("key", "data"), [("quiet/small", SMALL), ("quiet/large", LARGE)])
def test_without_checksums_in_the_replies_the_store_checks_content_md5(
    gcs: GcsProcess, key: str, data: bytes
) -> None:
    gcs.control.add(Fault(Match("PUT"), times=0, drop_hash=True))
    assert copy(gcs, key, data).outcome is Outcome.COPIED
    assert held(gcs, key) == data
    writes = [r for r in gcs.control.requests() if r["method"] == "PUT" and header_is_body(r)]
    assert any(header(r, "content-md5") for r in writes)
    assert header(writes[-1], "content-md5")


def header_is_body(logged: dict[str, Any]) -> bool:
    return logged["operation"] in {PUT, PART} and "10000" not in str(logged.get("query"))


def test_a_lasting_fault_leaves_the_parts_for_the_next_attempt(gcs: GcsProcess) -> None:
    ledger = MemoryLedger()
    gcs.control.add(Fault(Match(operation=PART, part=3), times=6, status=500, code="InternalError"))
    with pytest.raises(TransientStoreError):
        copy(gcs, "later", LARGE, ledger=ledger)
    assert fired(gcs)
    result = copy(gcs, "later", LARGE, ledger=ledger)
    assert (result.parts_reused, result.parts_sent) == (2, 1)
    assert held(gcs, "later") == LARGE


def test_no_request_ever_carries_what_cloud_storage_refuses_to_sign(gcs: GcsProcess) -> None:
    copy(gcs, "plain/small", SMALL)
    copy(gcs, "plain/large", LARGE)
    for logged in gcs.control.requests():
        names = {name.lower() for name, _value in logged["headers"]}
        assert not any(name.startswith(("x-amz-checksum", "x-amz-sdk")) for name in names)
        assert "aws-chunked" not in header(logged, "content-encoding")
        assert "x-goog-hash" not in names


def test_errors_name_no_secret(gcs: GcsProcess) -> None:
    gcs.control.add(Fault(Match(operation=PUT), times=0, status=403, code="AccessDenied"))
    with pytest.raises(SyncError) as caught:
        copy(gcs, "forbidden", SMALL)
    assert gcs.identity.secret not in repr(caught.value) + str(caught.value)
