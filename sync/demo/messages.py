"""Messages the demonstration sends itself: events as S3 writes them, and one that is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote_plus

UNREADABLE: Final = '{"Records": [{"s3": "this was never an event"'


def created_event(bucket: str, key: str, *, size: int, etag: str, sequencer: str) -> str:
    """The body S3 sends for a PUT: version 2.1, key form-encoded, with its sequencer.

    Source: Amazon S3 user guide, "Event message structure".
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entity: dict[str, Any] = {
        "s3SchemaVersion": "1.0",
        "configurationId": "demo",
        "bucket": {
            "name": bucket,
            "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
            "arn": f"arn:aws:s3:::{bucket}",
        },
        "object": {
            "key": quote_plus(key, safe="/"),
            "size": size,
            "eTag": etag,
            "sequencer": sequencer,
        },
    }
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": now,
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:demo"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": entity,
    }
    return json.dumps({"Records": [record]})
