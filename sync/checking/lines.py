"""The report as JSON lines: one a difference, written as they are found."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from sync.checking.findings import Entry
from sync.errors import ConfigError
from sync.model import ListedObject


class ReportFile(AbstractContextManager["ReportFile"]):
    """Writes a line for each entry, ASCII. ConfigError where the file cannot be written."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("w", encoding="ascii")
        except OSError as error:
            raise ConfigError(f"--report {path}: cannot be written: {error}") from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def __call__(self, entry: Entry) -> None:
        """One line."""
        self._file.write(json.dumps(described(entry)) + "\n")


def described(entry: Entry) -> dict[str, Any]:
    """An entry for machines; a side that is not there is null. See docs/check.md."""
    target = entry.target
    return {
        "class": entry.kind,
        "source_bucket": entry.pair.source_bucket,
        "key": entry.key,
        "destination_bucket": target.bucket,
        "destination_key": target.key,
        "source": _side(entry.source),
        "destination": _side(entry.destination),
        "detail": entry.detail,
    }


def _side(entry: ListedObject | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "size": entry.size,
        "etag": entry.etag,
        "last_modified": instant(entry.last_modified),
        "storage_class": entry.storage_class,
        "version_id": entry.version_id,
    }


def instant(at: float) -> str | None:
    """A POSIX timestamp as ISO 8601 in UTC to the second; None for 0, which is not known."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
