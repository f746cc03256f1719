"""Observers: what the engine tells becomes log lines and figures."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from sync.model import Outcome, TransferResult
from sync.ports import TransferObserver
from sync.telemetry.lines import LOGGER, Line, hand_in, write

_QUIET: Final = frozenset(
    {
        "connections",
        "draining",
        "nothing-to-do",
        "resumed",
        "retry",
        "upload-aborted",
        "upload-begun",
    }
)
_LOUD: Final = frozenset({"bug", "breaker-open", "not-dead-lettered"})


class LogObserver:
    """One line for each finished object, and one for each event worth telling."""

    def job_finished(self, result: TransferResult) -> None:
        """The line of one object."""
        level = logging.WARNING if result.outcome is Outcome.FAILED else logging.INFO
        if LOGGER.isEnabledFor(level):
            hand_in(level, _Finished(result))

    def event(self, name: str, detail: Mapping[str, object]) -> None:
        """The line of one event."""
        level = logging.WARNING
        if name in _QUIET:
            level = logging.INFO
        elif name in _LOUD:
            level = logging.ERROR
        if LOGGER.isEnabledFor(level):
            said = ", ".join(f"{key} {value}" for key, value in detail.items())
            write(level, f"{name}: {said}", {"event": name, **detail})


class _Finished(Line):
    __slots__ = ("_result",)

    def __init__(self, result: TransferResult) -> None:
        self._result = result

    def __str__(self) -> str:
        return sentence(self._result)

    def fields(self) -> dict[str, object]:
        return fields(self._result)


def lag(result: TransferResult) -> float | None:
    """Seconds from the change at the source to the end of the job, where both are known."""
    if result.job.event_time is None or not result.finished_at:
        return None
    return max(0.0, result.finished_at - result.job.event_time)


def fields(result: TransferResult) -> dict[str, object]:
    """The finished object for machines."""
    found = lag(result)
    line: dict[str, object] = {
        "event": "object",
        "outcome": str(result.outcome),
        "source": str(result.job.source),
        "destination": str(result.job.destination),
        "version_id": result.identity.version_id if result.identity else None,
        "size": result.identity.size if result.identity else result.job.size,
        "bytes": result.bytes_moved,
        "seconds": round(result.seconds, 3),
        "parts_sent": result.parts_sent,
        "parts_reused": result.parts_reused,
        "rounds": result.rounds,
        "lag": round(found, 3) if found is not None else None,
        "reason": result.reason,
    }
    if result.error:
        line["error"] = result.error
    return line


def sentence(result: TransferResult) -> str:
    """The finished object for people."""
    job, moved = result.job, result.bytes_moved
    if result.outcome is Outcome.COPIED:
        head = f"--->Complete {moved} Bytes {job.source} to {job.destination}"
    else:
        head = f"{result.outcome} {job.source}"
    tail = f" in {result.seconds:.3f} s"
    if result.parts_sent or result.parts_reused:
        tail += f", {result.parts_sent} parts sent, {result.parts_reused} reused"
    if result.error:
        tail += f", {result.error}"
    return head + tail + (f", {result.reason}" if result.reason else "")


class Observers:
    """Tells several observers the same. A failing observer is never the job's business."""

    def __init__(self, observers: Sequence[TransferObserver]) -> None:
        self._observers = tuple(observers)

    def job_finished(self, result: TransferResult) -> None:
        """Pass it on."""
        for observer in self._observers:
            try:
                observer.job_finished(result)
            except Exception:
                logging.getLogger("3gsync").exception("an observer failed")

    def event(self, name: str, detail: Mapping[str, object]) -> None:
        """Pass it on."""
        for observer in self._observers:
            try:
                observer.event(name, detail)
            except Exception:
                logging.getLogger("3gsync").exception("an observer failed")
