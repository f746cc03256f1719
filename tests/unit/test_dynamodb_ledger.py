from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from support.scripted_aws import (
    Answer,
    Asked,
    Keys,
    ManualClock,
    ScriptedReply,
    ScriptedService,
    ok,
    refused,
)
from sync.adapters.aws_json import Retries
from sync.adapters.dynamodb import DynamoLedger
from sync.errors import (
    AccessDenied,
    ConfigError,
    NoSuchBucket,
    OutcomeUnknown,
    RequestRefused,
    SyncError,
    Throttled,
)
from sync.model import Identity, JobKind, ObjectRef, Outcome, TransferJob, TransferResult
from sync.ports import UploadRecord

RECORD = UploadRecord("u1", Identity("e", 100, "v1"), 10, {1: 11})


def job(key: str = "k") -> TransferJob:
    return TransferJob(JobKind.COPY, ObjectRef("src", key), ObjectRef("des", key))


def result(key: str = "k", outcome: Outcome = Outcome.COPIED, **more: Any) -> TransferResult:
    identity = Identity("e", 3, None)
    return TransferResult(outcome, job(key), identity, finished_at=1.8e9)._replace(**more)


class Bench:
    def __init__(self, *answers: Answer, **options: Any) -> None:
        self.clock = ManualClock()
        self.service = ScriptedService(*answers)
        self.ledger = DynamoLedger(
            table="jobs",
            client=self.service,
            credentials=Keys(),
            endpoint="http://127.0.0.1:9",
            region="eu-west-1",
            instance="i-1",
            clock=self.clock,
            retries=Retries(attempts=3, chance=lambda: 1.0),
            **{"linger": 0.0, **options},
        )

    @property
    def payloads(self) -> list[Any]:
        return [asked.payload for asked in self.service.asked]

    def run(self, body: Callable[[DynamoLedger], Coroutine[Any, Any, Any]]) -> Any:
        async def whole() -> Any:
            async with asyncio.timeout(30):
                return await body(self.ledger)

        return asyncio.run(whole())

    def finish(self, *results: TransferResult) -> list[SyncError | None]:
        async def body(ledger: DynamoLedger) -> Any:
            return await asyncio.gather(*map(ledger.finished, results), return_exceptions=True)

        return list(self.run(body))


def keys_in(asked: Asked) -> list[str]:
    return [put["PutRequest"]["Item"]["Key"]["S"] for put in asked.payload["RequestItems"]["jobs"]]


def all_but(*left: str) -> Callable[[Asked], ScriptedReply]:
    def answer(asked: Asked) -> ScriptedReply:
        puts = asked.payload["RequestItems"]["jobs"]
        again = [put for put in puts if put["PutRequest"]["Item"]["Key"]["S"] in left]
        return ok({"UnprocessedItems": {"jobs": again} if again else {}})

    return answer


# --- finished rows ----------------------------------------------------------------------


def test_finished_objects_share_requests() -> None:
    bench = Bench(*[ok()] * 4)
    assert bench.finish(*[result(str(n)) for n in range(100)]) == [None] * 100
    assert bench.service.operations == ["BatchWriteItem"] * 4
    assert sorted(len(keys_in(asked)) for asked in bench.service.asked) == [25] * 4


def test_unprocessed_rows_are_sent_again() -> None:
    bench = Bench(all_but("src/b", "src/c"), all_but("src/c"), all_but())
    assert bench.finish(result("a"), result("b"), result("c")) == [None] * 3
    assert [keys_in(asked) for asked in bench.service.asked] == [
        ["src/a", "src/b", "src/c"],
        ["src/b", "src/c"],
        ["src/c"],
    ]
    assert bench.clock.slept == [0.1, 0.2]


def test_a_row_that_stays_unprocessed_fails_alone() -> None:
    bench = Bench(*[all_but("src/b")] * 3)
    ends = bench.finish(result("a"), result("b"))
    assert [type(end) for end in ends] == [type(None), Throttled]


