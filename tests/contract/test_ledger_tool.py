"""``3gsync ledger`` as its user runs it, against moto's DynamoDB."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import tracemalloc
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.ledger_table import make_table
from support.moto_aws import REGION, MotoAws, moto_aws
from support.queue_tools import Console
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
from sync.adapters.aws_json import JsonApi, Retries
from sync.adapters.ledger_scan import LedgerScan, ledger_service
from sync.errors import AccessDenied

NOON = 1_600_000_000


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoAws]:
    with moto_aws() as server:
        yield server


@pytest.fixture(scope="module")
def table(aws: MotoAws) -> str:
    name = make_table(aws)
    dynamodb = aws.dynamodb
    for row in _rows():
        dynamodb.put_item(TableName=name, Item=row)
    return name


@pytest.fixture
def console(
    aws: MotoAws,
    table: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Console:
    made = Console(tmp_path, monkeypatch, capsys).on(aws)
    made.options["table_queue_name"] = table
    return made


def _row(key: str, **more: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {"Key": {"S": f"src/{key}"}, "Size": {"N": "1000"}, "tryTimes": {"N": "1"}, **more}


def _rows() -> Iterator[dict[str, Mapping[str, Any]]]:
    for number in range(20):
        yield _row(
            f"done/{number:02}",
            outcome={"S": "copied"},
            jobStatus={"SS": ["DONE"]},
            lastTimeProgress={"N": "100"},
            firstTime={"N": str(NOON)},
            endTime={"N": str(NOON + 100 * number)},
            totalSpentTime={"N": str(20 - number)},
            desBucket={"S": "dst"},
            desKey={"S": f"done/{number:02}"},
        )
    yield _row(
        'big, "quoted"\n',
        uploadId={"S": "u"},
        etag={"S": "e"},
        firstTime={"N": str(NOON + 5)},
        lastTimeProgress={"N": "42"},
        instanceID={"SS": ["i-2", "i-1"]},
        partCRC32C={"B": b"\x01\x00\x01\x80\x00\x00\x00\x05"},
    )
    yield _row(
        "failed",
        outcome={"S": "failed"},
        reason={"S": "GetObject src/failed: status 403"},
        jobStatus={"SS": ["ERR"]},
        firstTime={"N": str(NOON)},
        endTime={"N": str(NOON + 7)},
    )
    yield _row(
        "old",
        jobStatus={"SS": ["TIMEOUT_or_MaxRetry"]},
        thisRoundStart={"N": str(NOON)},
        firstTime_f={"S": "Sun Sep 13 12:26:40 2020"},
        endTime={"N": str(NOON + 9)},
        totalSpentTime={"N": "9"},
    )
    yield {"Key": {"S": "src/waiting"}, "Size": {"N": "3"}}


def keys(out: str) -> list[str]:
    return [json.loads(line)["key"] for line in out.splitlines()]


def test_recent_are_those_that_ended_last(console: Console, table: str) -> None:
    ran = console.run("ledger", "recent", "-n", "3", "--format", "jsonl")
    assert (ran.code, keys(ran.out)) == (0, ["src/done/19", "src/done/18", "src/done/17"])
    assert ran.err == (
        f"{table}: 24 rows (20 done, 2 failed, 1 running, 1 waiting); 3 of 22 shown\n"
    )


def test_running_failed_and_slowest(console: Console) -> None:
    running = console.run("ledger", "running", "--format", "jsonl")
    assert keys(running.out) == ['src/big, "quoted"\n']
    assert json.loads(running.out)["instances"] == ["i-1", "i-2"]
    failed = console.run("ledger", "failed", "--format", "jsonl")
    assert keys(failed.out) == ["src/old", "src/failed"]
    slowest = console.run("ledger", "slowest", "-n", "2", "--format", "jsonl")
    assert keys(slowest.out) == ["src/done/00", "src/done/01"]


@pytest.mark.parametrize(
    ("word", "count"),
    [("TIMEOUT_or_MaxRetry", 1), ("err", 1), ("copied", 20), ("waiting", 1), ("QUIT", 0)],
)
def test_rows_are_chosen_by_status(console: Console, word: str, count: int) -> None:
    ran = console.run("ledger", "all", "--status", word, "--format", "jsonl")
    assert len(keys(ran.out)) == count


def test_a_table_for_people_cannot_be_broken_by_a_key(console: Console, table: str) -> None:
    ran = console.run("ledger", "running")
    header, row, total = ran.out.splitlines()
    assert header.split()[:4] == ["STATE", "%", "SIZE", "STARTED"]
    assert 'src/big, "quoted"\\n' in row
    assert "42" in row
    assert total.startswith(f"{table}: 24 rows")
    streamed = console.run("ledger", "all").out.splitlines()
    assert len(streamed) == 1 + 24 + 1


def test_csv_can_be_read_back(console: Console) -> None:
    ran = console.run("ledger", "all", "--format", "csv", "--segments", "4")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert len(rows) == 24
    big = next(row for row in rows if row["state"] == "running")
    assert big["key"] == 'src/big, "quoted"\n'
    assert (big["progress"], big["size"], big["instances"]) == ("42", "1000", "i-1 i-2")
    done = next(row for row in rows if row["key"] == "src/done/03")
    assert (done["destination"], done["ended"]) == ("dst/done/03", str(float(NOON + 300)))


def test_one_line_of_json_sums_up(console: Console) -> None:
    report = console.run("ledger", "slowest", "-n", "1", "--json").report
    assert (report["rows"], report["matched"]) == (24, 21)
    assert report["states"] == {"done": 20, "running": 1, "failed": 2, "waiting": 1}
    assert [row["key"] for row in report["shown"]] == ["src/done/00"]


def test_one_row_is_shown_whole(console: Console) -> None:
    ran = console.run("ledger", "show", 'src/big, "quoted"\n', "--json")
    assert ran.code == 0
    assert "partCRC32C        1 verified parts" in ran.out
    assert ran.report["state"] == "running"
    assert ran.report["attributes"]["instanceID"] == ["i-1", "i-2"]
    missing = console.run("ledger", "show", "src/nothing")
    assert (missing.code, "no row" in missing.err) == (1, True)


@pytest.mark.parametrize("name", ["bucket", "bucket/", "/key"])
def test_an_object_is_named_with_its_bucket(console: Console, name: str) -> None:
    ran = console.run("ledger", "show", name)
    assert (ran.code, "BUCKET/KEY" in ran.err) == (2, True)


def test_without_a_table_there_is_nothing_to_look_at(console: Console) -> None:
    console.options["table_queue_name"] = ""
    ran = console.run("ledger", "recent")
    assert (ran.code, "table_queue_name is empty" in ran.err) == (2, True)
    console.options["table_queue_name"] = "no-such-table"
    ran = console.run("ledger", "recent")
    assert (ran.code, "no table no-such-table" in ran.err) == (1, True)


def test_too_many_segments_are_refused(console: Console) -> None:
    assert console.run("ledger", "all", "--segments", "65").code == 2


# --- the scan ---------------------------------------------------------------------------


def scan(service: Any) -> LedgerScan:
    api = JsonApi(
        service=ledger_service("jobs", REGION),
        client=service,
        credentials=Keys(),
        endpoint="http://127.0.0.1:9",
        region=REGION,
        clock=ManualClock(),
        retries=Retries(attempts=2),
    )
    return LedgerScan(table="jobs", api=api)


class Pages:
    """A table of so many pages in each segment."""

    def __init__(self, pages: int, *, rows: int = 3) -> None:
        self.pages, self.rows, self.asked = pages, rows, 0

    async def send(self, request: Any, *, limit: int = 0) -> ScriptedReply:
        return self(json.loads(request.body))

    def __call__(self, payload: Mapping[str, Any]) -> ScriptedReply:
        self.asked += 1
        segment = payload["Segment"]
        at = int(payload.get("ExclusiveStartKey", {}).get("Key", {}).get("S", "0"))
        items = [{"Key": {"S": f"{segment}/{at}/{row}"}} for row in range(self.rows)]
        more = {"LastEvaluatedKey": {"Key": {"S": str(at + 1)}}} if at + 1 < self.pages else {}
        # A page may be empty and yet not be the last.
        return ok({"Items": items if at % 2 == 0 else [], **more})


async def all_keys(ledger: LedgerScan, segments: int) -> list[str]:
    return [str(item["Key"]["S"]) async for item in ledger.items(segments=segments)]


@pytest.mark.parametrize("segments", [1, 3, 8])
def test_all_pages_of_all_segments_are_read_once(segments: int) -> None:
    found = asyncio.run(all_keys(scan(Pages(5)), segments))
    assert sorted(found) == sorted(
        f"{segment}/{at}/{row}"
        for segment in range(segments)
        for at in (0, 2, 4)
        for row in range(3)
    )


def test_a_page_that_fails_fails_the_whole_scan() -> None:
    def first(asked: Asked) -> ScriptedReply:
        return Pages(5)(asked.payload)

    answers: list[Answer] = [first, refused("AccessDeniedException", "no", 400)]
    with pytest.raises(AccessDenied, match="dynamodb:Scan"):
        asyncio.run(all_keys(scan(ScriptedService(*answers)), 1))


def test_memory_does_not_grow_with_the_table() -> None:
    async def peak(pages: int) -> int:
        tracemalloc.start()
        try:
            async for _ in scan(Pages(pages, rows=200)).items(segments=2):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    asyncio.run(peak(2))
    small, large = asyncio.run(peak(4)), asyncio.run(peak(80))
    assert large < 1.5 * small


def test_who_stops_reading_stops_the_scan() -> None:
    async def body() -> int:
        pages = Pages(1000)
        items = scan(pages).items(segments=4)
        await anext(items)
        assert isinstance(items, AsyncGenerator)
        await items.aclose()
        return pages.asked

    assert asyncio.run(body()) < 20


def test_who_stops_reading_waits_for_no_reply() -> None:
    class Stuck(Pages):
        async def send(self, request: Any, *, limit: int = 0) -> ScriptedReply:
            if self.asked:
                await asyncio.Event().wait()
            return await super().send(request)

    async def body() -> None:
        items = scan(Stuck(10)).items(segments=4)
        async with asyncio.timeout(5):
            await anext(items)
            assert isinstance(items, AsyncGenerator)
            await items.aclose()

    asyncio.run(body())
