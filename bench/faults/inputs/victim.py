"""A process that calls hostile servers as 3GSync does, and says how each call ended.

    python -m faults.inputs.victim < JSON        one line {"name", "call", "url"} for each

Prints a line of JSON for each: the error's name ("" for none), whether it is one of our own, the
seconds, and by how many MiB the process grew.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from sync.adapters.aws_json import JsonApi, Retries
from sync.adapters.clock import SystemClock
from sync.adapters.dialects import AWS
from sync.adapters.inventory.files import Files
from sync.adapters.inventory.places import Place
from sync.adapters.ledger_scan import LedgerScan, ledger_service
from sync.adapters.metadata import instance_name
from sync.adapters.s3 import S3Store
from sync.adapters.s3_listing import VersionLister
from sync.adapters.sorted_listing import SortedLister
from sync.adapters.sqs import _SQS, SqsQueue
from sync.adapters.sqs_lookup import QueueFacts
from sync.adapters.upload_listing import UploadLister
from sync.engine.comparing.keyspace import KeyRange
from sync.engine.comparing.reading import Side, SideReader
from sync.errors import SyncError
from sync.model import ObjectHeaders, ObjectRef, Upload
from sync.ports import Credentials
from sync.wire.client import Client
from sync.wire.request import Timeouts

LIMITS: Final = Timeouts(connect=5, first_byte=1, idle=1, whole=3)
MOST_SECONDS: Final = 60.0
_REF: Final = ObjectRef("bucket", "key")
_UPLOAD: Final = Upload(_REF, "u", 0.0)
_RETRIES: Final = Retries(attempts=2, base=0.01)


class _Keys:
    async def credentials(self) -> Credentials:
        return Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", region="us-east-1")

    def invalidate(self) -> None:
        """There are no others."""


class _Body:
    def __init__(self, length: int) -> None:
        self.length = length

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        for at in range(0, self.length, 65536):
            yield memoryview(bytes(min(65536, self.length - at)))
            await asyncio.sleep(0)


class Scene:
    """One client, and everything that talks through it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = Client(timeouts=LIMITS)
        # Amazon's dialect follows regions, so it is the one that could be led astray.
        self.store = S3Store(
            client=self.client, credentials=_Keys(), endpoint=url, dialect=AWS, addressing="path"
        )

    def api(self, service: Any) -> JsonApi:
        return JsonApi(
            service=service,
            client=self.client,
            credentials=_Keys(),
            endpoint=self.url,
            region="us-east-1",
            clock=SystemClock(),
            retries=_RETRIES,
        )

    def queue(self) -> SqsQueue:
        facts = QueueFacts(url="https://sqs.us-east-1.amazonaws.com/1/queue")
        return SqsQueue(api=self.api(_SQS), facts=facts, dead_letter="")


async def _get(scene: Scene) -> None:
    async with scene.store.open(_REF) as read:
        async for _ in read.body:
            pass


async def _drain(items: AsyncIterator[Any]) -> None:
    async for _ in items:
        pass


async def _sorted(scene: Scene) -> None:
    lister = SortedLister(scene.store)
    try:
        await lister.list_page("bucket")
    finally:
        lister.close()


async def _compare(scene: Scene) -> None:
    reader = SideReader(Side(scene.store, "bucket"), KeyRange())
    while not reader.ended:
        await reader.more()
        reader.take(None)


async def _folder(scene: Scene) -> None:
    async def store(_scheme: str) -> Any:
        return scene.store

    await Files(store).folder(Place("s3", "bucket", ""))


async def _metadata(scene: Scene) -> None:
    host = scene.url.partition("//")[2]
    environ = {"GCE_METADATA_HOST": host, "AWS_EC2_METADATA_SERVICE_ENDPOINT": scene.url}
    if await instance_name(environ, timeout=2.0) != os.uname().nodename:
        raise AssertionError("a lie was believed")


async def _send(scene: Scene) -> None:
    if await scene.queue().send(["body"]):
        raise SyncError("not sent")


CALLS: Final[dict[str, Callable[[Scene], Awaitable[object]]]] = {
    "get": _get,
    "head": lambda scene: scene.store.head(_REF),
    "put": lambda scene: scene.store.put(_REF, _Body(3), ObjectHeaders()),
    "put-large": lambda scene: scene.store.put(_REF, _Body(64 << 20), ObjectHeaders()),
    "list": lambda scene: scene.store.list_page("bucket"),
    "list-all": lambda scene: _drain(scene.store.list_objects("bucket")),
    "sorted": _sorted,
    "compare": _compare,
    "folder": _folder,
    "versions": lambda scene: VersionLister(scene.store.session).list_page("bucket"),
    "uploads": lambda scene: scene.store.uploads(_REF),
    "all-uploads": lambda scene: _drain(UploadLister(scene.store.session).list_uploads("bucket")),
    "parts": lambda scene: scene.store.parts(_UPLOAD),
    "complete": lambda scene: scene.store.complete(_UPLOAD, []),
    "tagging": lambda scene: scene.store.tagging(_REF),
    "sqs": lambda scene: scene.queue().receive(10, wait=0, lease=30),
    "sqs-send": _send,
    "dynamodb": lambda scene: LedgerScan(table="t", api=_table(scene)).item(_REF),
    "scan": lambda scene: _drain(LedgerScan(table="t", api=_table(scene)).items()),
    "metadata": _metadata,
}


def _table(scene: Scene) -> JsonApi:
    return scene.api(ledger_service("t", "us-east-1"))


async def suffer(call: str, url: str) -> dict[str, object]:
    """How one call ended."""
    scene = Scene(url)
    grown, began, ended = _rss(), time.monotonic(), ""
    ours = True
    try:
        await asyncio.wait_for(CALLS[call](scene), MOST_SECONDS)
    except SyncError as error:
        ended = f"{type(error).__name__}: {ascii(str(error))[:160]}"
    except Exception as error:  # noqa: BLE001  this is what is looked for
        ended, ours = f"{type(error).__name__}: {ascii(str(error))[:160]}", False
    # What a reply that was given up has borrowed or left open shows itself here.
    busy = scene.client.connections_open - scene.client.connections_idle
    for _ in range(100):
        if not busy:
            break
        await asyncio.sleep(0.01)
        busy = scene.client.connections_open - scene.client.connections_idle
    await scene.client.close()
    seconds = round(time.monotonic() - began, 2)
    return {"ended": ended, "ours": ours, "seconds": seconds, "mib": _rss() - grown, "open": busy}


def _rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        told = asyncio.run(suffer(asked["call"], asked["url"]))
        print(json.dumps({**asked, **told}), flush=True)


if __name__ == "__main__":
    main()