def test_a_row_that_is_refused_fails_alone() -> None:
    def refuse_b(asked: Asked) -> ScriptedReply:
        return refused("ValidationException") if "src/b" in keys_in(asked) else ok()

    bench = Bench(*[refuse_b] * 4)
    ends = bench.finish(result("a"), result("b"), result("c"))
    assert [type(end) for end in ends] == [type(None), RequestRefused, type(None)]


def test_an_error_in_a_later_round_spares_the_rows_already_stored() -> None:
    bench = Bench(all_but("src/b"), refused("AccessDeniedException"))
    ends = bench.finish(result("a"), result("b"))
    assert [type(end) for end in ends] == [type(None), AccessDenied]


def test_a_lost_reply_is_sent_again() -> None:
    bench = Bench(OutcomeUnknown("lost"), ok())
    assert bench.finish(result("a")) == [None]


def test_a_missing_table_is_raised_with_the_mend() -> None:
    bench = Bench(refused("ResourceNotFoundException", "Requested resource not found"))
    (end,) = bench.finish(result("a"))
    assert isinstance(end, NoSuchBucket)
    assert "table_queue_name" in str(end)
    assert "create table jobs in eu-west-1" in str(end)


def test_ignored_jobs_and_skips_without_a_look_cost_nothing() -> None:
    bench = Bench()
    ends = bench.finish(
        result(outcome=Outcome.IGNORED), result("s", Outcome.SKIPPED, identity=None)
    )
    assert ends == [None, None]
    assert bench.service.asked == []


def test_a_failure_keeps_what_the_row_knows() -> None:
    bench = Bench(ok())
    bench.finish(result(outcome=Outcome.FAILED, error="JobTimedOut", reason="too slow"))
    (update,) = bench.payloads
    assert "REMOVE" not in update["UpdateExpression"]
    assert update["ExpressionAttributeValues"][":jobStatus"] == {"SS": ["TIMEOUT"]}
    assert not {":versionId", ":etag", ":uploadId"} & set(update["ExpressionAttributeValues"])


def test_a_vanished_object_forgets_its_upload_but_not_the_version_at_the_destination() -> None:
    bench = Bench(ok())
    bench.finish(result(outcome=Outcome.GONE, identity=None))
    (update,) = bench.payloads
    assert "REMOVE #uploadId, #partSize, #partCRC32C" in update["UpdateExpression"]
    assert ":versionId" not in update["ExpressionAttributeValues"]


def test_expiry_is_an_attribute_of_its_own_and_optional() -> None:
    bench = Bench(ok(), keep=86_400.0)
    bench.finish(result())
    item = bench.payloads[0]["RequestItems"]["jobs"][0]["PutRequest"]["Item"]
    assert item["expireAt"] == {"N": str(int(1.8e9) + 86_400)}
    bench = Bench(ok())
    bench.finish(result())
    item = bench.payloads[0]["RequestItems"]["jobs"][0]["PutRequest"]["Item"]
    assert "expireAt" not in item


# --- multipart transfers ----------------------------------------------------------------


def test_a_start_is_written_as_the_original_wrote_it() -> None:
    bench = Bench(ok(), ok())
    bench.run(lambda ledger: ledger.started(job(), replace(RECORD, part_crc32c={})))
    bench.run(lambda ledger: ledger.started(job(), RECORD))
    first, again = bench.payloads
    values = first["ExpressionAttributeValues"]
    assert first["Key"] == {"Key": {"S": "src/k"}}
    assert (
        "ADD #tryTimes :tryTimes, #instanceID :instanceID, #startTime_f :startTime_f"
        in (first["UpdateExpression"])
    )
    assert values[":instanceID"] == {"SS": ["i-1"]}
    assert values[":tryTimes"] == {"N": "1"}
    assert values[":Size"] == {"N": "100"}
    assert values[":desBucket"] == {"S": "des"}
    assert values[":versionId"] == {"S": "v1"}
    assert values[":lastTimeProgress"] == {"N": "0"}
    assert "#firstTime = :firstTime" in first["UpdateExpression"]
    assert "#firstTime = if_not_exists(#firstTime, :firstTime)" in again["UpdateExpression"]


