"""What becomes of a message once its jobs have ended: deleted, given back, or dead-lettered.

A message is deleted here and nowhere else, in ``_acknowledge``: after every job of it ended in
a verified copy or an explicit skip, or after its hand-over to the dead-letter queue.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from sync.engine.batches import Batcher
from sync.engine.breaker import CircuitBreaker
from sync.engine.options import RunnerOptions
from sync.engine.retry import backoff
from sync.engine.transfer import JobState
from sync.errors import Draining, JobTimedOut, SyncError, Verdict
from sync.messages import encode_batch, is_batch
from sync.model import Outcome, TransferJob
from sync.ports import Clock, Delivery, JobQueue, TransferObserver

_LONGEST_DELAY: Final = 900.0
_LONGEST_BATCH_DELAY: Final = 15.0
_LONGEST_STAY: Final = 30.0
_FAILURES_LISTED: Final = 1000
_ENDED_REMEMBERED: Final = 4096


@dataclass(slots=True)
class RunReport:
    """What a worker did. ``failing`` are messages whose last attempt failed, with the reason;
    ``taken_over`` the last of those that ended here after somebody else had been given them.
    """

    messages: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    bytes_moved: int = 0
    parts_reused: int = 0
    dead_lettered: list[str] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)
    taken_over: deque[str] = field(default_factory=partial(deque, maxlen=_ENDED_REMEMBERED))

    @property
    def well(self) -> bool:
        """True where nothing failed for good and nothing is left failing."""
        return not self.dead_lettered and not self.failing


class Ending(NamedTuple):
    """How one job of a message ended."""

    error: SyncError | None
    state: JobState
    job: TransferJob


class Settler:
    """Answers the queue for messages."""

    def __init__(
        self,
        queue: JobQueue,
        *,
        options: RunnerOptions,
        late_write_grace: float,
        breaker: CircuitBreaker,
        report: RunReport,
        clock: Clock,
        observer: TransferObserver,
    ) -> None:
        self._queue = queue
        self._options = options
        self._grace = late_write_grace
        self._breaker = breaker
        self._report = report
        self._clock = clock
        self._observer = observer
        self._acks: Batcher[Delivery] = Batcher(queue.acknowledge, failed=self._not_acknowledged)
        self._returning: dict[str, float] = {}
        self._parked: set[str] = set()
        self._ended: deque[str] = deque(maxlen=_ENDED_REMEMBERED)

    def received(self, delivery: Delivery) -> None:
        """A message came (back)."""
        self._returning.pop(delivery.message_id, None)
        self._parked.discard(delivery.message_id)

    @property
    def parked(self) -> int:
        """Messages that can neither be carried out nor be handed over, left in the queue."""
        return len(self._parked)

    @property
    def awaits_returns(self) -> bool:
        """True while a message given back here is still to come back."""
        now = self._clock.monotonic()
        self._returning = {m: t for m, t in self._returning.items() if t > now}
        return bool(self._returning)

    async def flush(self) -> None:
        """Have all acknowledgements answered."""
        await self._acks.flush()

    def done(self, delivery: Delivery) -> None:
        """All jobs of the message ended well."""
        self._report.failing.pop(delivery.message_id, None)
        self._acknowledge(delivery)

    async def settle(self, delivery: Delivery, endings: Sequence[Ending]) -> None:
        """Decide by the endings of all jobs of the message, of which some failed."""
        failed = [ending for ending in endings if ending.error is not None]
        again = [e for e in failed if e.error and e.error.verdict is Verdict.REDELIVER]
        worst = (again or failed)[0]
        assert worst.error is not None
        tries = delivery.attempt + max(ending.state.stays for ending in failed)
        if not again or self._worn_out(tries, worst.error):
            await self.bury(_rest_of(delivery, endings, failed), worst.error, _reasons(failed))
        else:
            self._list_failure(delivery, worst.error)
            await self.give_back(delivery, self._delay(delivery, failed))

    async def stays(self, delivery: Delivery, error: SyncError, state: JobState) -> bool:
        """True where a job that failed is to be done again in hand, since a write of it may have
        landed late; then it must have, for that has been waited for.
        """
        if not state.may_land_late and not state.stays:
            return False
        if error.verdict is not Verdict.REDELIVER or isinstance(error, Draining):
            return False
        if self._worn_out(delivery.attempt + state.stays, error):
            return False
        state.stays += 1
        pause = 1.0 + backoff(state.stays, base=1.0, cap=_LONGEST_STAY)
        await self._clock.sleep(max(pause, self._grace))
        state.unknown_write = state.unanswered = False
        return True

    def _worn_out(self, tries: int, error: SyncError) -> bool:
        """Has it failed often enough? Time-outs with progress and drains do not count."""
        if isinstance(error, Draining | JobTimedOut):
            return False
        if error.breaker and self._breaker.reason:
            return False
        return tries >= self._options.max_receives

    def _delay(self, delivery: Delivery, failed: Sequence[Ending]) -> float:
        delay = 1.0 + backoff(delivery.attempt, base=1.0, cap=self._longest_delay)
        if any(isinstance(ending.error, Draining) for ending in failed):
            delay = 0.0
        if any(e.state.may_land_late for e in failed):
            delay = max(delay, self._grace)
        return delay

    @property
    def _longest_delay(self) -> float:
        return _LONGEST_BATCH_DELAY if self._options.until_empty else _LONGEST_DELAY

    def _acknowledge(self, delivery: Delivery) -> None:
        self._ended.append(delivery.message_id)
        if delivery.attempt > 1:
            self._report.taken_over.append(delivery.message_id)
        self._acks.add(delivery)

    def _not_acknowledged(self, deliveries: Sequence[Delivery], why: str) -> None:
        self._observer.event("not-acknowledged", {"count": len(deliveries), "error": why})

    async def give_back(self, delivery: Delivery, delay: float) -> None:
        """Make the message visible again after ``delay`` seconds."""
        if self._options.until_empty:  # nobody else asks, and it may come back to another worker
            self._returning[delivery.message_id] = self._clock.monotonic() + delay + 1.0
        try:
            await self._queue.extend([delivery], delay)
        except SyncError as error:
            self._observer.event("not-given-back", {"error": str(error)})

    async def bury(self, delivery: Delivery, error: SyncError, reason: str = "") -> None:
        """Hand over to the dead-letter queue; only then may the message go."""
        code = type(error).__name__
        try:
            handed_over = await self._queue.dead_letter(delivery, reason or str(error), code)
        except SyncError as refusal:
            self._observer.event("not-dead-lettered", {"error": str(refusal)})
            handed_over = False
        if handed_over:
            self._note_burial(delivery, error)
            self._acknowledge(delivery)
        else:
            self._list_failure(delivery, error)
            await self.give_back(delivery, self._longest_delay)
            self._returning.pop(delivery.message_id, None)  # no use to wait for this one
            self._parked.add(delivery.message_id)

    def _note_burial(self, delivery: Delivery, error: SyncError) -> None:
        self._report.outcomes[Outcome.DEAD_LETTERED] += 1
        self._report.failing.pop(delivery.message_id, None)
        if len(self._report.dead_lettered) < _FAILURES_LISTED:
            self._report.dead_lettered.append(str(error))
        code = type(error).__name__
        detail = {"message": delivery.message_id, "reason": str(error), "code": code}
        self._observer.event("dead-lettered", detail)

    def _list_failure(self, delivery: Delivery, error: SyncError) -> None:
        if isinstance(error, Draining):
            return
        if delivery.message_id in self._ended:  # handed out twice, and the other one did it
            return
        if len(self._report.failing) < _FAILURES_LISTED:
            self._report.failing[delivery.message_id] = str(error)


def _rest_of(delivery: Delivery, endings: Sequence[Ending], failed: Sequence[Ending]) -> Delivery:
    """Of a batch of keys the message with those that failed; every other message as it is."""
    jobs = [ending.job for ending in failed]
    if len(jobs) == len(endings) or not all(map(is_batch, jobs)):
        return delivery
    return delivery._replace(body=encode_batch(jobs))


def _reasons(failed: Sequence[Ending]) -> str:
    if len(failed) == 1:
        return ""
    return f"{len(failed)} keys: " + "; ".join(str(ending.error) for ending in failed)
