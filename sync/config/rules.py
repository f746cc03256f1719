"""Values that contradict each other: faults (the file must be mended) and notes (worth telling)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from sync.config.settings import (
    AWS,
    GCS,
    GCS_CLASSES,
    SAME_CLASS,
    SERVER_COPY,
    JobType,
    Settings,
    dialect_of,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about ``keys`` taken together; the first one's place is named in the text."""

    keys: tuple[str, ...]
    text: str
    fatal: bool = True


def findings(settings: Settings) -> Iterator[Finding]:
    """Everything wrong or noteworthy about values that are each right in themselves."""
    yield from _storage_classes(settings)
    yield from _credentials(settings)
    yield from _queues(settings)
    yield from _profiles(settings)
    yield from _concurrency(settings)
    yield from _endpoints(settings)
    yield from _modes(settings)


def _storage_classes(s: Settings) -> Iterator[Finding]:
    known = ", ".join(sorted(GCS_CLASSES))
    if s.dest_dialect == GCS:
        if s.storage_class not in GCS_CLASSES | {SAME_CLASS}:
            yield Finding(
                ("StorageClass", "DestDialect", "DestEndPointURL"),
                f"Google Cloud Storage has no class {s.storage_class}; must be one of {known}, "
                "or SOURCE",
            )
        for source, target in s.storage_class_map:
            if target not in GCS_CLASSES:
                yield Finding(
                    ("StorageClassMap", "DestDialect", "DestEndPointURL"),
                    f"{source}:{target}: Google Cloud Storage has no class {target}; "
                    f"must be one of {known}",
                )
    if s.storage_class_map and s.storage_class != SAME_CLASS:
        yield Finding(
            ("StorageClassMap", "StorageClass"),
            f"has no effect while StorageClass is {s.storage_class}; set StorageClass = SOURCE",
            fatal=False,
        )


def _credentials(s: Settings) -> Iterator[Finding]:
    name, google = s.credentials_name, s.credentials_name.startswith("projects/")
    keys = ("ssm_parameter_credentials", "JobType")
    if s.job_type is JobType.GET and name and not google and s.dest_dialect != AWS:
        yield Finding(
            keys,
            "JobType GET reads a Google secret: give its resource id, "
            "projects/PROJECT/secrets/NAME/versions/latest (or set JobType = PUT)",
        )
    if s.job_type is JobType.PUT and google:
        yield Finding(
            keys,
            "JobType PUT reads an SSM parameter: give its name, or set JobType = GET to read "
            "this Google secret",
        )
    if s.job_type is JobType.GET and google and name.rpartition("/")[2].isdecimal():
        yield Finding(
            keys,
            "names one version of the secret: keys that are rotated are only seen with "
            "/versions/latest",
            fatal=False,
        )


def _queues(s: Settings) -> Iterator[Finding]:
    if s.dead_letter_queue and s.dead_letter_queue in s.queue_names:
        yield Finding(
            ("dead_letter_queue_name", "sqs_queue_name"),
            "is the same as sqs_queue_name; failed messages need a queue of their own",
        )
    if s.compare_version_id and not s.table_name:
        yield Finding(
            ("JobsenderCompareVersionId", "table_queue_name"),
            "needs the version ids recorded in the table: set table_queue_name",
        )


def _profiles(s: Settings) -> Iterator[Finding]:
    unused = {
        JobType.GET: ("SrcProfileName", "DestProfileName"),
        JobType.PUT: ("DestProfileName",),
        JobType.ENV: (),
    }[s.job_type]
    for key, value in (("SrcProfileName", s.src_profile), ("DestProfileName", s.dest_profile)):
        if value and key in unused and not s.local_profile_mode:
            text = f"is not used with JobType {s.job_type}; set JobType = ENV to use profiles"
            yield Finding((key, "JobType"), text, fatal=False)


def _concurrency(s: Settings) -> Iterator[Finding]:
    explicit = s.given["Connections"].text.lower() != "auto"
    if explicit and (s.max_thread or s.max_parallel_file):
        yield Finding(
            ("Connections", "MaxThread", "MaxParallelFile"),
            "comes before the product of MaxThread and MaxParallelFile",
            fatal=False,
        )
    if not explicit and s.connections and s.connections > 4096:  # noqa: PLR2004  Connections' own
        yield Finding(
            ("MaxThread", "MaxParallelFile"),
            f"MaxThread times MaxParallelFile is {s.connections}; must be at most 4096",
        )


def _endpoints(s: Settings) -> Iterator[Finding]:
    for key, endpoint in (("SrcEndPointURL", s.src_endpoint), ("DestEndPointURL", s.dest_endpoint)):
        if endpoint.startswith("http://") and not _loopback(endpoint):
            yield Finding((key,), "is not encrypted; use https://", fatal=False)


def _modes(s: Settings) -> Iterator[Finding]:
    if s.transfer_mode == SERVER_COPY and not _one_store(s):
        yield Finding(
            ("TransferMode", "SrcEndPointURL", "DestEndPointURL", "SrcDialect", "DestDialect"),
            "a store copies by itself only between buckets of its own: SrcEndPointURL and "
            "DestEndPointURL must be the same (or set TransferMode = downup)",
        )
    since, until = s.modified_since, s.not_modified_since
    if since is not None and until is not None and since >= until:
        yield Finding(
            ("ModifiedSince", "NotModifiedSince"),
            "is not before NotModifiedSince, so no object would be copied",
        )


def _one_store(s: Settings) -> bool:
    """Are both end points one store's? AWS's regions are, but for China's of its own."""
    if s.src_dialect != s.dest_dialect:
        return False
    if s.src_endpoint == s.dest_endpoint:
        return True
    both = s.src_endpoint, s.dest_endpoint
    ours = all(dialect_of(endpoint) == AWS for endpoint in both)
    chinese = {endpoint.endswith(".cn") for endpoint in both if endpoint}
    return s.src_dialect == AWS and ours and len(chinese) <= 1


def _loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
