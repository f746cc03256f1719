"""Which objects are wanted by the time of their last change. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from sync.errors import SyncError
from sync.model import ObjectMeta, ObjectRef


class LeftOut(SyncError):
    """The object was not changed in the time asked for; the text says when it was."""


class Window(NamedTuple):
    """From ``since`` on and before ``until``, POSIX timestamps; None is no bound.

    The time is the source's own Last-Modified, which counts whole seconds. An object whose
    time the source does not tell is never left out.
    """

    since: float | None = None
    until: float | None = None

    def check(self, ref: ObjectRef, meta: ObjectMeta) -> None:
        """LeftOut where the object's time is outside."""
        modified = meta.last_modified
        if not modified:
            return
        if self.since is not None and modified < self.since:
            raise LeftOut(_text(ref, modified, "before ModifiedSince", self.since))
        if self.until is not None and modified >= self.until:
            raise LeftOut(_text(ref, modified, "not before NotModifiedSince", self.until))


def _text(ref: ObjectRef, modified: float, what: str, bound: float) -> str:
    return f"{ref} was last modified {_iso(modified)}, {what} {_iso(bound)}"


def _iso(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat().replace("+00:00", "Z")
