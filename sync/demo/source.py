"""The user of the source bucket: writes, overwrites and deletes objects, and sends some
messages of its own to the queue.
"""

from __future__ import annotations

import threading
from io import BytesIO
from itertools import count
from typing import Any, Final

from sync.demo.contents import MIB, NEWLINE_KEY, Item
from sync.demo.messages import UNREADABLE, created_event
from sync.demo.names import SOURCE
from sync.demo.stage import Stage

_IN_PARTS_ABOVE: Final = 64 * MIB
_DUPLICATE_EVERY: Final = 20
_SMALL: Final = MIB


class Source:
    """Keeps count of what it did. Its methods are called from several threads."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._lock = threading.Lock()
        self._numbers = count(1)
        self.present: dict[str, int] = {}
        self.rewritten = 0
        self.deleted: set[str] = set()
        self.duplicates = 0

    def put(self, item: Item) -> None:
        """Write an object; the bucket sends its event. Every twentieth small one is announced
        twice, as S3 and SQS may do. Some large ones are written in parts, and have an ETag to
        match.
        """
        body = item.body()
        if item.size > _IN_PARTS_ABOVE and item.size % 2 == 0:
            self._stage.source.upload_fileobj(
                BytesIO(body), SOURCE, item.key, ExtraArgs=item.headers(), Config=_in_parts()
            )
            etag = ""
        else:
            reply = self._stage.source.put_object(
                Bucket=SOURCE, Key=item.key, Body=body, **item.headers()
            )
            etag = reply["ETag"].strip('"')
        with self._lock:
            self.present[item.key] = item.size
            number = next(self._numbers)
            self.rewritten += item.edition > 1
        if number % _DUPLICATE_EVERY == 0 and item.size < _SMALL:
            self._announce(item.key, item.size, etag, number)
            with self._lock:
                self.duplicates += 1

    def rewrite(self, item: Item) -> None:
        """Overwrite an object twice in a row: the destination takes one write a second."""
        second = item.rewritten()
        self.put(second)
        self.put(second.rewritten())

    def delete(self, item: Item) -> None:
        """Delete an object; the bucket sends its event."""
        self._stage.source.delete_object(Bucket=SOURCE, Key=item.key)
        with self._lock:
            self.present.pop(item.key)
            self.deleted.add(item.key)

    def send_bad_messages(self) -> None:
        """One that nobody can read, and one for a key that the destination cannot hold."""
        self._stage.queue.send_message(QueueUrl=self._stage.queue_url, MessageBody=UNREADABLE)
        self._announce(NEWLINE_KEY, 12, "0" * 32, 0)

    def _announce(self, key: str, size: int, etag: str, number: int) -> None:
        body = created_event(SOURCE, key, size=size, etag=etag, sequencer=f"{number:016X}")
        self._stage.queue.send_message(QueueUrl=self._stage.queue_url, MessageBody=body)


def _in_parts() -> Any:
    from boto3.s3.transfer import TransferConfig  # noqa: PLC0415  start-up time

    return TransferConfig(multipart_chunksize=16 * MIB, max_concurrency=2)
