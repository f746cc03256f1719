"""The table of keys, which parsing, faults, listings, config.ini and the documentation follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sync.config.kinds import (
    Choice,
    ClassMap,
    FilePath,
    Flag,
    Kind,
    Moment,
    QueueNames,
    SecretName,
    Text,
    Url,
    Whole,
)
from sync.model import MIB

PREFIX: Final = "THREEGSYNC_"
CONFIG_VARIABLE: Final = PREFIX + "CONFIG"
SECTIONS: Final = ("Basic", "Mode", "Debug")


@dataclass(frozen=True, slots=True)
class Key:
    """One key. ``field`` is its name in Settings; ``variable`` an older environment variable
    that overrides it beside ``THREEGSYNC_<KEY>``.
    """

    section: str
    name: str
    field: str
    kind: Kind
    default: str
    help: str
    variable: str = ""

    @property
    def override(self) -> str:
        """The environment variable that overrides the key."""
        return PREFIX + self.name.upper()


_DIALECT: Final = Choice(("auto", "aws", "gcs", "generic"))
_PROFILE: Final = Text("the name of an AWS profile, or empty", r"[^\s\]\[]*")
_QUEUE: Final = Text(
    "a queue's name (1 to 80 letters, digits, - and _), not its URL or ARN",
    r"[A-Za-z0-9_-]{0,80}(\.fifo)?",
)
_TABLE: Final = Text(
    "a table's name (3 to 255 letters, digits, -, _ and .), or empty", r"|[A-Za-z0-9_.-]{3,255}"
)
_PARAMETER: Final = Text(
    "the name of a parameter in AWS Systems Manager, or empty", r"[A-Za-z0-9_.\-/]*"
)
_BUCKET: Final = Text(
    "a bucket's name (3 to 222 letters, digits, -, _ and .), without a prefix",
    r"|[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]",
)
_CLASS: Final = Text(
    "a storage class in capitals, such as STANDARD, or SOURCE", r"[A-Z][A-Z0-9_-]*"
)


def _seconds(low: int, high: int) -> Whole:
    return Whole(low, high, "seconds")


_BASIC: Final = (
    Key("Basic", "SrcEndPointURL", "src_endpoint", Url(), "https://s3.amazonaws.com",
        "Where the source bucket is served."),
    Key("Basic", "DestEndPointURL", "dest_endpoint", Url(), "https://storage.googleapis.com",
        "Where the destination bucket is served."),
    Key("Basic", "SrcDialect", "src_dialect", _DIALECT, "auto",
        "Which kind of store the source is. auto judges by the end point's host name."),
    Key("Basic", "DestDialect", "dest_dialect", _DIALECT, "auto",
        "Which kind of store the destination is. auto judges by the end point's host name."),
    Key("Basic", "AddressingStyle", "addressing_style", Choice(("auto", "path", "virtual")), "auto",
        "Whether the bucket stands in the path or in the host name of a request. auto takes "
        "what suits the store."),
    Key("Basic", "JobType", "job_type", Choice(("GET", "PUT", "ENV")), "GET",
        "Where the keys come from. GET: both pairs from a Google secret, for workers on Google "
        "Cloud. PUT: the machine's AWS role for the source, queue and table, and an SSM "
        "parameter for the destination, for workers on AWS. ENV: AWS profiles or the "
        "environment, for both sides."),
    Key("Basic", "SrcProfileName", "src_profile", _PROFILE, "",
        "AWS profile for the source, queue and table, with JobType ENV or PUT. Empty: boto3's "
        "default chain."),
    Key("Basic", "DestProfileName", "dest_profile", _PROFILE, "",
        "AWS profile for the destination, with JobType ENV. Empty: boto3's default chain."),
    Key("Basic", "table_queue_name", "table_name", _TABLE, "s3_migration_file_list",
        "DynamoDB table in which jobs are recorded. Empty: nothing is recorded and DynamoDB is "
        "not called.", "table_queue_name"),
    Key("Basic", "sqs_queue_name", "queue_name", QueueNames(), "s3_migration_file_list",
        "SQS queue the workers take messages from, or several of them, as a list with commas or "
        "with a range of numbers in braces. The workers take from all in turn.",
        "sqs_queue_name"),
    Key("Basic", "dead_letter_queue_name", "dead_letter_queue", _QUEUE, "",
        "Queue for messages that cannot be carried out. Empty: the one that the queue's redrive "
        "policy names."),
    Key("Basic", "IncludeDeadQueue", "dead_queue", Choice(("False", "True", "only")), "False",
        "Whether the workers also take messages from the dead-letter queue, or only from there. "
        "What fails again stays in it."),
    Key("Basic", "ssm_parameter_bucket", "bucket_list_parameter", _PARAMETER,
        "s3_migration_bucket_para",
        "SSM parameter with the jobsender's list of buckets.", "ssm_parameter_bucket"),
    Key("Basic", "BucketList", "bucket_list", FilePath(), "jobsender_bucket_list.txt",
        "File with the jobsender's list of buckets (JSON), looked for beside this file, then in "
        "the working folder. It comes before the SSM parameter."),
    Key("Basic", "ssm_parameter_credentials", "credentials_name", SecretName(), "",
        "Where the keys are stored, never the keys themselves. GET: the secret's resource id, "
        "projects/PROJECT/secrets/s3_migration_credentials/versions/latest. PUT: the SSM "
        "parameter's name; empty means s3_migration_credentials."),
    Key("Basic", "Des_bucket_default", "default_bucket", _BUCKET, "",
        "Bucket that S3 events are copied to. Jobs of the jobsender name their own."),
    Key("Basic", "Des_prefix_default", "default_prefix", Text("a key prefix, or empty"), "",
        "Prefix put before the key of objects that S3 events name."),
    Key("Basic", "IgnoreList", "ignore_list", FilePath(), "s3_migration_ignore_list.txt",
        "File with the patterns of objects to leave out. Looked for beside this file, then in "
        "the working folder. Empty: nothing is left out."),
    Key("Basic", "CABundle", "ca_bundle", FilePath(), "",
        "File with the certificates (PEM) of the authorities to trust. Empty: the system's."),
)  # fmt: skip

_MODE: Final = (
    Key("Mode", "TransferMode", "transfer_mode", Choice(("downup", "copy", "check")), "downup",
        "downup: objects travel through the worker. copy: the store copies them by itself; both "
        "sides must be at one end point, and the destination's keys must be able to read the "
        "source. check: nothing is written; what differs goes to the dead-letter queue with the "
        "reasons."),
    Key("Mode", "VerifyBeforeCopy", "verify_first", Flag(), "False",
        "Look at both sides first and leave out what is equal already; where only the tags "
        "differ, set them alone. Costs two requests more per object, and two for tags."),
    Key("Mode", "ModifiedSince", "modified_since", Moment(), "",
        "Leave out objects that were last modified before this time."),
    Key("Mode", "NotModifiedSince", "not_modified_since", Moment(), "",
        "Leave out objects that were last modified at this time or later."),
    Key("Mode", "StorageClass", "storage_class", _CLASS, "STANDARD",
        "Storage class of what is written. SOURCE: the source object's own, by way of "
        "StorageClassMap."),
    Key("Mode", "StorageClassMap", "storage_class_map", ClassMap(), "",
        "With StorageClass = SOURCE: which class at the source becomes which at the "
        "destination, as STANDARD_IA:NEARLINE, GLACIER_IR:COLDLINE. For Google Cloud Storage "
        "the classes of S3 are mapped already; pairs given here come first."),
    Key("Mode", "ResumableThreshold", "resumable_threshold", Whole(0, 5120, "MB", MIB), "50",
        "Objects larger than this are written in parts and resumed after an interruption."),
    Key("Mode", "MaxRetry", "max_retry", Whole(1, 100, "retries"), "3",
        "How often a request is repeated after a passing fault before the job is given back to "
        "the queue."),
    Key("Mode", "Connections", "connections", Whole(1, 4096, "connections", word="auto"), "auto",
        "Transfers at a time in each process, shared between many small objects and the parts "
        "of few large ones. auto: found while it runs, by what is finished in a second and by "
        "answers of 429 and 503, from 4 to what MemoryLimit allows (1 MB each beside 96 MB), 512 "
        "at the most; where MaxThread and MaxParallelFile are given, their product."),
    Key("Mode", "MaxThread", "max_thread", Whole(1, 1000, "parts", word=""), "",
        "Parts of one object at a time. Was 5; empty leaves it to Connections."),
    Key("Mode", "MaxParallelFile", "max_parallel_file", Whole(1, 1000, "objects", word=""), "",
        "Objects at a time in each process. Was 5; empty leaves it to Connections."),
    Key("Mode", "MemoryLimit", "memory_limit", Whole(64, 1024 * 1024, "MB", MIB), "512",
        "Memory that each process may use for what is on its way."),
    Key("Mode", "Processes", "processes", Whole(1, 512, "processes", word="auto"), "auto",
        "Worker processes on this machine. auto: one for each core."),
    Key("Mode", "JobTimeout", "job_timeout", _seconds(1, 43200), "3500",
        "Time without progress after which a job is given back to the queue; every part that "
        "lands restarts it. What has been written stays and is resumed."),
    Key("Mode", "LeaseSeconds", "lease_seconds", _seconds(10, 43200), "120",
        "How long a message is held at a time; the worker renews it while it works. A worker "
        "that dies sets its messages free after this time, whatever the queue's own "
        "visibility time-out is."),
    Key("Mode", "MaxReceives", "max_receives", Whole(1, 1000, "receives"), "12",
        "A message that failed this often goes to the dead-letter queue."),
    Key("Mode", "ReceiveWait", "receive_wait", _seconds(0, 20), "20",
        "How long one request waits for messages at an empty queue."),
    Key("Mode", "DrainSeconds", "drain_seconds", _seconds(0, 900), "25",
        "Time to end what is under way when the worker is told to stop; the rest goes back to "
        "the queue."),
    Key("Mode", "LateWriteGrace", "late_write_grace", _seconds(0, 900), "30",
        "How long to wait after a write without a reply before the object is looked at once more, "
        "or copied again where the job had failed."),
    Key("Mode", "CircuitBreaker", "circuit_breaker", Whole(1, 100000, "objects"), "10",
        "No more messages are taken for a while when the jobs of this many different objects "
        "fail in a row for one reason of keys or permissions."),
    Key("Mode", "CircuitPause", "circuit_pause", _seconds(1, 3600), "30",
        "How long no messages are taken then, before one is tried."),
    Key("Mode", "JobsenderCompareVersionId", "compare_version_id", Flag(), "False",
        "The jobsender compares version ids too; it needs the table for that."),
    Key("Mode", "UpdateVersionId", "update_version_id", Flag(), "False",
        "Look the version id up anew before an object is read in parts."),
    Key("Mode", "GetObjectWithVersionId", "get_with_version_id", Flag(), "False",
        "Read objects by their version id (needs s3:GetObjectVersion); otherwise reads are "
        "tied to the ETag."),
    Key("Mode", "SyncDeletes", "sync_deletes", Flag(), "False",
        "Delete at the destination what was deleted at the source, if it is still gone."),
    Key("Mode", "PreserveMetadata", "preserve_metadata", Flag(), "True",
        "Keep content headers (type, encoding, language, disposition, cache) and user metadata."),
    Key("Mode", "CopyTags", "copy_tags", Flag(), "False",
        "Keep object tags, where the destination has them. Costs one request more per object."),
    Key("Mode", "Provenance", "provenance", Flag(), "False",
        "Write the source's ETag and version id into the object's metadata."),
)  # fmt: skip

_DEBUG: Final = (
    Key("Debug", "CleanUnfinishedUpload", "clean_unfinished_upload", Flag(), "False",
        "Abort all unfinished uploads of an object before writing it: nothing is resumed."),
    Key("Debug", "LoggingLevel", "logging_level", Choice(("ERROR", "WARNING", "INFO", "DEBUG")),
        "INFO", "How much is logged."),
    Key("Debug", "LogFormat", "log_format", Choice(("plain", "json")), "plain",
        "Plain lines, or one JSON object a line."),
    Key("Debug", "LogFolder", "log_folder", FilePath(), "",
        "Folder for log files, such as amazon-s3-migration-log. Empty: standard error only."),
    Key("Debug", "StatisticsInterval", "statistics_interval", _seconds(0, 86400), "60",
        "Time between two lines of statistics in the log. 0: none."),
    Key("Debug", "ifVerifyMD5Twice", "verify_md5_twice", Flag(), "False",
        "Read every finished object back from the destination and compare it once more, and on "
        "resuming without the table read every kept part from the source again. Costs that "
        "traffic; each part and object is verified by checksum without it."),
    Key("Debug", "ChunkSize", "chunk_size", Whole(5, 5120, "MB", MIB), "10",
        "Size of a part, made larger where an object would have more than 10,000. May change "
        "at any time: an upload that has begun keeps its own."),
    Key("Debug", "LocalProfileMode", "local_profile_mode", Flag(), "False",
        "From the cluster version: True means JobType ENV with the profiles iad (source) and "
        "zhy (destination), where none are named."),
)  # fmt: skip

KEYS: Final[tuple[Key, ...]] = _BASIC + _MODE + _DEBUG
BY_NAME: Final = {key.name.lower(): key for key in KEYS}
