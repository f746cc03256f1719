"""One pair of buckets: compared, and what is missing queued."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sync.backfill.checkpoint import Checkpoint, CheckpointNotWritten, Progress
from sync.backfill.deletes import delete_extraneous
from sync.backfill.looking import closer_look
from sync.backfill.opening import Parts
from sync.backfill.options import JobsenderOptions
from sync.backfill.progress import tell_progress
from sync.backfill.records import Records
from sync.engine.comparing.checksum_look import ChecksumLook
from sync.engine.comparing.closer_look import Depth
from sync.engine.comparing.compare import Comparing, Finding, Tally
from sync.engine.comparing.comparison import Comparison, Refine, in_turn
from sync.engine.comparing.keyspace import KeyRange
from sync.engine.comparing.queueing import Outcome, Queueing, Wanted
from sync.engine.comparing.sending import JobSender
from sync.engine.comparing.version_look import VersionLook
from sync.errors import SyncError
from sync.model import BucketPair, TransferJob
from sync.telemetry.lines import write

_SAVE_EVERY: Final = 15.0
_SHOWN: Final = 20
Told = Callable[[str, Finding, TransferJob], None]


@dataclass(slots=True)
class PairReport:
    """What a pair came to. ``errors`` is empty where all went well; with one the counts are of
    what was done until then, and say nothing about the rest.
    """

    pair: BucketPair
    tally: Tally = field(default_factory=Tally)
    outcome: Outcome = field(default_factory=Outcome)
    pages: int = 0
    messages: int = 0
    unverified: int = 0
    deleted: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """The counts, by the names that docs/backfill.md explains."""
        return {
            "source_objects": self.tally.source_objects,
            "source_bytes": self.tally.source_bytes,
            "destination_objects": self.tally.destination_objects,
            "equal": self.tally.equal,
            "queued": self.outcome.queued,
            "queued_bytes": self.outcome.queued_bytes,
            "messages": self.messages,
            "ignored": self.outcome.ignored,
            "out_of_time": self.outcome.out_of_time,
            "archived": self.outcome.archived,
            "unverified": self.unverified,
            "extraneous": self.outcome.extraneous,
            "deleted": self.deleted,
            "pages": self.pages,
        }


class PairRun:
    """Compares one pair and queues what is missing."""

    def __init__(
        self,
        parts: Parts,
        pair: BucketPair,
        options: JobsenderOptions,
        checkpoint: Checkpoint | None,
    ) -> None:
        self._parts = parts
        self._pair = pair
        self._options = options
        self._checkpoint = checkpoint
        self._before = checkpoint.progress(pair) if checkpoint else Progress()
        self._sender = None if options.dry_run else _sender(parts, options)
        self._queueing: Queueing | None = None
        self._checksums: ChecksumLook | None = None
        self._shown = 0
        self.report = PairReport(pair)

    async def run(self) -> PairReport:
        """Do it. What fails is in the report's errors, not raised."""
        begun = time.monotonic()
        left = self._before.left
        try:
            if left is None or left:
                await self._compare(left or [])
            await self._delete()
        except SyncError as error:
            self.report.errors.append(f"{self._pair}: {error}")
        self.report.seconds = time.monotonic() - begun
        return self.report

    async def _compare(self, ranges: list[KeyRange]) -> None:
        options, report = self._options, self.report
        with ExitStack() as stack:
            source, destination = stack.enter_context(
                self._parts.sides(self._pair, sort=options.sort)
            )
            queueing = self._queueing = self._prepared(stack)
            report.outcome = queueing.outcome
            how = Comparing(
                etag=options.etag, modified=options.modified, archived_too=options.archived_too
            )
            comparison = Comparison(
                source,
                destination,
                how=how,
                take=queueing.take,
                refine=self._closer(how),
                ranges=ranges,
                connections=options.connections,
            )
            report.tally = comparison.tally
            async with self._accompanied(comparison):
                await comparison.run()
            report.pages = comparison.pages
            if self._checksums is not None:
                report.unverified = self._checksums.unverified

    def _prepared(self, stack: ExitStack) -> Queueing:
        options = self._options
        tellers: list[Told] = [self._show] if options.dry_run else []
        if options.backup is not None:
            records = stack.enter_context(Records(options.backup, self._pair))
            tellers.append(records.told)

        def told(action: str, finding: Finding, job: TransferJob) -> None:
            for tell in tellers:
                tell(action, finding, job)

        queueing = Queueing(
            self._pair,
            sender=self._sender,
            wanted=Wanted(since=options.since, until=options.until, ignored=self._parts.ignored),
            told=told if tellers else None,
            keep_extraneous=options.delete_extraneous + 1,
        )
        queueing.extraneous += self._before.extraneous
        queueing.outcome.extraneous = len(self._before.extraneous)
        return queueing

    def _closer(self, how: Comparing) -> Refine | None:
        """What looks at pairs of equal size: by version ids, then by checksums."""
        looks: list[Refine] = []
        if self._parts.copied is not None:
            looks.append(VersionLook(self._pair.source_bucket, self._parts.copied).refine)
        if self._options.checksum:
            depth = Depth(checksum=True)
            look = ChecksumLook(closer_look(self._parts, self._pair, how=how, depth=depth))
            self._checksums = look
            looks.append(look.refine)
        return in_turn(looks) if looks else None

    @asynccontextmanager
    async def _accompanied(self, comparison: Comparison) -> AsyncIterator[None]:
        """Lines of progress and checkpoints meanwhile; at a good end all jobs are in the queue."""
        helpers = [asyncio.create_task(self._save_for_ever(comparison))]
        if self._options.progress:
            known = self._checkpoint.expected(self._pair) if self._checkpoint else 0
            helpers.append(
                asyncio.create_task(
                    tell_progress(
                        self.report.figures,
                        every=self._options.progress,
                        expect=self._options.expect or known,
                        clock=self._parts.clock,
                    )
                )
            )
        try:
            yield
            await self._flush()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await self._save_the_end(comparison)

    async def _save_for_ever(self, comparison: Comparison) -> None:
        while self._checkpoint is not None:
            await self._parts.clock.sleep(_SAVE_EVERY)
            try:
                await self._save(comparison)
            except CheckpointNotWritten as error:
                write(logging.WARNING, str(error), {"event": "checkpoint", "error": str(error)})

    async def _save(self, comparison: Comparison) -> None:
        """Note what is left first: what is flushed then belongs to what is noted as done."""
        left = comparison.left
        extraneous = list(self._queueing.extraneous) if self._queueing else []
        objects = self._before.objects + comparison.tally.source_objects
        await self._flush()
        if self._checkpoint is not None:
            self._checkpoint.save(self._pair, left, objects=objects, extraneous=extraneous)

    async def _save_the_end(self, comparison: Comparison) -> None:
        """A comparison that was ended by an error is gone on with where it was."""
        try:
            if self._checkpoint is not None:
                await self._save(comparison)
        except SyncError as error:
            self.report.errors.append(f"{self._pair}: the checkpoint was not written: {error}")

    async def _flush(self) -> None:
        if self._sender is not None:
            await self._sender.flush()
            self.report.messages = self._sender.messages

    async def _delete(self) -> None:
        """Only here, where both listings have come to their end without a failure."""
        cap, keys = self._options.delete_extraneous, self._before.extraneous
        if self._queueing is not None:
            keys = tuple(self._queueing.extraneous)
        if not cap or self._options.dry_run:
            return
        if len(keys) > cap:
            self.report.errors.append(
                f"{self._pair}: more objects are only at the destination than the {cap} that "
                f"--delete-extraneous allows ({self.report.outcome.extraneous}): "
                "nothing was deleted"
            )
            return
        deleted = await delete_extraneous(self._parts, self._pair, keys)
        self.report.deleted = deleted.count
        self.report.errors += deleted.failures
        for kept in deleted.kept:
            write(logging.INFO, f"kept: {kept}", {"event": "kept", "object": kept})

    def _show(self, action: str, finding: Finding, job: TransferJob) -> None:
        """The first differences of a dry run, so that one sees what it is about."""
        self._shown += 1
        if self._shown > _SHOWN:
            return
        text = f"would {action}: {job.source} ({finding.kind})"
        if action in {"archived", "extraneous"}:
            text = f"{action}: {job.source if action == 'archived' else job.destination}"
        write(logging.INFO, text, {"event": "difference", "action": action, "key": finding.key})


def _sender(parts: Parts, options: JobsenderOptions) -> JobSender:
    return JobSender(parts.queues, keys_per_message=options.keys_per_message)
