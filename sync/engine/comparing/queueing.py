"""What a comparison finds, made into jobs: ignore list, time limits, archives apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from sync.engine.comparing.compare import Difference, Finding, Window
from sync.messages import destination_key
from sync.model import BucketPair, JobKind, ListedObject, ObjectRef, TransferJob

TO_COPY: Final = frozenset(Difference) - {Difference.ARCHIVED, Difference.EXTRANEOUS}


class Sender(Protocol):
    """Takes jobs."""

    async def add(self, job: TransferJob) -> None:
        """Take one; raises where earlier ones could not be sent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which differences are acted on. Times are POSIX timestamps of the source's modification:
    from ``since`` on, before ``until``. ``ignored`` gives the pattern that an object matches.
    """

    since: float | None = None
    until: float | None = None
    ignored: Callable[[ObjectRef], str | None] = lambda _ref: None

    def in_time(self, entry: ListedObject) -> bool:
        """True for an object modified within the limits."""
        at = entry.last_modified
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


@dataclass(slots=True)
class Outcome:
    """What became of the differences of one pair. ``reasons`` counts the queued ones."""

    queued: int = 0
    queued_bytes: int = 0
    ignored: int = 0
    out_of_time: int = 0
    archived: int = 0
    extraneous: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


class Queueing:
    """Takes the windows of one pair's comparison. ``sender`` None: only counts (a dry run).

    ``told`` hears of each finding with what is done about it: ``queue``, ``ignore``,
    ``out-of-time``, ``archived`` or ``extraneous``. Of the objects that only the destination
    has, the first ``keep_extraneous`` are kept in ``extraneous``, by their source key.
    """

    def __init__(
        self,
        pair: BucketPair,
        *,
        sender: Sender | None,
        wanted: Wanted,
        told: Callable[[str, Finding, TransferJob], None] | None = None,
        keep_extraneous: int = 0,
    ) -> None:
        self._pair = pair
        self._sender = sender
        self._wanted = wanted
        self._told = told
        self._keep = keep_extraneous
        self.outcome = Outcome()
        self.extraneous: list[str] = []

    async def take(self, window: Window) -> None:
        """Act on the differences of a stretch of keys."""
        for finding in window.findings:
            job = job_of(self._pair, finding)
            action = self._action(finding, job)
            self._count(action, finding)
            if action == "queue" and self._sender is not None:
                await self._sender.add(job)
            if self._told is not None:
                self._told(action, finding, job)

    def _action(self, finding: Finding, job: TransferJob) -> str:
        if self._wanted.ignored(job.source):
            return "ignore"
        if finding.source is not None and not self._wanted.in_time(finding.source):
            return "out-of-time"
        return "queue" if finding.kind in TO_COPY else finding.kind.value

    def _count(self, action: str, finding: Finding) -> None:
        outcome = self.outcome
        if action == "queue":
            outcome.queued += 1
            outcome.queued_bytes += finding.source.size if finding.source else 0
            outcome.reasons[finding.kind.value] += 1
        elif action == "extraneous":
            outcome.extraneous += 1
            if len(self.extraneous) < self._keep:
                self.extraneous.append(finding.key)
        elif action == "archived":
            outcome.archived += 1
        elif action == "ignore":
            outcome.ignored += 1
        else:
            outcome.out_of_time += 1


def job_of(pair: BucketPair, finding: Finding) -> TransferJob:
    """The copy that would mend the difference; for an extraneous object, the delete."""
    extraneous = finding.kind is Difference.EXTRANEOUS
    entry = finding.source
    return TransferJob(
        JobKind.DELETE if extraneous else JobKind.COPY,
        ObjectRef(pair.source_bucket, finding.key, entry.version_id if entry else None),
        ObjectRef(pair.destination_bucket, destination_key(pair.destination_prefix, finding.key)),
        size=entry.size if entry else None,
        event_name="jobsender",
    )
