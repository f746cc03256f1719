"""DynamoDB as the JobLedger, in the original table. See docs/ledger.md.

A small object costs one row, written when it is finished and 25 to a request. A multipart
transfer updates its row when it starts, at most every five seconds, and when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from sync.adapters.aws_errors import MALFORMED, Service, malformed
from sync.adapters.aws_json import HttpClient, JsonApi, Retries
from sync.adapters.ledger_batch import RowBatcher
from sync.adapters.ledger_read import read_copies, read_rows
from sync.adapters.ledger_rows import (
    OF_THE_LAST_END,
    UNFINISHED,
    UPLOAD_ATTRIBUTES,
    VERSION_ATTRIBUTES,
    Attribute,
    Item,
    LedgerRow,
    clock_text,
    destination_values,
    end_values,
    job_status,
    number,
    read_row,
    read_upload,
    row_key,
    text,
    text_set,
    upload_values,
    version_values,
)
from sync.adapters.ledger_text import put_request, whole_row
from sync.adapters.ledger_update import Update
from sync.errors import ConfigError, PreconditionFailed, RequestRefused, SyncError, Throttled
from sync.model import Identity, ObjectRef, Outcome, TransferJob, TransferResult
from sync.ports import Clock, CredentialProvider, UploadRecord

_LOG: Final = logging.getLogger(__name__)
_INDEX: Final = "desBucket-index"
_MOST_OPEN: Final = 10_000
_AT_DESTINATION: Final = frozenset({Outcome.COPIED, Outcome.SKIPPED, Outcome.DELETED})


@dataclass(slots=True)
class _Open:
    """A multipart transfer of this process: when its row was last written, what is to be
    written next, and the task that waits to do it.
    """

    written_at: float
    next: UploadRecord | None = None
    writer: asyncio.Task[None] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def forget(self) -> None:
        """Nothing more is to be written, nor under way: it would land on top of the end."""
        self.next = None
        async with self.lock:
            # The task holds this; held by it, both would wait for the garbage collector.
            writer, self.writer = self.writer, None
            if writer is not None:
                writer.cancel()


class DynamoLedger:
    """The job table. ``instance`` names this worker in it.

    ``progress_every`` and ``linger`` are in seconds: how seldom a running transfer is
    written, and how long a finished row may wait for others. ``keep`` (seconds) sets
    ``expireAt`` on finished rows, for a table whose TTL is on that attribute.
    """

    def __init__(
        self,
        *,
        table: str,
        client: HttpClient,
        credentials: CredentialProvider,
        endpoint: str,
        region: str,
        instance: str,
        clock: Clock,
        retries: Retries | None = None,
        progress_every: float = 5.0,
        linger: float = 0.1,
        keep: float | None = None,
    ) -> None:
        self._api = JsonApi(
            service=_service(table, region),
            client=client,
            credentials=credentials,
            endpoint=endpoint,
            region=region,
            clock=clock,
            retries=retries,
        )
        self._table = table
        self._instance = instance or "unknown"
        self._clock = clock
        self._progress_every = progress_every
        self._keep = keep
        self._open: dict[str, _Open] = {}
        self._batcher = RowBatcher(store=self._store, linger=linger)

    async def check(self) -> tuple[str, ...]:
        """Look the table over; returns remarks on what is missing but not needed to run.

        NoSuchBucket where it is not there, ConfigError where its key is another.
        """
        reply = await self._api.call("DescribeTable", {"TableName": self._table})
        try:
            return self._look_over(reply.get("Table") or {})
        except MALFORMED:
            raise malformed("DynamoDB DescribeTable") from None

    def _look_over(self, table: Mapping[str, Any]) -> tuple[str, ...]:
        keys = [(k.get("AttributeName"), k.get("KeyType")) for k in table.get("KeySchema", ())]
        kinds = {a.get("AttributeName"): a.get("AttributeType") for a in _attributes(table)}
        if keys != [("Key", "HASH")] or kinds.get("Key") != "S":
            raise ConfigError(
                f"DynamoDB table {self._table}: its key must be one partition key named Key of "
                f"type String, and is {keys}; create another table and set table_queue_name"
            )
        indexes = {index.get("IndexName") for index in table.get("GlobalSecondaryIndexes") or ()}
        if _INDEX in indexes:
            return ()
        return (f"no index {_INDEX}: jobsenders of earlier versions cannot use this table",)

    async def try_access(self) -> None:
        """Make every kind of call the ledger makes, changing nothing; the first error is raised.

        They name a row that is not there: one is read, one updated on a condition that cannot
        hold, one deleted.
        """
        key = f"3gsync-probe/{uuid4().hex}"
        await self._item(key)
        update = Update(put={"reason": text("probe")}).request(table=self._table, key=key)
        update["ConditionExpression"] = "attribute_exists(#reason)"
        with contextlib.suppress(PreconditionFailed):
            await self._api.call("UpdateItem", update)
        deletes = [{"DeleteRequest": {"Key": {"Key": text(key)}}}]
        await self._api.call("BatchWriteItem", {"RequestItems": {self._table: deletes}})

    async def unfinished(self, job: TransferJob) -> UploadRecord | None:
        """The upload that an earlier attempt recorded, or None; None too for a row without
        what 3GSync adds.
        """
        return read_upload(await self._item(row_key(job.source), UPLOAD_ATTRIBUTES))

    async def row(self, source: ObjectRef) -> LedgerRow | None:
        """What the table says of a source object, or None."""
        item = await self._item(row_key(source))
        return read_row(item) if item else None

    async def copied_versions(self, sources: Sequence[ObjectRef]) -> dict[ObjectRef, str]:
        """The version ids of those source objects whose last copy the table knows as done;
        "null" for those of a bucket without versions.
        """
        rows = await read_rows(self._api, self._table, [row_key(ref) for ref in sources])
        found = ((ref, rows.get(row_key(ref))) for ref in sources)
        return {ref: row.version_id for ref, row in found if row is not None and row.copied}

    async def copies(
        self, sources: Sequence[ObjectRef]
    ) -> dict[ObjectRef, tuple[Identity, ObjectRef, int | None]]:
        """Of those source objects whose last copy the table knows as done: the version that was
        copied, its destination, and the CRC32C of its bytes, None where the row has none.
        """
        return await read_copies(self._api, self._table, sources)

    async def started(self, job: TransferJob, record: UploadRecord) -> None:
        """A multipart transfer begins or goes on."""
        key = row_key(job.source)
        now = self._clock.time()
        first = {"firstTime": number(int(now))}
        goes_on = bool(record.part_crc32c)
        traces = {"instanceID": text_set(self._instance), "startTime_f": text_set(clock_text(now))}
        update = Update(
            add={"tryTimes": number(1), **traces},
            put={
                **destination_values(job),
                **upload_values(record),
                **({} if goes_on else first),
            },
            put_first=first if goes_on else {},
            remove=OF_THE_LAST_END,
        )
        mine = self._opened(key)
        mine.next = None
        await self._start(key, update, traces)
        mine.written_at = self._clock.monotonic()

    async def progressed(self, job: TransferJob, record: UploadRecord) -> None:
        """More parts are verified. Returns at once; what was said last is written at most
        ``progress_every`` seconds later, and by ``flush``. It never replaces the record of
        another worker's upload, and a failure to write it is only logged.
        """
        key = row_key(job.source)
        mine = self._opened(key)
        mine.next = record
        if mine.writer is None:
            mine.writer = asyncio.get_running_loop().create_task(self._write_later(key, mine))

    async def finished(self, result: TransferResult) -> None:
        """The job ended; returns when the record is stored.

        No row for an ignored job, nor for one skipped without a look at the object. A failed
        one keeps what the row knows: its upload, and the version that is at the destination.
        """
        key = row_key(result.job.source)
        multipart = self._open.pop(key, None)
        if multipart is not None:
            await multipart.forget()
        known = result.identity is not None or result.outcome is not Outcome.SKIPPED
        if result.outcome is Outcome.IGNORED or not known:
            return
        if multipart is not None or result.outcome not in _AT_DESTINATION:
            await self._update(key, self._end(result))
            return
        await self._batcher.add(key, whole_row(result, instance=self._instance, keep=self._keep))

    async def flush(self) -> None:
        """Store whatever is queued. Errors go to those whose ``finished`` is waiting."""
        for key, mine in list(self._open.items()):
            await self._write_progress(key, mine)
        await self._batcher.flush()

    def _opened(self, key: str) -> _Open:
        # Transfers that fail are not reported here; they must not pile up.
        while len(self._open) >= _MOST_OPEN and key not in self._open:
            self._open.pop(next(iter(self._open)))
        return self._open.setdefault(key, _Open(self._clock.monotonic()))

    async def _write_later(self, key: str, mine: _Open) -> None:
        due = mine.written_at + self._progress_every - self._clock.monotonic()
        await self._clock.sleep(max(0.0, due))
        mine.writer = None
        await self._write_progress(key, mine)

    async def _write_progress(self, key: str, mine: _Open) -> None:
        async with mine.lock:
            record, mine.next = mine.next, None
            if record is None:
                return
            mine.written_at = self._clock.monotonic()
            update = Update(put=upload_values(record), only_for_upload=record.upload_id)
            try:
                await self._update(key, update)
            except PreconditionFailed:
                _LOG.debug("ledger: another worker uploads %s too", key)
            except SyncError as error:
                _LOG.warning("ledger: progress of %s was not written: %s", key, error)

    def _end(self, result: TransferResult) -> Update:
        status = {"jobStatus": text_set(job_status(result))}
        put = {**destination_values(result.job), **end_values(result), **self._expiry(result)}
        if result.outcome not in _AT_DESTINATION:
            gone = UNFINISHED if result.outcome is Outcome.GONE else ()
            return Update(add=status, put=put, remove=gone)
        put["lastTimeProgress"] = number(100)
        put |= version_values(result)
        stale = (*UNFINISHED, *VERSION_ATTRIBUTES, "reason")
        return Update(add=status, put=put, remove=tuple(n for n in stale if n not in put))

    def _expiry(self, result: TransferResult) -> Item:
        if self._keep is None:
            return {}
        return {"expireAt": number(int(result.finished_at + self._keep))}

    async def _start(self, key: str, update: Update, traces: Mapping[str, Attribute]) -> None:
        try:
            await self._update(key, update)
        except RequestRefused as error:
            # The sets grow with every start; one day they fill the row's 400 KB.
            if "size" not in str(error).lower():
                raise
            update.put |= traces
            update.add = {name: v for name, v in update.add.items() if name not in traces}
            await self._update(key, update)

    async def _update(self, key: str, update: Update) -> None:
        await self._api.call("UpdateItem", update.request(table=self._table, key=key))

    async def _item(self, key: str, names: Iterable[str] = ()) -> Mapping[str, Attribute]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "Key": {"Key": text(key)},
            "ConsistentRead": True,
        }
        wanted = tuple(names)
        if wanted:
            request["ProjectionExpression"] = ", ".join(f"#{name}" for name in wanted)
            request["ExpressionAttributeNames"] = {f"#{name}": name for name in wanted}
        item = (await self._api.call("GetItem", request)).get("Item")
        return item if isinstance(item, dict) else {}

    async def _store(self, rows: Mapping[str, str]) -> Mapping[str, SyncError]:
        try:
            return await self._store_together(rows)
        except RequestRefused as error:
            if len(rows) == 1:
                return dict.fromkeys(rows, error)
        # One row that the table refuses must not take the others with it.
        failed: dict[str, SyncError] = {}
        for key, row in rows.items():
            failed |= await self._store({key: row})
        return failed

    async def _store_together(self, rows: Mapping[str, str]) -> Mapping[str, SyncError]:
        left = dict(rows)
        error: SyncError = Throttled("DynamoDB BatchWriteItem: the table takes no more rows now")
        for failures in range(1, self._api.retries.attempts + 1):
            try:
                reply = await self._api.call(
                    "BatchWriteItem", put_request(self._table, left.values())
                )
                left = {key: left[key] for key in _unprocessed(reply)}
            except RequestRefused:
                raise
            except SyncError as failed:
                error = failed
                break
            except MALFORMED:
                error = malformed("DynamoDB BatchWriteItem")
                break
            if not left:
                break
            if failures < self._api.retries.attempts:
                await self._api.pause(failures)
        return dict.fromkeys(left, error)


def _service(table: str, region: str) -> Service:
    return Service(
        name="dynamodb",
        prefix="DynamoDB_20120810",
        title="DynamoDB",
        mend_missing=(
            f"create table {table} in {region} with the partition key Key of type String, "
            "or leave table_queue_name empty to work without a ledger"
        ),
    )


def _attributes(table: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return table.get("AttributeDefinitions") or ()


def _unprocessed(reply: Mapping[str, Any]) -> list[str]:
    requests = (request for of in (reply.get("UnprocessedItems") or {}).values() for request in of)
    return [str(request["PutRequest"]["Item"]["Key"]["S"]) for request in requests]
