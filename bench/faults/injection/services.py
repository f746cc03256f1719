"""Faults on the ways to the queue and to the table."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from faults.injection.places import slug
from faults.injection.scene import Plan, Scene
from faults.proxy import Fault, FaultProxy
from faults.proxy import library as do
from faults.proxy import services as say

_RECEIVE: Final = r"AmazonSQS\.ReceiveMessage "
_DELETE: Final = r"AmazonSQS\.DeleteMessageBatch "
_RENEW: Final = r"AmazonSQS\.ChangeMessageVisibilityBatch "
_COUNT: Final = r"AmazonSQS\.GetQueueAttributes "
_WRITE: Final = r"DynamoDB_\d+\.(BatchWriteItem|PutItem|UpdateItem) "
_NOBODY: Final = {
    "Attributes": dict.fromkeys(
        (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
        ),
        "0",
    )
}
_OUTAGE: Final = 2.0


class Strike(NamedTuple):
    """A fault of one operation of the queue or the table."""

    side: str
    pattern: str
    fault: Callable[[], Fault]
    after: int = 0
    times: int = 1


def _expired() -> Fault:
    text = "Signature expired: 20200101T000000Z is now earlier than 20200101T001500Z"
    return do.refused(403, "InvalidSignatureException", text=text)


STRIKES: Final[dict[str, Strike]] = {
    "SQS: 503": Strike(
        "queue", _RECEIVE, lambda: do.refused(503, "ServiceUnavailable"), after=1, times=3
    ),
    "SQS: throttled": Strike(
        "queue", _DELETE, lambda: do.refused(400, "RequestThrottled"), times=2
    ),
    "SQS: too many in flight": Strike(
        "queue", _RECEIVE, lambda: do.refused(403, "OverLimit"), after=5
    ),
    "SQS: credentials expired": Strike(
        "queue", _RECEIVE, lambda: do.refused(400, "ExpiredTokenException"), after=6
    ),
    "SQS: signature expired": Strike("queue", _RECEIVE, _expired, after=7),
    "SQS: reply to a receive lost": Strike("queue", _RECEIVE, do.lost_reply),
    "SQS: reply to a receive cut off": Strike("queue", _RECEIVE, lambda: do.truncated(60)),
    "SQS: reply to a receive damaged": Strike("queue", _RECEIVE, say.damaged_message, times=3),
    "SQS: receives nothing though it is there": Strike(
        "queue", _RECEIVE, lambda: say.answered("nothing", {}), times=3
    ),
    "SQS: counts nothing though it is there": Strike(
        "queue", _COUNT, lambda: say.answered("nobody", _NOBODY), after=1
    ),
    "SQS: reply to a delete lost": Strike("queue", _DELETE, do.lost_reply, after=1),
    "SQS: delete done but 500": Strike(
        "queue", _DELETE, lambda: do.done_but(500, "InternalError"), after=1
    ),
    "SQS: delete done in part": Strike(
        "queue", _DELETE, lambda: say.in_part("InternalError", sender=False), after=1
    ),
    "SQS: delete in part, receipt invalid": Strike(
        "queue", _DELETE, lambda: say.in_part("ReceiptHandleIsInvalid", sender=True), after=1
    ),
    "SQS: delete refused, receipt invalid": Strike(
        "queue", _DELETE, lambda: do.refused(400, "ReceiptHandleIsInvalid"), after=1
    ),
    "SQS: a page from between": Strike("queue", _DELETE, do.portal, after=1),
    "SQS: duplicate reply": Strike("queue", _DELETE, do.twice, after=1),
    "SQS: reset": Strike("queue", _DELETE, do.reset_unheard, after=1),
    "DynamoDB: throttled": Strike(
        "table",
        _WRITE,
        lambda: do.refused(400, "ProvisionedThroughputExceededException"),
        times=3,
    ),
    "DynamoDB: items unprocessed": Strike("table", r"\.BatchWriteItem ", say.unprocessed),
    "DynamoDB: 500": Strike(
        "table", _WRITE, lambda: do.refused(500, "InternalServerError"), times=2
    ),
    "DynamoDB: reply lost": Strike("table", _WRITE, do.lost_reply),
    "DynamoDB: denied": Strike(
        "table", _WRITE, lambda: do.refused(400, "AccessDeniedException"), times=2
    ),
    "DynamoDB: table gone": Strike(
        "table", _WRITE, lambda: do.refused(400, "ResourceNotFoundException"), times=2
    ),
    "DynamoDB: reset": Strike("table", _WRITE, do.reset_unheard),
}


def plans() -> list[Plan]:
    """One object for each: messages and rows of all are written together."""
    found = [_plan(kind, strike) for kind, strike in STRIKES.items()]
    found += [
        Plan("SQS: outage", "sqs-outage", _queue_outage),
        Plan("DynamoDB: outage", "dynamodb-outage", _table_outage),
        Plan("SQS: lease refused, receipt invalid", "sqs-lease", _lease_refused),
        Plan("SQS: lease in part, receipt invalid", "sqs-lease-in-part", _lease_in_part),
    ]
    return found


def _plan(kind: str, strike: Strike) -> Plan:
    def arrange(scene: Scene, key: str) -> None:
        scene.at(
            strike.side, strike.pattern, strike.fault(), after=strike.after, times=strike.times
        )
        for number in range(4):  # so that there is more than one batch
            scene.small(f"{key}/{number}")
        scene.small(key)

    return Plan(kind, slug(kind), arrange)


def _outage(proxy: FaultProxy) -> Callable[[], None]:
    def away() -> None:
        proxy.down()
        time.sleep(_OUTAGE)
        proxy.up()

    return lambda: threading.Thread(target=away, daemon=True).start()


def _queue_outage(scene: Scene, key: str) -> None:
    scene.at("queue", _DELETE, do.meanwhile(_outage(scene.queue)), after=6)
    scene.small(key)


def _table_outage(scene: Scene, key: str) -> None:
    scene.at("table", _WRITE, do.meanwhile(_outage(scene.table)), after=2)
    scene.large(key)


def _slow(scene: Scene, key: str) -> None:
    """An object that takes longer than a third of a lease."""
    scene.at("source", "^GET {k} by", do.latency(before=5.0))
    scene.small(key)


def _lease_refused(scene: Scene, key: str) -> None:
    scene.at("queue", _RENEW, do.refused(400, "ReceiptHandleIsInvalid"))
    _slow(scene, key)


def _lease_in_part(scene: Scene, key: str) -> None:
    scene.at("queue", _RENEW, say.in_part("ReceiptHandleIsInvalid", sender=True), after=1)
    _slow(scene, key)
