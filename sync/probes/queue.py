"""Queue and table, without touching a message or a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from uuid import uuid4

from sync.adapters.sqs import SqsQueue
from sync.config import Settings
from sync.errors import AccessDenied, CredentialsRejected, SyncError
from sync.ports import Delivery
from sync.probes.report import Report
from sync.wiring import Stores, open_ledger, open_queue

QUEUE: Final = "queue"
DEAD_LETTER: Final = "dead-letter queue"
TABLE: Final = "table"


async def probe_queue(
    settings: Settings, environ: Mapping[str, str], stores: Stores, report: Report
) -> None:
    """Each queue, what the worker may do with it, and its dead-letter queue."""
    for name in settings.queue_names:
        await _probe_one(replace(settings, queue_name=name), environ, stores, report)


async def _probe_one(
    settings: Settings, environ: Mapping[str, str], stores: Stores, report: Report
) -> None:
    try:
        queue = await open_queue(settings, environ, stores.client, stores.keys.queue)
        waiting = await queue.depth()
    except SyncError as error:
        report.fail(QUEUE, str(error))
        return
    seconds = f"{queue.facts.visibility_timeout:.0f} s"
    report.ok(QUEUE, f"{settings.queue_name}, about {waiting} waiting, visibility {seconds}")
    await try_permissions(queue, report)
    await _dead_letter(settings, environ, stores, queue, report)


async def try_permissions(queue: SqsQueue, report: Report) -> None:
    """Made-up receipts tell: SQS looks at permissions before it looks at the receipt."""
    nobodys = [Delivery("3gsync-probe", f"3gsync-probe-{uuid4().hex}", "")]
    for what, call in (
        ("queue: deleting messages", queue.acknowledge(nobodys)),
        ("queue: holding messages", queue.extend(nobodys, 0)),
    ):
        try:
            await call
        except SyncError as error:
            report.fail(what, str(error))
        else:
            report.ok(what, "allowed")
    report.warn("queue: receiving messages", "not tried, it would take one: sqs:ReceiveMessage")


async def _dead_letter(
    settings: Settings,
    environ: Mapping[str, str],
    stores: Stores,
    queue: SqsQueue,
    report: Report,
) -> None:
    url = queue.dead_letter_queue
    if not url:
        report.warn(
            DEAD_LETTER,
            "none: messages that cannot be carried out stay in the queue; give it a redrive "
            "policy or set dead_letter_queue_name",
        )
        return
    _compare_receives(settings, queue, report)
    alone = replace(settings, queue_name=url, dead_letter_queue="")
    try:
        await open_queue(alone, environ, stores.client, stores.keys.queue)
    except CredentialsRejected as error:
        report.fail(DEAD_LETTER, str(error))
    except AccessDenied:
        report.warn(DEAD_LETTER, f"{url}: may not be looked at; only sending to it is needed")
    except SyncError as error:
        report.fail(DEAD_LETTER, str(error))
    else:
        report.ok(DEAD_LETTER, url)
    report.warn(
        "dead-letter queue: sending", "not tried, it would leave a message: sqs:SendMessage"
    )


def _compare_receives(settings: Settings, queue: SqsQueue, report: Report) -> None:
    most = queue.facts.max_receive_count
    if 0 < most < settings.max_receives:
        report.warn(
            "redrive policy",
            f"SQS itself moves a message after {most} receives, without saying why it failed; "
            f"MaxReceives is {settings.max_receives}: raise maxReceiveCount above it",
        )


async def probe_table(
    settings: Settings, environ: Mapping[str, str], stores: Stores, report: Report
) -> None:
    """The table's shape, and every call the ledger makes, changing nothing."""
    if not settings.table_name:
        report.ok(TABLE, "none configured")
        return
    try:
        ledger = await open_ledger(
            settings, environ, stores.client, stores.keys.table, instance="config-check"
        )
        remarks = await ledger.check() if ledger else ()
        report.ok(TABLE, settings.table_name)
        for remark in remarks:
            report.warn(TABLE, remark)
        if ledger:
            await ledger.try_access()
    except SyncError as error:
        report.fail(TABLE, str(error))
    else:
        report.ok("table: reading and writing rows", "allowed")
