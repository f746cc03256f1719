"""The job table as operators have it, and a ledger over the real wire on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from support.moto_aws import REGION, MotoAws
from support.scripted_aws import Keys
from sync.adapters.clock import SystemClock
from sync.adapters.dynamodb import DynamoLedger
from sync.wire.client import Client


def make_table(aws: MotoAws) -> str:
    name = f"jobs-{uuid4().hex}"
    aws.dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "Key", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "Key", "AttributeType": "S"},
            {"AttributeName": "desBucket", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "desBucket-index",
                "KeySchema": [{"AttributeName": "desBucket", "KeyType": "HASH"}],
                "Projection": {
                    "ProjectionType": "INCLUDE",
                    "NonKeyAttributes": ["desKey", "versionId"],
                },
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@asynccontextmanager
async def dynamo_ledger(
    aws: MotoAws, table: str, *, client: Any = None, **options: Any
) -> AsyncIterator[DynamoLedger]:
    own = Client()
    ledger = DynamoLedger(
        table=table,
        client=client or own,
        credentials=Keys(),
        endpoint=aws.endpoint,
        region=REGION,
        instance=options.pop("instance", "i-test"),
        clock=SystemClock(),
        **options,
    )
    try:
        yield ledger
    finally:
        await ledger.flush()
        await own.close()
