"""What a request needs in the words of AWS's and Google's permissions.

Sources: Amazon S3 user guide, "Required permissions for Amazon S3 API operations"; Cloud Storage
documentation, "IAM permissions for XML requests"; the service authorization references of SQS,
DynamoDB and Systems Manager.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from support.recorded_calls import Sent

REGION, ACCOUNT = "us-east-1", "123456789012"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/KEY_ID"
_FORBIDDEN = 403
_NOT_FOUND = 404
_BATCHES = {
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
}


@dataclass(frozen=True)
class Need:
    """One permission on one resource. ``context`` are the condition keys that are known."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


@dataclass
class Reader:
    """Says what requests need. ``gcs``: authorities that are Cloud Storage's. It remembers what
    was written there, because writing over an object needs one permission more.
    """

    gcs: set[str]
    _written: set[str] = field(default_factory=set)

    def needs(self, sent: Sent) -> list[Need]:  # noqa: PLR0911  one for each service
        """Everything the request needs; AssertionError for one that nobody knows."""
        target = sent.headers.get("x-amz-target", "")
        service, _, operation = target.partition(".")
        authority = sent.url.split("/")[2]
        if "versions/" in sent.path and sent.path.endswith(":access"):
            name = sent.path.removeprefix("/v1/").removesuffix(":access")
            return [Need("secretmanager.versions.access", name)]
        if service == "AmazonSQS":
            return [_queue(operation, json.loads(sent.body))]
        if service.startswith("DynamoDB"):
            return list(_table(operation, json.loads(sent.body)))
        if service == "AmazonSSM":
            return list(_parameter(operation, json.loads(sent.body)))
        if sent.method == "HEAD" and sent.status == _FORBIDDEN:
            return []  # a bucket's region is told to everybody
        _, bucket, key = (*sent.path.split("/", 2), "")[:3]
        if authority in self.gcs:
            return [Need(name, bucket) for name in self._google(sent, bucket, key)]
        return list(_s3(sent, bucket, key))

    def _google(self, sent: Sent, bucket: str, key: str) -> Iterator[str]:
        kind = kind_of(sent, key)
        yield from {
            ("GET", "list"): ["storage.objects.list"],
            ("GET", "uploads"): ["storage.multipartUploads.list"],
            ("GET", "object"): ["storage.objects.get"],
            ("HEAD", "object"): ["storage.objects.get"],
            ("GET", "upload"): ["storage.multipartUploads.listParts"],
            ("DELETE", "upload"): ["storage.multipartUploads.abort"],
            ("DELETE", "object"): ["storage.objects.delete"],
            ("PUT", "object"): ["storage.objects.create"],
            ("PUT", "upload"): ["storage.multipartUploads.create", "storage.objects.create"],
            ("POST", "upload"): ["storage.multipartUploads.create", "storage.objects.create"],
            ("POST", "begin"): ["storage.multipartUploads.create", "storage.objects.create"],
        }[sent.method, kind]
        if kind == "object" and sent.method in {"GET", "HEAD"} and sent.status == _NOT_FOUND:
            yield "storage.objects.list"
        if (sent.method, kind) in {("PUT", "object"), ("POST", "upload")}:
            if "x-amz-copy-source" in sent.headers:
                yield "storage.objects.get"
            if f"{bucket}/{key}" in self._written:
                yield "storage.objects.delete"
            self._written.add(f"{bucket}/{key}")


def kind_of(sent: Sent, key: str) -> str:
    """What a request to a store is about: object, upload, begin, list, uploads, tagging ..."""
    query = sent.query
    if not key:
        named = {"uploads", "versions", "notification", "policy"} & query.keys()
        return named.pop() if named else "list" if sent.method == "GET" else "bucket"
    if "tagging" in query:
        return "tagging"
    return "begin" if "uploads" in query else "upload" if "uploadId" in query else "object"


def _s3(sent: Sent, bucket: str, key: str) -> Iterator[Need]:
    kind, version = kind_of(sent, key), "Version" if "versionId" in sent.query else ""
    whole = f"arn:aws:s3:::{bucket}"
    action = {
        ("GET", "list"): "ListBucket",
        ("HEAD", "bucket"): "ListBucket",
        ("GET", "uploads"): "ListBucketMultipartUploads",
        ("GET", "versions"): "ListBucketVersions",
        ("GET", "notification"): "GetBucketNotification",
        ("PUT", "notification"): "PutBucketNotification",
        ("GET", "object"): f"GetObject{version}",
        ("HEAD", "object"): f"GetObject{version}",
        ("GET", "tagging"): f"GetObject{version}Tagging",
        ("PUT", "tagging"): f"PutObject{version}Tagging",
        ("DELETE", "tagging"): f"DeleteObject{version}Tagging",
        ("GET", "upload"): "ListMultipartUploadParts",
        ("DELETE", "upload"): "AbortMultipartUpload",
        ("DELETE", "object"): f"DeleteObject{version}",
        ("PUT", "object"): "PutObject",
        ("PUT", "upload"): "PutObject",
        ("POST", "upload"): "PutObject",
        ("POST", "begin"): "PutObject",
    }[sent.method, kind]
    yield Need(f"s3:{action}", f"{whole}/{key}" if key else whole)
    if kind == "object" and sent.method in {"GET", "HEAD"} and sent.status == _NOT_FOUND:
        yield Need("s3:ListBucket", whole)
    if "x-amz-tagging" in sent.headers:
        yield Need("s3:PutObjectTagging", f"{whole}/{key}")
    if source := sent.headers.get("x-amz-copy-source"):
        named, _, version_id = source.lstrip("/").partition("?versionId=")
        word = "GetObjectVersion" if version_id else "GetObject"
        yield Need(f"s3:{word}", f"arn:aws:s3:::{unquote(named)}")


def _queue(operation: str, body: dict[str, str]) -> Need:
    name = body.get("QueueName") or body["QueueUrl"].rpartition("/")[2]
    return Need(
        f"sqs:{_BATCHES.get(operation, operation)}", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    )


def _table(operation: str, body: dict[str, object]) -> Iterator[Need]:
    items = body.get("RequestItems")
    names = list(items) if isinstance(items, dict) else [body["TableName"]]
    for name in names:
        yield Need(f"dynamodb:{operation}", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}")


def _parameter(operation: str, body: dict[str, object]) -> Iterator[Need]:
    name = str(body["Name"]).lstrip("/")
    yield Need(f"ssm:{operation}", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name}")
    if body.get("WithDecryption") and "bucket" not in name:  # a SecureString's key may be one's own
        via = (("kms:ViaService", f"ssm.{REGION}.amazonaws.com"),)
        yield Need("kms:Decrypt", KEY_ARN, via)
