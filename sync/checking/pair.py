"""One pair of buckets: listed, looked at closer, and what differs looked at again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from sync.backfill.looking import closer_look
from sync.backfill.opening import Parts
from sync.backfill.progress import tell_progress
from sync.checking.classes import CHANGING, FAILED
from sync.checking.findings import Entry, Findings
from sync.checking.options import CheckOptions
from sync.checking.result import PairResult
from sync.engine.comparing.closer_look import KnownCopy, Look, same_difference
from sync.engine.comparing.compare import Difference, Finding, Pair, Window
from sync.engine.comparing.comparison import Comparison
from sync.engine.comparing.queueing import TO_COPY, Wanted, job_of
from sync.engine.comparing.reading import Side
from sync.engine.comparing.sampling import sample
from sync.engine.comparing.sending import JobSender
from sync.engine.comparing.spool import Spool, Waiting
from sync.engine.comparing.together import together
from sync.errors import CredentialsRejected, NoSuchBucket, SyncError
from sync.model import BucketPair, ListedObject, ObjectRef
from sync.wiring import connections

_SECOND_LOOKS_AT_ONCE: Final = 32
_LOOKS: Final = 4
_FAILURES_IN_A_ROW: Final = 100


class PairCheck:
    """Checks one pair. Differences go to ``findings`` and, with a ``sender``, into the queue."""

    def __init__(
        self,
        parts: Parts,
        pair: BucketPair,
        options: CheckOptions,
        findings: Findings,
        *,
        sender: JobSender | None = None,
        known: KnownCopy | None = None,
    ) -> None:
        self._parts = parts
        self._pair = pair
        self._options = options
        self._findings = findings
        self._sender = sender
        self._clock = parts.clock
        self._wanted = Wanted(since=options.since, until=options.until, ignored=parts.ignored)
        self._chosen: Callable[[str], bool] = sample(options.sample, options.seed)
        self._lookers = connections(parts.settings)
        self._closely: asyncio.Queue[Pair | None] = asyncio.Queue(2 * self._lookers)
        self._look = closer_look(parts, pair, how=options.how, depth=options.depth, known=known)
        self._failures = 0
        self.result = PairResult(pair)

    async def run(self) -> PairResult:
        """Do it. What ends the pair early is in the result's error, not raised."""
        begun = time.monotonic()
        sent = self._sender.sent if self._sender else 0
        progress = self._progress()
        try:
            with ExitStack() as stack:
                sides = stack.enter_context(self._parts.sides(self._pair, sort=self._options.sort))
                self._spool = stack.enter_context(Spool())
                await self._check(*sides)
        except SyncError as error:
            self.result.error = f"{self._pair}: not compared to its end: {error}"
        finally:
            progress.cancel()
            await asyncio.gather(progress, return_exceptions=True)
        self.result.queued = self._sender.sent - sent if self._sender else 0
        self.result.bytes_read = self._look.bytes_read
        self.result.seconds = time.monotonic() - begun
        return self.result

    async def _check(self, source: Side, destination: Side) -> None:
        comparison = Comparison(
            source,
            destination,
            how=self._options.how,
            take=self._take,
            connections=self._options.connections,
        )
        self.result.tally = comparison.tally
        await together(
            self._list(comparison),
            *(self._settle() for _ in range(_SECOND_LOOKS_AT_ONCE)),
        )
        if self._sender is not None:
            await self._sender.flush()

    async def _list(self, comparison: Comparison) -> None:
        """List both sides while the closer looks are made; then nothing more will differ."""
        closer = self._lookers if self._options.depth.closer else 0

        async def listed() -> None:
            await comparison.run()
            for _ in range(closer):
                await self._closely.put(None)

        await together(listed(), *(self._look_closer() for _ in range(closer)))
        self.result.pages = comparison.pages
        self._spool.close()

    # --- what the listings show --------------------------------------------------------

    async def _take(self, window: Window) -> None:
        for finding in window.findings:
            reason = self._aside(finding)
            if reason:
                self.result.set_aside[reason] += 1
            else:
                await self._found(finding)
        if not self._options.depth.closer:
            self.result.equal_by["size"] += len(window.equal)
            return
        for pair in window.equal:
            await self._offer(pair)

    async def _offer(self, pair: Pair) -> None:
        if not self._chosen(pair[0].key):
            self.result.equal_by["size"] += 1
        elif reason := self._not_asked(pair[0].key, pair[0]):
            self.result.set_aside[reason] += 1
        else:
            await self._closely.put(pair)

    def _aside(self, finding: Finding) -> str:
        """Why a difference is not to be told, or ""."""
        if finding.kind is Difference.EXTRANEOUS and self._options.ignore_extraneous:
            return "extraneous"
        if finding.kind is Difference.ARCHIVED and self._options.ignore_archived:
            return "archived"
        return self._not_asked(finding.key, finding.source)

    def _not_asked(self, key: str, source: ListedObject | None) -> str:
        if self._wanted.ignored(ObjectRef(self._pair.source_bucket, key)):
            return "ignored"
        late = source is not None and not self._wanted.in_time(source)
        return "out_of_time" if late else ""

    # --- the closer look ---------------------------------------------------------------

    async def _look_closer(self) -> None:
        while (pair := await self._closely.get()) is not None:
            key = pair[0].key
            try:
                look = await self._look.at(pair)
            except SyncError as error:
                self._failed(Finding(Difference.CONTENT, key, *pair), error)
                continue
            self._failures = 0
            if look.changed:  # where it is looked at twice, it is seen what became of it
                self._again(Finding(Difference.CONTENT, key))
            elif look.finding is not None:
                await self._found(look.finding)
            else:
                self._equal(look, key)

    def _equal(self, look: Look, key: str) -> None:
        if look.open is not None and look.pair is not None:
            self._tell(look.open, Finding(Difference.CONTENT, key, *look.pair))
        elif look.pair is None:  # gone from both sides since they were listed
            self.result.settled += 1
        else:
            self.result.equal_by[look.equal_by] += 1
            self.result.proven_bytes += look.pair[0].size

    # --- the second look ---------------------------------------------------------------

    async def _found(self, finding: Finding) -> None:
        if self._options.settle is None:
            await self._differs(finding)
        else:
            self._again(finding)

    def _again(self, finding: Finding) -> None:
        self._spool.put(finding, self._clock.monotonic())
        self.result.waiting = self._spool.waiting

    async def _settle(self) -> None:
        while (waiting := await self._spool.get()) is not None:
            try:
                look = await self._look_again(waiting)
            except SyncError as error:
                self._failed(waiting.finding, error)
            else:
                self._failures = 0
                await self._conclude(look, waiting.finding)
            self.result.waiting = self._spool.waiting

    async def _look_again(self, waiting: Waiting) -> Look:
        """Until two looks one after the other find the same; ``changed`` where none do."""
        before, due = waiting.finding, waiting.found_at
        closely = self._options.depth.closer and self._chosen(before.key)
        for _ in range(_LOOKS):
            due += self._options.settle or 0.0
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            look = await self._look.again(before, closely=closely)
            due = self._clock.monotonic()
            if look.changed:
                continue
            if look.finding is None or same_difference(before, look.finding):
                return look
            before = look.finding
        return Look(before, changed=True)

    async def _conclude(self, look: Look, before: Finding) -> None:
        if look.changed:
            self._tell(CHANGING, look.finding or before)
        elif look.finding is not None:
            await self._differs(look.finding)
        elif look.open is not None:
            self._equal(look, before.key)
        else:
            self.result.settled += 1

    # --- what is told ------------------------------------------------------------------

    async def _differs(self, finding: Finding) -> None:
        reason = self._aside(finding)  # what it is may have changed since it was found
        if reason:
            self.result.set_aside[reason] += 1
            return
        self._tell(finding.kind, finding)
        if self._sender is not None and finding.kind in TO_COPY:
            await self._sender.add(job_of(self._pair, finding))

    def _failed(self, finding: Finding, error: SyncError) -> None:
        """One object that cannot be compared is told; where none can, the pair ends."""
        self._failures += 1
        if isinstance(error, NoSuchBucket | CredentialsRejected):
            raise error
        self._tell(FAILED, finding._replace(detail=str(error)))
        if self._failures >= _FAILURES_IN_A_ROW:
            raise SyncError(f"{self._failures} objects in a row could not be compared: {error}")

    def _tell(self, kind: str, finding: Finding) -> None:
        self.result.told[kind] += 1
        _, key, source, destination, detail = finding
        self._findings.add(Entry(self._pair, str(kind), key, source, destination, detail))

    def _progress(self) -> asyncio.Task[None]:
        async def tell() -> None:
            if self._options.progress:
                await tell_progress(
                    self._counts,
                    every=self._options.progress,
                    expect=self._options.expect,
                    clock=self._clock,
                )

        return asyncio.create_task(tell())

    def _counts(self) -> dict[str, int]:
        result = self.result
        return {
            "source_objects": result.tally.source_objects,
            "equal": result.equal,
            "told": result.told.total(),
            "waiting": result.waiting,
            "bytes_read": self._look.bytes_read,
        }
