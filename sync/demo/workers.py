"""What the workers are told: their configuration, ignore list and environment."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sync.demo.contents import IGNORE_LIST
from sync.demo.names import (
    DESTINATION,
    LEASE_SECONDS,
    QUEUE,
    REGION,
    SOURCE,
    SOURCE_KEYS,
    TABLE,
)
from sync.standins.gcs import HmacIdentity

_CONFIG: Final = """\
[Basic]
JobType = ENV
SrcEndPointURL = {source}
SrcDialect = aws
DestEndPointURL = {destination}
DestDialect = gcs
AddressingStyle = path
CABundle = {authority}
table_queue_name = {table}
sqs_queue_name = {queue}
Des_bucket_default = {bucket}
IgnoreList = {ignore}

[Mode]
ResumableThreshold = {threshold}
Connections = 16
MaxThread = 4
MaxParallelFile = 32
LeaseSeconds = {lease}
ReceiveWait = 2
DrainSeconds = 10
LateWriteGrace = 2
SyncDeletes = True
Provenance = True

[Debug]
ChunkSize = {chunk}
LogFormat = json
StatisticsInterval = 0
"""


def write_config(
    folder: Path, source: str, destination: str, authority: Path, *, small: bool
) -> Path:
    """Write config.ini and the ignore list into the folder; the first one's path."""
    ignore, config = folder / "ignore_list.txt", folder / "config.ini"
    ignore.write_text(IGNORE_LIST.format(bucket=SOURCE), "utf-8")
    text = _CONFIG.format(
        source=source,
        destination=destination,
        authority=authority,
        table=TABLE,
        queue=QUEUE,
        bucket=DESTINATION,
        ignore=ignore,
        threshold=8 if small else 32,
        lease=LEASE_SECONDS,
        chunk=5 if small else 16,
    )
    config.write_text(text, "utf-8")
    return config


def workers_environ(endpoint: str, identity: HmacIdentity) -> dict[str, str]:
    """Keys and end points. They pass through the environment, never through the file."""
    return {
        "SRC_AWS_ACCESS_KEY_ID": SOURCE_KEYS[0],
        "SRC_AWS_SECRET_ACCESS_KEY": SOURCE_KEYS[1],
        "SRC_AWS_REGION": REGION,
        "DEST_AWS_ACCESS_KEY_ID": identity.access_id,
        "DEST_AWS_SECRET_ACCESS_KEY": identity.secret,
        "DEST_AWS_REGION": "auto",
        "AWS_ENDPOINT_URL_SQS": endpoint,
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_GCE_CHECK": "true",
        "NO_PROXY": "127.0.0.1",
    }
