"""What a run of the jobsender is told beside the configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sync.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsenderOptions:
    """Times are POSIX timestamps; ``delete_extraneous`` is the most objects that may be deleted
    (0: none); ``connections`` how many ranges of a pair are listed at once; ``progress`` the
    seconds between two lines of it (0: none); ``expect`` how many source objects there are.
    """

    dry_run: bool = False
    only_if_empty: bool = False
    etag: bool = False
    checksum: bool = False
    modified: bool = False
    archived_too: bool = False
    since: float | None = None
    until: float | None = None
    delete_extraneous: int = 0
    connections: int = 8
    keys_per_message: int = 1
    checkpoint: Path | None = None
    backup: Path | None = None
    sort: bool = False
    progress: float = 10.0
    expect: int = 0


def moment(text: str) -> float:
    """A time of the command line as a POSIX timestamp: an ISO 8601 date or date and time, UTC
    where no zone is given, or how long ago, like ``7d``, ``12h``, ``30m``.
    """
    if ago := re.fullmatch(r"([0-9]{1,6})([dhm])", text):
        seconds = {"d": 86400, "h": 3600, "m": 60}[ago[2]]
        return datetime.now(UTC).timestamp() - int(ago[1]) * seconds
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no time: write 2026-11-21, 2026-11-21T13:34:00Z, or 7d, 12h, 30m for "
            "how long ago"
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
