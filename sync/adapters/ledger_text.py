"""A finished transfer's row as JSON text. Pure.

Every object costs such a row. Filled into a text it takes a quarter of the time that it takes
as nested dicts for an encoder; the attributes are those of ``ledger_rows``.
"""

from __future__ import annotations

from collections.abc import Iterable
from json.encoder import encode_basestring as quoted
from typing import Final

from sync.adapters.ledger_rows import (
    NULL_VERSION,
    clock_text,
    decimal,
    job_status,
    reason_of,
    row_key,
)
from sync.checksums import encode_crc32c
from sync.model import Outcome, TransferResult

_ROW: Final = (
    '{"Key":{"S":%s},"instanceID":{"SS":[%s]},"tryTimes":{"N":"%d"},"firstTime":{"N":"%d"},'
    '"startTime_f":{"SS":["%s"]},"lastTimeProgress":{"N":"100"},"jobStatus":{"SS":["%s"]},'
    '"desBucket":{"S":%s},"desKey":{"S":%s},"totalSpentTime":{"N":"%s"},"endTime":{"N":"%d"},'
    '"endTime_f":{"S":"%s"},"outcome":{"S":"%s"}%s%s%s}'
)
_VERSION: Final = (
    ',"Size":{"N":"%d"},"etag":{"S":%s},"versionId":{"S":%s},"versioned":{"BOOL":%s}%s'
)


def whole_row(result: TransferResult, *, instance: str, keep: float | None = None) -> str:
    """A finished transfer's row, complete in itself; it expires ``keep`` seconds later."""
    job, started, finished = result.job, result.started_at, result.finished_at
    why = reason_of(result)
    return _ROW % (
        quoted(row_key(job.source)),
        quoted(instance),
        result.rounds,
        started,
        clock_text(started),
        job_status(result),
        quoted(job.destination.bucket),
        quoted(job.destination.key),
        decimal(result.seconds),
        finished,
        clock_text(finished),
        result.outcome,
        _version(result),
        f',"reason":{{"S":{quoted(why)}}}' if why else "",
        "" if keep is None else f',"expireAt":{{"N":"{int(finished + keep)}"}}',
    )


def _version(result: TransferResult) -> str:
    """The version that is now at the destination; nothing after a delete."""
    identity = result.identity
    if identity is None or result.outcome is Outcome.DELETED:
        return ""
    crc = result.crc32c
    return _VERSION % (
        identity.size,
        quoted(identity.etag),
        quoted(identity.version_id or NULL_VERSION),
        "false" if identity.version_id is None else "true",
        "" if crc is None else f',"crc32c":{{"S":"{encode_crc32c(crc)}"}}',
    )


def put_request(table: str, rows: Iterable[str]) -> str:
    """A BatchWriteItem request that puts rows, as JSON text."""
    puts = '}},{"PutRequest":{"Item":'.join(rows)
    return f'{{"RequestItems":{{{quoted(table)}:[{{"PutRequest":{{"Item":{puts}}}}}]}}}}'
