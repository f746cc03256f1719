"""Both sides of one object, looked at before anything is written, or in place of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

from sync.engine.equality import MISSING, Different, Likeness, likeness
from sync.engine.transfer import Context, Sides
from sync.engine.versioning import current
from sync.engine.window import LeftOut
from sync.errors import NoSuchBucket, NotFound, SourceChanged, SyncError
from sync.model import ObjectMeta, ObjectRef, Outcome, TransferJob

T = TypeVar("T")
_ROUNDS: Final = 5
_NO_PROOF: Final = "by size; neither checksums nor ETags of both sides can be compared"


class Compared(NamedTuple):
    """What was found. ``source`` None: there is none; ``likeness`` None: the destination has
    none. ``tagging`` are the tags that a copy would have.
    """

    source: ObjectMeta | None
    likeness: Likeness | None
    tagging: str = ""


class Comparer:
    """Looks at both sides of an object. Errors of a store are raised as they are, after retries:
    what cannot be looked at is never taken for missing, nor for different.
    """

    def __init__(self, context: Context, sides: Sides) -> None:
        self._context = context
        self._sides = sides

    async def compare(self, job: TransferJob) -> Compared:
        """Source first, then destination; LeftOut where the source's time is not wanted."""
        sides, options = self._sides, self._context.options
        source = await self._ask(sides.source.described, current(job.source))
        if source is None:
            return Compared(None, None)
        if self._context.window is not None:
            self._context.window.check(job.source, source)
        destination = await self._ask(sides.destination.described, job.destination)
        if destination is None:
            return Compared(source, None)
        dialect = self._context.destination.dialect
        tagging = None
        if options.copy_tags and dialect.has_tags:
            tagging = await self._ask(sides.destination.tagging, job.destination)
            if tagging is None:
                return Compared(source, None)
        wanted = await self._ask(lambda _ref: self._context.headers(job, source), job.source)
        if wanted is None:
            raise SourceChanged(f"{job.source} changed while it was being looked at")
        found = likeness(
            source,
            destination,
            wanted=wanted,
            headers=options.preserve_metadata,
            tagging=tagging,
            dialect=dialect,
        )
        return Compared(source, found, wanted.tagging)

    async def exists(self, ref: ObjectRef) -> bool:
        """True where the destination has such an object."""
        return await self._ask(self._sides.destination.described, ref) is not None

    async def still(self, job: TransferJob, meta: ObjectMeta) -> bool:
        """True where that is the source's current version still."""
        found = await self._ask(self._sides.source.current, current(job.source))
        return found == meta.identity

    async def set_tags(self, job: TransferJob, tagging: str) -> None:
        """Give the destination's object these tags."""

        async def put(_last: SyncError | None) -> None:
            async with self._context.slots:
                await self._sides.copies.put_tagging(job.destination, tagging)

        await self._context.retry.run(job.destination, put, doing="tag ")

    def _ask(self, ask: Callable[[ObjectRef], Awaitable[T]], ref: ObjectRef) -> Awaitable[T | None]:
        async def attempt(_last: SyncError | None) -> T | None:
            async with self._context.slots:
                try:
                    return await ask(ref)
                except NoSuchBucket:
                    raise
                except NotFound:
                    return None

        return self._context.retry.run(ref, attempt, doing="look at ")


class Checker:
    """TransferMode = check: compares, and writes nothing."""

    def __init__(self, context: Context, comparer: Comparer) -> None:
        self._context = context
        self._comparer = comparer

    async def run(self, job: TransferJob) -> tuple[Outcome, str]:
        """SKIPPED where both sides are equal, with what they are equal by; Different else.

        A difference counts only while the source has not changed meanwhile.
        """
        try:
            for _ in range(_ROUNDS):
                found = await self._comparer.compare(job)
                if found.source is None:
                    return await self._gone(job)
                reasons = (MISSING,) if found.likeness is None else found.likeness.reasons
                if not reasons and found.likeness is not None:
                    return Outcome.SKIPPED, f"equal: {found.likeness.proof or _NO_PROOF}"
                if await self._comparer.still(job, found.source):
                    raise Different(f"{job.source} differs: {'; '.join(reasons)}")
        except LeftOut as why:
            return Outcome.SKIPPED, str(why)
        raise SourceChanged(f"{job.source} changed {_ROUNDS} times while it was being compared")

    async def _gone(self, job: TransferJob) -> tuple[Outcome, str]:
        if self._context.options.sync_deletes and await self._comparer.exists(job.destination):
            raise Different(f"{job.source} differs: it is deleted, the destination still has it")
        return Outcome.GONE, "the source object is gone"
