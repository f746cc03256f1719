"""Which rows of an inventory are to be copied, and why the others are not. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sync.adapters.inventory import InventoryRow
from sync.ignore import IgnoreList
from sync.model import ARCHIVED

_ARCHIVED_TIERS: Final = frozenset(
    {"ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE", "DEEP_ARCHIVE_ACCESS"}
)


class Reason(StrEnum):
    """Why a row is left out."""

    OLD_VERSION = "old-version"
    DELETE_MARKER = "delete-marker"
    OTHER_PREFIX = "other-prefix"
    OUTSIDE_TIMES = "outside-times"
    NEEDS_RESTORE = "needs-restore"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The rows that are wanted. ``since`` <= modification time < ``until`` (POSIX timestamps);
    an object whose time the inventory does not say is inside. Objects that must be restored
    before they can be read are left out unless ``archived``.
    """

    prefix: str = ""
    since: float | None = None
    until: float | None = None
    archived: bool = False
    ignore: IgnoreList = field(default_factory=IgnoreList)

    def left_out(self, row: InventoryRow) -> Reason | None:
        """Why the row is not wanted, or None where it is."""
        if not row.is_latest or row.is_delete_marker:
            return Reason.DELETE_MARKER if row.is_delete_marker else Reason.OLD_VERSION
        if not row.object.key.startswith(self.prefix):
            return Reason.OTHER_PREFIX
        if not self._inside(row.object.last_modified):
            return Reason.OUTSIDE_TIMES
        if self.ignore.matches(row.bucket, row.object.key):
            return Reason.IGNORED
        return Reason.NEEDS_RESTORE if not self.archived and needs_restore(row) else None

    def _inside(self, when: float) -> bool:
        if not when:
            return True
        return (self.since is None or when >= self.since) and (
            self.until is None or when < self.until
        )


def needs_restore(row: InventoryRow) -> bool:
    """An archive class, or one of Intelligent-Tiering's archive tiers.

    Both Glacier Instant Retrieval and the Archive Instant Access tier are read at once.
    """
    if row.object.storage_class in ARCHIVED:
        return True
    tier = row.access_tier.upper().replace(" ", "_").replace("-", "_")
    return tier in _ARCHIVED_TIERS
