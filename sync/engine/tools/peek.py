"""Looking at messages without taking them away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sync.errors import ConfigError
from sync.ports import Delivery, JobQueue

MOST: Final = 100
_LEASE: Final = 30.0
_WAIT: Final = 1.0
# Receipts that must stay for workers: one that takes the message, one after it has failed.
_SPARE: Final = 2
_BATCH: Final = 10


@dataclass(frozen=True, slots=True)
class Peeked:
    """Messages, and whether more were not looked at because one has hardly a receipt left.

    ``kept`` could not be given back: they come back by themselves in half a minute.
    """

    messages: tuple[Delivery, ...]
    stopped: bool
    kept: int


async def peek(
    queue: JobQueue, count: int, *, max_receive_count: int = 0, force: bool = False
) -> Peeked:
    """Up to ``count`` messages, received and given back at once: each costs it a receipt.

    ``max_receive_count`` (0: none) is after how many receipts SQS moves a message away.
    ConfigError, unless forced, for more than 100 messages or so few receipts that looking
    would use them up.
    """
    if not force:
        _check(count, max_receive_count)
    found: dict[str, Delivery] = {}
    kept: list[Delivery] = []
    stopped = False
    try:
        # All are held until the last is there: else the first would come again and again.
        while len(found) < count and not stopped:
            room = min(_BATCH, count - len(found))
            batch = await queue.receive(room, wait=_WAIT, lease=_LEASE)
            found |= {delivery.message_id: delivery for delivery in batch}
            worn = any(_worn(delivery, max_receive_count) for delivery in batch)
            stopped = worn and not force and len(found) < count
            if not batch:
                break
    finally:
        kept = await queue.extend(list(found.values()), 0)
    return Peeked(tuple(found.values()), stopped, len(kept))


def _check(count: int, max_receive_count: int) -> None:
    if count > MOST:
        raise ConfigError(
            f"-n {count}: workers would wait for these messages; look at {MOST} at the most, or "
            "say --force"
        )
    if 0 < max_receive_count <= _SPARE:
        raise ConfigError(
            f"the queue moves a message away after {max_receive_count} receipts and looking "
            "takes one: raise maxReceiveCount, or say --force"
        )


def _worn(delivery: Delivery, max_receive_count: int) -> bool:
    return max_receive_count - delivery.attempt < _SPARE if max_receive_count else False
