"""Settings: the configuration as plain typed values, in bytes and seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sync.config.queue_names import queue_names

AWS: Final = "aws"
GCS: Final = "gcs"
GENERIC: Final = "generic"
DOWNUP: Final = "downup"
SERVER_COPY: Final = "copy"
CHECK: Final = "check"
ONLY_DEAD: Final = "only"
WITH_DEAD: Final = "True"
SAME_CLASS: Final = "SOURCE"
DEFAULT_PARAMETER: Final = "s3_migration_credentials"

# Google's classes by price and access pattern beside Amazon's; the archive classes of S3
# have to be restored before they can be read at all.
GCS_CLASSES: Final = frozenset({"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"})
_GCS_CLASS_MAP: Final = {
    "REDUCED_REDUNDANCY": "STANDARD",
    "INTELLIGENT_TIERING": "STANDARD",
    "EXPRESS_ONEZONE": "STANDARD",
    "STANDARD_IA": "NEARLINE",
    "ONEZONE_IA": "NEARLINE",
    "GLACIER_IR": "COLDLINE",
    "GLACIER": "ARCHIVE",
    "DEEP_ARCHIVE": "ARCHIVE",
}


class JobType(StrEnum):
    """Where the keys come from."""

    GET = "GET"
    PUT = "PUT"
    ENV = "ENV"


@dataclass(frozen=True, slots=True)
class Given:
    """The text of a value and where it stood (``config.ini:12``, a variable, ``default``)."""

    text: str
    where: str


def dialect_of(endpoint: str) -> str:
    """Which kind of store answers there, judged by its host name: aws, gcs or generic."""
    host = urlsplit(endpoint).hostname or ""
    if host == "storage.googleapis.com" or host.endswith(".storage.googleapis.com"):
        return GCS
    amazon = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu")
    return AWS if not host or host.endswith(amazon) else GENERIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every key of ``config.ini`` under a plain name. Sizes are bytes, times seconds.

    An endpoint of "" is AWS's own for the region of the keys. None means: decide by yourself
    (``connections``, ``processes``) or not given (paths). ``src_dialect`` and ``dest_dialect``
    are resolved, never ``auto``. ``dead_queue`` is False, True or only. ``notes`` are things
    worth telling that are no faults; ``given`` holds each key's text and origin, by the key's
    name.
    """

    src_endpoint: str
    dest_endpoint: str
    src_dialect: str
    dest_dialect: str
    addressing_style: str
    job_type: JobType
    src_profile: str
    dest_profile: str
    table_name: str
    queue_name: str
    dead_letter_queue: str
    dead_queue: str
    bucket_list_parameter: str
    bucket_list: Path | None
    credentials_name: str
    default_bucket: str
    default_prefix: str
    ignore_list: Path | None
    ca_bundle: Path | None

    transfer_mode: str
    verify_first: bool
    modified_since: float | None
    not_modified_since: float | None
    storage_class: str
    storage_class_map: tuple[tuple[str, str], ...]
    resumable_threshold: int
    max_retry: int
    connections: int | None
    max_thread: int | None
    max_parallel_file: int | None
    memory_limit: int
    processes: int | None
    job_timeout: int
    lease_seconds: int
    max_receives: int
    receive_wait: int
    drain_seconds: int
    late_write_grace: int
    circuit_breaker: int
    circuit_pause: int
    compare_version_id: bool
    update_version_id: bool
    get_with_version_id: bool
    sync_deletes: bool
    preserve_metadata: bool
    copy_tags: bool
    provenance: bool

    clean_unfinished_upload: bool
    logging_level: str
    log_format: str
    log_folder: Path | None
    statistics_interval: int
    verify_md5_twice: bool
    chunk_size: int
    local_profile_mode: bool

    path: Path | None = None
    notes: tuple[str, ...] = ()
    given: Mapping[str, Given] = field(default_factory=dict)

    @property
    def queue_names(self) -> tuple[str, ...]:
        """The queues that ``queue_name`` names, one at least where it names any."""
        return queue_names(self.queue_name) if self.queue_name else ()

    def destination_class(self, source_class: str) -> str:
        """Storage class to write an object with whose class at the source is that."""
        if self.storage_class != SAME_CLASS:
            return self.storage_class
        wanted = source_class or "STANDARD"
        built_in = _GCS_CLASS_MAP if self.dest_dialect == GCS else {}
        return (built_in | dict(self.storage_class_map)).get(wanted, wanted)

    def require_worker(self) -> tuple[str, ...]:
        """Faults that keep a worker from starting, though other commands may run."""
        faults = []
        if not self.queue_name:
            faults.append("[Basic] sqs_queue_name is empty: name the queue to take messages from")
        if not self.default_bucket:
            faults.append(
                "[Basic] Des_bucket_default is empty: name the bucket that S3 events are copied to"
            )
        return (*faults, *self.require_keys())

    def require_keys(self) -> tuple[str, ...]:
        """Faults that keep every command from reading its keys."""
        if self.job_type is not JobType.GET or self.credentials_name:
            return ()
        fault = (
            "[Basic] ssm_parameter_credentials is empty: JobType GET needs the resource id of "
            "the secret, projects/PROJECT/secrets/NAME/versions/latest"
        )
        return (fault,)
