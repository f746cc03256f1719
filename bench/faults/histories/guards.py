"""The engine with one guard taken out, to show that the histories would notice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final
from unittest import mock

from sync.engine import parts, resume
from sync.engine.copier import Copier, End
from sync.engine.runner import Runner
from sync.engine.settling import Settler
from sync.engine.single import SourceGone
from sync.engine.transfer import JobState
from sync.engine.versioning import Pin, VersionPolicy, current
from sync.errors import NotFound, SourceChanged, SyncError
from sync.model import Outcome, TransferJob
from sync.ports import Delivery

Guard = Callable[[], contextlib.AbstractContextManager[Any]]


@contextlib.contextmanager
def _patched(*patches: tuple[object, str, object]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for owner, name, value in patches:
            stack.enter_context(mock.patch.object(owner, name, value))
        yield


def _without_converge() -> contextlib.AbstractContextManager[None]:
    """The source is not looked at once more after the write."""

    async def converge(self: Copier, job: TransferJob, state: JobState) -> End:
        first = self._first_read(job.source)
        meta = await self._look_if_large(job, job.size)
        for _ in range(8):
            try:
                return Outcome.COPIED, await self._write(job, state, meta, first, fresh=False), ""
            except SourceGone:
                return await self._gone(job, state)
            except SourceChanged:
                first, meta = current(job.source), None
        raise SourceChanged("it changes all the time")

    real = Copier.__init__

    def begin(self: Copier, *args: Any, **options: Any) -> None:
        real(self, *args, **options)
        self._do_copy = self._converge

    return _patched((Copier, "_converge", converge), (Copier, "__init__", begin))


def _without_relook() -> contextlib.AbstractContextManager[None]:
    """The source is not looked at once more after a delete."""

    async def remove(self: Copier, job: TransferJob, state: JobState) -> End:
        if not self._context.options.sync_deletes:
            return Outcome.IGNORED, None, "SyncDeletes is off"
        if not await self._really_gone(job):
            return await self._exists_after_all(job, state)
        await self._delete(job, state)
        return Outcome.DELETED, None, ""

    real = Copier.__init__

    def begin(self: Copier, *args: Any, **options: Any) -> None:
        real(self, *args, **options)
        self._do_delete = self._remove

    return _patched((Copier, "_remove", remove), (Copier, "__init__", begin))


def _early_acknowledgement() -> contextlib.AbstractContextManager[None]:
    """Messages are acknowledged when they are taken, before anything is verified."""
    real, done = Runner._process, Settler._acknowledge  # noqa: SLF001  to be taken out

    async def process(self: Runner, delivery: Delivery, states: list[JobState]) -> None:
        done(self._settler, delivery)
        await real(self, delivery, states)

    return _patched((Runner, "_process", process), (Settler, "_acknowledge", lambda *_: None))


def _resume_anything() -> contextlib.AbstractContextManager[None]:
    """An open upload is gone on with, whatever version it is of."""

    def standing(_identity: object, *, default_part_size: int, **_rest: Any) -> Any:
        return resume.Standing.OURS, default_part_size

    return _patched((resume, "standing", standing))


def _without_grace() -> contextlib.AbstractContextManager[None]:
    """A write whose reply was lost is not waited for."""

    async def no_wait(_self: Copier, state: JobState) -> None:
        state.unknown_write = False

    return _patched((Copier, "_wait_for_late_writes", no_wait))


def _without_pin() -> contextlib.AbstractContextManager[None]:
    """Parts are read of whatever version is current (pin and the look at its reply)."""
    return _patched(
        (VersionPolicy, "pin", lambda _self, ref, _identity: Pin(current(ref))),
        (parts, "_same_version", lambda _found, _wanted: None),
    )


def _skip_deletes() -> contextlib.AbstractContextManager[None]:
    """A delete event of an object that exists is skipped without a look at the destination."""

    async def skip(*_args: object) -> End:
        return Outcome.SKIPPED, None, "it exists"

    return _patched((Copier, "_exists_after_all", skip))


def _give_all_back() -> contextlib.AbstractContextManager[None]:
    """At shutdown, messages whose write is still on its way are given back early."""
    return _patched((JobState, "may_land_late", property(lambda _self: False)))


def _bury_unheard() -> contextlib.AbstractContextManager[None]:
    """A message goes although its hand-over to the dead-letter queue failed."""

    async def bury(self: Settler, delivery: Delivery, error: SyncError, reason: str = "") -> None:
        with contextlib.suppress(SyncError):
            await self._queue.dead_letter(delivery, reason or str(error), type(error).__name__)
        self._acknowledge(delivery)

    return _patched((Settler, "bury", bury))


def _trust_any_404() -> contextlib.AbstractContextManager[None]:
    """Before a delete any 404 counts, also one of the whole bucket."""

    async def gone(self: Copier, job: TransferJob) -> bool:
        try:
            async with self._context.source.open(current(job.source)):
                return False
        except NotFound:
            return True

    return _patched((Copier, "_really_gone", gone))


def _settle_all_as_done() -> contextlib.AbstractContextManager[None]:
    """A message some of whose jobs failed is acknowledged all the same."""

    async def settle(self: Settler, delivery: Delivery, _endings: object) -> None:
        self.done(delivery)

    return _patched((Settler, "settle", settle))


GUARDS: Final[dict[str, Guard]] = {
    "converge": _without_converge,
    "delete-relook": _without_relook,
    "ack-rule": _early_acknowledgement,
    "same-version-resume": _resume_anything,
    "late-write-grace": _without_grace,
    "pin": _without_pin,
    "delete-of-existing": _skip_deletes,
    "lease-of-late-writes": _give_all_back,
    "burial": _bury_unheard,
    "missing-bucket": _trust_any_404,
    "failed-jobs": _settle_all_as_done,
}
"""By name: a context in which the engine lacks it."""