def test_progress_is_written_seldom_and_the_last_word_wins() -> None:
    bench = Bench(ok(), ok(), ok())

    async def body(ledger: DynamoLedger) -> None:
        await ledger.started(job(), RECORD)
        for parts in range(1, 6):
            await ledger.progressed(
                job(), replace(RECORD, part_crc32c=dict.fromkeys(range(parts), 0))
            )
        while len(bench.service.asked) < 2:
            await asyncio.sleep(0)
        await ledger.progressed(job(), replace(RECORD, part_crc32c=dict.fromkeys(range(1, 7), 0)))
        await ledger.flush()

    bench.run(body)
    assert bench.service.operations == ["UpdateItem"] * 3
    assert bench.clock.slept[0] == 5.0
    told = [p["ExpressionAttributeValues"][":lastTimeProgress"]["N"] for p in bench.payloads]
    assert told == ["10", "50", "60"]


def test_flush_writes_progress_that_is_not_due_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(ok(), ok())

    async def never(_seconds: float) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(bench.clock, "sleep", never)

    async def body(ledger: DynamoLedger) -> None:
        await ledger.started(job(), RECORD)
        await ledger.progressed(job(), replace(RECORD, part_crc32c={1: 1, 2: 2}))
        await asyncio.sleep(0)
        assert len(bench.service.asked) == 1
        await ledger.flush()

    bench.run(body)
    assert bench.payloads[1]["ExpressionAttributeValues"][":lastTimeProgress"] == {"N": "20"}


def test_progress_is_only_for_the_rows_own_upload() -> None:
    bench = Bench(refused("ConditionalCheckFailedException"))

    async def body(ledger: DynamoLedger) -> None:
        await ledger.progressed(job(), RECORD)
        await ledger.flush()

    bench.run(body)
    (update,) = bench.payloads
    assert update["ConditionExpression"] == "attribute_not_exists(#uploadId) OR #uploadId = :mine"
    assert update["ExpressionAttributeValues"][":mine"] == {"S": "u1"}


def test_progress_that_cannot_be_written_does_not_fail_the_transfer() -> None:
    bench = Bench(refused("AccessDeniedException"))

    async def body(ledger: DynamoLedger) -> None:
        await ledger.progressed(job(), RECORD)
        await ledger.flush()

    bench.run(body)


def test_the_end_of_a_multipart_transfer_removes_the_upload() -> None:
    bench = Bench(ok(), ok())

    async def body(ledger: DynamoLedger) -> None:
        await ledger.started(job(), RECORD)
        await ledger.progressed(job(), RECORD)
        await ledger.finished(result(crc32c=5))
        await ledger.flush()

    bench.run(body)
    assert bench.service.operations == ["UpdateItem", "UpdateItem"]
    update = bench.payloads[1]
    gone = "REMOVE #uploadId, #partSize, #partCRC32C, #described, #reason"
    assert gone in update["UpdateExpression"]
    assert "ADD #jobStatus :jobStatus" in update["UpdateExpression"]
    values = update["ExpressionAttributeValues"]
    assert values[":lastTimeProgress"] == {"N": "100"}
    assert values[":versionId"] == {"S": "null"}
    assert values[":crc32c"] == {"S": "AAAABQ=="}


def test_traces_that_fill_the_row_are_begun_anew() -> None:
    full = refused("ValidationException", "Item size to update has exceeded the maximum size")
    bench = Bench(full, ok())
    bench.run(lambda ledger: ledger.started(job(), RECORD))
    assert "ADD #tryTimes :tryTimes" in bench.payloads[1]["UpdateExpression"]
    assert "#startTime_f = :startTime_f" in bench.payloads[1]["UpdateExpression"]
    other = Bench(refused("ValidationException", "something else"))
    with pytest.raises(RequestRefused):
        other.run(lambda ledger: ledger.started(job(), RECORD))


