"""Documents of other kinds: keys in a secret, checkpoints, state files, notifications, policies."""

# ruff: noqa: E501, PT017  tables; not a test of pytest's

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from faults.inputs.target import Target, outcome
from sync.adapters.credentials.document import one_side, two_sides
from sync.adapters.metadata import _action, _parse
from sync.adapters.queue_plan import policy_for
from sync.adapters.trigger_policy import Sender, grant, merged
from sync.adapters.triggers import _check_elements
from sync.backfill.checkpoint import Checkpoint
from sync.errors import ConfigError, SyncError
from sync.inventories.state import StateFile
from sync.model import BucketPair

_FOLDER: Final = Path(tempfile.mkdtemp(prefix="3gsync-fuzz-"))
atexit.register(shutil.rmtree, _FOLDER, True)
_PAIR: Final = BucketPair("source", "", "target", "")
_RULES: Final = {"versions": False}
_SECRET: Final = "wJalrXUtnFEMI/K7MDENG"
_HEAD: Final = {"inventory": "x"}


def _credentials(data: bytes) -> None:
    for read in (one_side, two_sides):
        try:
            read(data, "secret")
        except ConfigError as error:
            # Fields are named, what they hold never is.
            assert _SECRET not in f"{error}{error.__context__ or ''}"


def _checkpoint(data: bytes) -> None:
    path = _FOLDER / "checkpoint"
    path.write_bytes(data)
    checkpoint = Checkpoint(path, _RULES)
    progress = checkpoint.progress(_PAIR)
    left = [(one.after, one.until) for one in progress.left or ()]
    for after, until in left:
        assert isinstance(after, str)
        assert until is None or isinstance(until, str)
    assert checkpoint.expected(_PAIR) + progress.objects >= 0
    assert all(isinstance(key, str) for key in progress.extraneous)
    checkpoint.save(_PAIR, left, objects=progress.objects)


def _state(data: bytes) -> None:
    path = _FOLDER / "state"
    path.write_bytes(data)
    state = StateFile(path, _HEAD)
    try:
        progress = state.progress("data")
        assert progress.rows >= 0
        state.save("data", progress)
    finally:
        state.close(finished=True)


def _notifications(data: bytes) -> None:
    """What a bucket's notifications and a queue's policy may be; the first byte says which."""
    kind, data = data[:1], data[1:]
    if kind == b"x":
        _check_elements("bucket", data)
    elif kind == b"m":
        outcome(_parse, data, "GET", fails=Exception)
        _action(data.decode("utf-8", "replace"))
    else:
        text = data.decode("utf-8", "replace")
        sender = Sender(bucket_arn="arn:aws:s3:::source", account="1", queue_arn=_ARN)
        for ask in (
            lambda: merged(text, sender),
            lambda: grant(text, sender),
            lambda: policy_for(text, queue_arn=_ARN, buckets=["source"]),
        ):
            outcome(ask, fails=SyncError)


_ARN: Final = "arn:aws:sqs:us-east-1:1:queue"
_KEYS: Final = {
    "aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": _SECRET, "region": "us-east-1",
    "aws_session_token": "",
}  # fmt: skip
_NAME: Final = json.dumps(_PAIR)
_HELD: Final = {"left": [["", "m"], ["m", None]], "objects": 5, "extraneous": ["x"]}
_CHECKPOINT: Final = {"format": 1, "rules": _RULES, "pairs": {_NAME: _HELD}, "seen": {_NAME: 5}}
_TALLY: Final = {"skipped": {"ignored": 1}}
_LINE: Final = {"file": "data", "rows": 3, "done": False, "md5": "0" * 32, "tally": _TALLY}
_STATEMENT: Final = {
    "Sid": "3gsync-1", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
    "Action": "sqs:SendMessage", "Resource": _ARN,
    "Condition": {"ArnEquals": {"aws:SourceArn": ["arn:aws:s3:::source"]},
                  "StringEquals": {"aws:SourceAccount": "1"}},
}  # fmt: skip
_XML: Final = (
    b"x<NotificationConfiguration><QueueConfiguration><Id>a</Id><Queue>q</Queue><Event>e</Event>"
    b"<Filter><S3Key><FilterRule><Name>prefix</Name><Value>v</Value></FilterRule></S3Key></Filter>"
    b"</QueueConfiguration></NotificationConfiguration>"
)
_METADATA: Final = b"mHTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Length: 4\r\n\r\nname"


def _json(*values: Any, prefix: bytes = b"") -> list[bytes]:
    return [prefix + json.dumps(value).encode() for value in values]


TARGETS: Final = {
    target.name: target
    for target in (
        Target(name="credentials", probe=_credentials, allowed=(),
               seeds=_json(_KEYS, {"source": _KEYS, "destination": _KEYS})),
        Target(name="checkpoint", probe=_checkpoint, allowed=(ConfigError,), seeds=_json(_CHECKPOINT)),
        Target(name="inventory-state", probe=_state, allowed=(ConfigError,),
               seeds=[json.dumps(_HEAD).encode() + b"\n" + json.dumps(_LINE).encode() + b"\n"]),
        Target(name="notifications", probe=_notifications, allowed=(SyncError,),
               seeds=[_XML, _METADATA, b'm{"action":"stop","time":"now"}',
                      *_json({"Version": "2012-10-17", "Statement": [_STATEMENT]}, prefix=b"p")]),
    )
}  # fmt: skip
