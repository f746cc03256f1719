"""Bodies that name their destination: the jobsender's, and the batch of many keys.

The job body is exchanged with the workers and jobsenders being replaced, on one queue,
while a move goes on; its names, and its keys without any encoding, are therefore fixed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from sync.errors import MessageError
from sync.messages import fields
from sync.messages.events import percent_decoded
from sync.messages.fields import Json, shown
from sync.model import JobKind, ObjectRef, TransferJob

_JOB_EVENT = "job"
_BATCH_EVENT = "batch"


def encode_job(job: TransferJob) -> str:
    """The job body; ASCII, because a queue takes only characters that XML allows.

    ValueError for a DELETE job: a job body can only ask for a copy.
    """
    _refuse_delete(job)
    body = {
        "Src_bucket": job.source.bucket,
        "Src_key": job.source.key,
        "Des_bucket": job.destination.bucket,
        "Des_key": job.destination.key,
        "Size": job.size,
        "versionId": job.source.version_id or "null",
    }
    return json.dumps(body, ensure_ascii=True)


def decode_job(body: Json) -> TransferJob:
    """The job of a job body, old or new; Size and versionId may be missing."""
    version_id = fields.optional_text(body, "versionId")
    return TransferJob(
        kind=JobKind.COPY,
        source=ObjectRef(
            fields.bucket(body, "Src_bucket"), fields.text(body, "Src_key"), version_id
        ),
        destination=ObjectRef(fields.bucket(body, "Des_bucket"), fields.text(body, "Des_key")),
        size=fields.size(body, "Size"),
        event_name=_JOB_EVENT,
    )


def encode_batch(jobs: Sequence[TransferJob]) -> str:
    """One body for many keys between the same two buckets, keys percent-encoded.

    ``size`` and ``version_id`` are written where known. ValueError for no jobs, for DELETE
    jobs and for jobs of several bucket pairs.
    """
    pairs = {(job.source.bucket, job.destination.bucket) for job in jobs}
    if len(pairs) != 1:
        raise ValueError(f"a batch holds jobs of one pair of buckets, not of {len(pairs)}")
    ((source_bucket, target_bucket),) = pairs
    body = {
        "source_bucket": source_bucket,
        "target_bucket": target_bucket,
        "keys": [_batch_entry(job) for job in jobs],
    }
    return json.dumps(body, ensure_ascii=True)


def _batch_entry(job: TransferJob) -> dict[str, str | int]:
    _refuse_delete(job)
    entry: dict[str, str | int] = {
        "source_key": quote(job.source.key),
        "target_key": quote(job.destination.key),
    }
    if job.size is not None:
        entry["size"] = job.size
    if job.source.version_id is not None:
        entry["version_id"] = job.source.version_id
    return entry


def is_batch(job: TransferJob) -> bool:
    """True where the job came in a batch body, and can be sent on in another."""
    return job.event_name == _BATCH_EVENT


def _refuse_delete(job: TransferJob) -> None:
    if job.kind is not JobKind.COPY:
        raise ValueError(f"only copies can be sent as a job, not {job.kind}")


def decode_batch(body: Json) -> Iterator[TransferJob]:
    """The jobs of a batch body."""
    buckets = fields.bucket(body, "source_bucket"), fields.bucket(body, "target_bucket")
    for number, entry in enumerate(fields.items(body, "keys")):
        try:
            yield _batch_job(entry, *buckets)
        except MessageError as error:
            raise MessageError(f"keys[{number}]: {error}") from None


def _batch_job(entry: object, source_bucket: str, target_bucket: str) -> TransferJob:
    if not isinstance(entry, dict):
        raise MessageError(f"a JSON object is expected, not {shown(entry)}")
    source_key = percent_decoded(fields.text(entry, "source_key"))
    target_key = percent_decoded(fields.text(entry, "target_key"))
    version_id = fields.optional_text(entry, "version_id")
    return TransferJob(
        kind=JobKind.COPY,
        source=ObjectRef(source_bucket, source_key, version_id),
        destination=ObjectRef(target_bucket, target_key),
        size=fields.size(entry, "size"),
        event_name=_BATCH_EVENT,
    )