def test_unfinished_reads_consistently_and_only_what_it_needs() -> None:
    bench = Bench(ok({}))
    assert bench.run(lambda ledger: ledger.unfinished(job())) is None
    (asked,) = bench.payloads
    assert asked["ConsistentRead"] is True
    assert set(asked["ExpressionAttributeNames"].values()) == {
        "uploadId",
        "partSize",
        "partCRC32C",
        "described",
        "Size",
        "etag",
        "versionId",
        "versioned",
    }


def test_transfers_that_never_end_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.adapters.dynamodb._MOST_OPEN", 3)
    bench = Bench(*[ok()] * 10)

    async def body(ledger: DynamoLedger) -> None:
        for number in range(10):
            await ledger.started(job(str(number)), RECORD)

    bench.run(body)
    assert len(bench.ledger._open) == 3


# --- the check --------------------------------------------------------------------------


def table(key: str = "Key", kind: str = "S", index: str = "") -> ScriptedReply:
    described: dict[str, Any] = {
        "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": kind}],
    }
    if index:
        described["GlobalSecondaryIndexes"] = [{"IndexName": index}]
    return ok({"Table": described})


def test_check_accepts_the_original_table_and_remarks_on_a_missing_index() -> None:
    assert Bench(table(index="desBucket-index")).run(DynamoLedger.check) == ()
    (remark,) = Bench(table()).run(DynamoLedger.check)
    assert "no index desBucket-index" in remark


@pytest.mark.parametrize("answer", [table(key="id"), table(kind="N"), ok({})])
def test_check_refuses_a_table_with_another_key(answer: ScriptedReply) -> None:
    with pytest.raises(ConfigError, match="partition key named Key"):
        Bench(answer).run(DynamoLedger.check)


def copied(key: str, version: str, *statuses: str, **more: Any) -> dict[str, Any]:
    row = {"Key": {"S": f"src/{key}"}, "versionId": {"S": version}}
    return row | {"jobStatus": {"SS": list(statuses)}} | more


def test_copied_versions_are_those_whose_last_copy_is_done() -> None:
    rows = [
        copied("done", "v1", "DONE", "ERR"),
        copied("failed", "v1", "ERR"),
        copied("begun", "v2", "DONE", uploadId={"S": "u"}),
        copied("deleted", "v1", "DONE", outcome={"S": "deleted"}),
        copied("new", "v3", "DONE", outcome={"S": "copied"}),
    ]
    asked = [ObjectRef("src", key) for key in ("done", "failed", "begun", "deleted", "new", "no")]
    bench = Bench(ok({"Responses": {"jobs": rows}}))
    found = bench.run(lambda ledger: ledger.copied_versions(asked))
    assert {ref.key: version for ref, version in found.items()} == {"done": "v1", "new": "v3"}


def test_rows_that_are_left_unprocessed_are_asked_for_again() -> None:
    refs = [ObjectRef("src", f"{number}") for number in range(150)]

    def half(asked: Asked) -> ScriptedReply:
        keys = [key["Key"]["S"] for key in asked.payload["RequestItems"]["jobs"]["Keys"]]
        assert len(keys) <= 100
        given = keys[: (len(keys) + 1) // 2]
        left = [{"Key": {"S": key}} for key in keys[len(given) :]]
        found = [copied(key.partition("/")[2], "v", "DONE") for key in given]
        unprocessed = {"jobs": {"Keys": left}} if left else {}
        return ok({"Responses": {"jobs": found}, "UnprocessedKeys": unprocessed})

    bench = Bench(*[half] * 20)
    bench.ledger._api.retries = Retries(attempts=10, chance=lambda: 0.0)
    assert bench.run(lambda ledger: ledger.copied_versions(refs)) == dict.fromkeys(refs, "v")


def test_a_table_that_gives_nothing_is_an_error_not_an_unknown_object() -> None:
    def nothing(asked: Asked) -> ScriptedReply:
        return ok({"Responses": {}, "UnprocessedKeys": asked.payload["RequestItems"]})

    bench = Bench(nothing, nothing, nothing)
    with pytest.raises(Throttled):
        bench.run(lambda ledger: ledger.copied_versions([ObjectRef("src", "k")]))
