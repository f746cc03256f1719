"""What the engine may be told, apart from where things are. Bytes and seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sync.model import MIB


class Mode(StrEnum):
    """What is done with an object: relayed, copied by the store itself, or compared only."""

    DOWNUP = "downup"
    COPY = "copy"
    CHECK = "check"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOptions:
    """How objects are copied. Field by field the configuration keys of the same meaning;
    ``storage_class`` gives the class to write for an object whose class at the source is that;
    ``parts_per_object`` None: three quarters of the budget of transfers, as it is at the time.
    """

    threshold: int = 50 * MIB
    chunk: int = 10 * MIB
    max_retry: int = 3
    job_timeout: float = 3500.0
    parts_per_object: int | None = 32
    preserve_metadata: bool = True
    storage_class: Callable[[str], str] = lambda _source: "STANDARD"
    copy_tags: bool = False
    provenance: bool = False
    sync_deletes: bool = False
    verify_twice: bool = False
    clean_unfinished: bool = False
    read_by_version: bool = False
    update_version: bool = False
    late_write_grace: float = 30.0
    mode: Mode = Mode.DOWNUP
    verify_first: bool = False
    modified_since: float | None = None
    not_modified_since: float | None = None


MOST_RECEIVERS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerOptions:
    """How the queue is served.

    ``lease`` is how long a received message stays invisible before the heartbeat renews it;
    ``max_receives`` how often a message may fail before it is handed to the dead-letter
    queue; ``in_flight`` how many messages may be held at once and ``receivers`` how many
    receives may be open: numbers, or calls that give them as they are at the time.
    """

    in_flight: int | Callable[[], int] = 128
    receivers: int | Callable[[], int] = 4
    wait: float = 20.0
    lease: float = 120.0
    lease_cap: float = 11.5 * 3600
    max_receives: int = 12
    drain: float = 25.0
    breaker_failures: int = 10
    breaker_pause: float = 30.0
    until_empty: bool = False
    max_jobs: int | None = None
