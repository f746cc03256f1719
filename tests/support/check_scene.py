"""Two buckets in memory, checked on virtual time; each step of it can be interfered with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from support import virtual
from support.virtual import VirtualClock
from sync.adapters.memory import MEMORY_DIALECT, MemoryObserver, MemoryStore
from sync.backfill.opening import Parts
from sync.checking.findings import Entry, Findings
from sync.checking.options import CheckOptions
from sync.checking.pair import PairCheck
from sync.checking.result import CheckResult
from sync.config import load
from sync.engine.comparing.closer_look import KnownCopy
from sync.engine.comparing.sending import JobSender
from sync.messages import decode, destination_key
from sync.model import BucketPair, Dialect, ListedObject, ObjectHeaders, ObjectRef
from sync.ports import ListingPage
from sync.wiring import Stores

PAIR = BucketPair("s", "", "d", "to/")
# One connection of a listing, few transfers: what is tested happens in a few steps.
_CONFIG = "[Basic]\nIgnoreList =\n[Mode]\nConnections = 4\nMaxRetry = 2\n"


class ListedStore(MemoryStore):
    """A store in memory that can be listed too, ``page`` objects at a time."""

    page = 3

    async def list_page(
        self, bucket: str, *, prefix: str = "", after: str = "", token: str = "", limit: int = 1000
    ) -> ListingPage:
        await self._before("list", ObjectRef(bucket, after or token))
        above = max(after, token)
        keys = [key for key in self.keys(bucket) if key.startswith(prefix) and key > above]
        found = [self._entry(bucket, key) for key in keys[: min(limit, self.page)]]
        return ListingPage(found, found[-1].key if len(keys) > len(found) else "")

    def _entry(self, bucket: str, key: str) -> ListedObject:
        meta = self._find(ObjectRef(bucket, key)).meta
        return ListedObject(
            key,
            meta.size,
            meta.identity.etag,
            meta.last_modified,
            meta.headers.storage_class or "STANDARD",
        )


class Sink:
    """A queue that only takes."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.broken = False
        self.max_message_size = 256 * 1024

    async def send(self, bodies: Any) -> list[str]:
        taken = list(bodies)
        if self.broken:
            return taken
        self.bodies += taken
        return []

    @property
    def keys(self) -> list[str]:
        return sorted(
            job.source.key for body in self.bodies for job in decode(body, cast("Any", None)).jobs
        )


@dataclass
class Scene:
    """Source and destination; ``check`` compares them."""

    source_dialect: Dialect = MEMORY_DIALECT
    destination_dialect: Dialect = MEMORY_DIALECT
    known: KnownCopy | None = None
    ignored: Callable[[ObjectRef], str | None] = lambda _ref: None
    sink: Sink = field(default_factory=Sink)

    def __post_init__(self) -> None:
        self.now = 1_700_000_000.0
        self.source = ListedStore("s", dialect=self.source_dialect, clock=lambda: self.now)
        self.destination = ListedStore(
            "d", dialect=self.destination_dialect, clock=lambda: self.now
        )
        self.entries: list[Entry] = []

    def put(self, key: str, data: bytes, **how: Any) -> None:
        """The same object on both sides."""
        self.put_source(key, data, **how)
        self.put_copy(key, data, **how)

    def put_source(self, key: str, data: bytes, *, etag: str = "", **headers: Any) -> None:
        self.source.store(ObjectRef("s", key), data, ObjectHeaders(**headers), etag=etag)

    def put_copy(self, key: str, data: bytes, *, etag: str = "", **headers: Any) -> None:
        self.destination.store(self.target(key), data, ObjectHeaders(**headers), etag=etag)

    def remove_source(self, key: str) -> None:
        self.source.remove(ObjectRef("s", key))

    def remove_copy(self, key: str) -> None:
        self.destination.remove(self.target(key))

    @staticmethod
    def target(key: str) -> ObjectRef:
        return ObjectRef("d", destination_key("to/", key))

    def check(self, folder: Path, **changes: Any) -> CheckResult:
        """Compare; ``settle`` is 10 s of virtual time unless told otherwise."""
        options = replace(CheckOptions(progress=0.0, connections=2), **changes)
        return virtual.run(self._check(folder, options))

    async def _check(self, folder: Path, options: CheckOptions) -> CheckResult:
        result = CheckResult(options, Findings(keep=1000, sinks=[self.entries.append]))
        sender = JobSender([self.sink]) if options.repair else None
        run = PairCheck(
            self._parts(folder), PAIR, options, result.findings, sender=sender, known=self.known
        )
        result.pairs.append(await run.run())
        return result

    def _parts(self, folder: Path) -> Parts:
        file = folder / "config.ini"
        file.write_text(_CONFIG)
        nothing = cast("Any", None)
        stores = Stores(nothing, cast("Any", self.source), cast("Any", self.destination), nothing)
        return Parts(
            settings=load(file, {}),
            stores=stores,
            queues=[],
            ignored=self.ignored,
            copied=None,
            observer=MemoryObserver(),
            clock=VirtualClock(),
        )

    def told(self) -> Mapping[str, str]:
        """Class by key of everything that was told."""
        assert len(self.entries) == len({entry.key for entry in self.entries})
        return {entry.key: entry.kind for entry in self.entries}
