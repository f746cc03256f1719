"""The source's side on moto: bucket, queues, table; and boto3 clients to look with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sync.demo.names import DEAD_LETTERS, QUEUE, REGION, SOURCE, SOURCE_KEYS, TABLE
from sync.standins.gcs import HmacIdentity


def client(
    service: str,
    endpoint: str,
    *,
    identity: HmacIdentity | None = None,
    authority: Path | None = None,
) -> Any:
    """A boto3 client of an endpoint: the destination's with an identity, else the source's."""
    import boto3  # noqa: PLC0415  start-up time
    from botocore.config import Config  # noqa: PLC0415

    access_key, secret = (identity.access_id, identity.secret) if identity else SOURCE_KEYS
    session: Any = boto3.session.Session()
    return session.client(
        service,
        endpoint_url=endpoint,
        region_name="auto" if identity else REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        verify=str(authority) if authority else None,
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "max_attempts": 5},
            max_pool_connections=16,
            proxies={},
        ),
    )


def queues(endpoint: str) -> tuple[Any, str, str]:
    """The job queue, which gives up on a message after 20 receipts, and its dead-letter queue."""
    sqs = client("sqs", endpoint)
    dead_letters = sqs.create_queue(QueueName=DEAD_LETTERS)["QueueUrl"]
    policy = {"deadLetterTargetArn": _arn(sqs, dead_letters), "maxReceiveCount": 20}
    jobs = sqs.create_queue(QueueName=QUEUE, Attributes={"RedrivePolicy": json.dumps(policy)})
    return sqs, jobs["QueueUrl"], dead_letters


def _arn(sqs: Any, url: str) -> str:
    reply = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(reply["Attributes"]["QueueArn"])


def source_bucket(endpoint: str) -> Any:
    """The bucket, its events connected to the queue."""
    s3, sqs = client("s3", endpoint), client("sqs", endpoint)
    s3.create_bucket(Bucket=SOURCE)
    arn = _arn(sqs, sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"])
    events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    wanted = {"QueueConfigurations": [{"QueueArn": arn, "Events": events}]}
    s3.put_bucket_notification_configuration(Bucket=SOURCE, NotificationConfiguration=wanted)
    return s3


def table() -> dict[str, Any]:
    """The ledger's table; see docs/ledger.md."""
    return {
        "TableName": TABLE,
        "KeySchema": [{"AttributeName": "Key", "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": "Key", "AttributeType": "S"},
            {"AttributeName": "desBucket", "AttributeType": "S"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "desBucket-index",
                "KeySchema": [{"AttributeName": "desBucket", "KeyType": "HASH"}],
                "Projection": {
                    "ProjectionType": "INCLUDE",
                    "NonKeyAttributes": ["desKey", "versionId"],
                },
            }
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }
