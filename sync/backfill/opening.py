"""What a comparison of buckets needs, connected and looked up."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from sync.adapters.clock import SystemClock
from sync.adapters.ignore_file import IgnoreFile
from sync.adapters.s3_listing import VersionLister
from sync.adapters.sorted_listing import SortedLister
from sync.adapters.sqs import SqsQueue
from sync.backfill.options import JobsenderOptions
from sync.config import Settings
from sync.engine.comparing.reading import Side
from sync.engine.comparing.retrying_lister import RetryingLister
from sync.engine.comparing.version_look import CopiedVersions
from sync.engine.retry import Retry
from sync.errors import ConfigError
from sync.messages import destination_key
from sync.model import BucketPair, ObjectRef
from sync.ports import Clock, ObjectLister, TransferObserver
from sync.telemetry.lines import write
from sync.telemetry.observers import LogObserver
from sync.wiring import Stores, open_ledger, open_queues, open_stores

_LEAST_RETRIES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Connected. ``copied`` is there where version ids are to be compared."""

    settings: Settings
    stores: Stores
    queues: Sequence[SqsQueue]
    ignored: Callable[[ObjectRef], str | None]
    copied: CopiedVersions | None
    observer: TransferObserver
    clock: Clock

    @contextmanager
    def sides(self, pair: BucketPair, *, sort: bool) -> Iterator[tuple[Side, Side]]:
        """Both sides of a pair, listed with retries; sorted first where the store does not."""
        retry = Retry(
            retries=max(_LEAST_RETRIES, self.settings.max_retry),
            clock=self.clock,
            observer=self.observer,
        )
        versions = self.copied is not None
        source: ObjectLister = (
            VersionLister(self.stores.source.session) if versions else self.stores.source
        )
        listers: list[ObjectLister] = [
            RetryingLister(one, retry) for one in (source, self.stores.destination)
        ]
        sorters = [SortedLister(one) for one in listers] if sort else []
        try:
            left, right = sorters or listers
            lead = destination_key(pair.destination_prefix, "")
            yield (
                Side(left, pair.source_bucket, pair.source_prefix),
                Side(right, pair.destination_bucket, pair.source_prefix, lead),
            )
        finally:
            for sorter in sorters:
                sorter.close()


@asynccontextmanager
async def open_parts(
    settings: Settings, environ: Mapping[str, str], options: JobsenderOptions
) -> AsyncIterator[Parts]:
    """Connect what the run needs: no queue for a dry run, no table unless it is compared with."""
    _require(settings, options)
    async with open_stores(settings, environ) as stores:
        queues = (
            []
            if options.dry_run
            else await open_queues(settings, environ, stores.client, stores.keys.queue)
        )
        yield Parts(
            settings=settings,
            stores=stores,
            queues=queues,
            ignored=ignored(settings),
            copied=await _copied(settings, environ, stores),
            observer=LogObserver(),
            clock=SystemClock(),
        )


async def _copied(
    settings: Settings, environ: Mapping[str, str], stores: Stores
) -> CopiedVersions | None:
    if not settings.compare_version_id:
        return None
    ledger = await open_ledger(
        settings, environ, stores.client, stores.keys.table, instance="jobsender"
    )
    if ledger is None:
        raise ConfigError(
            "[Mode] JobsenderCompareVersionId = True: it needs the table; set table_queue_name, "
            "or switch it off and compare sizes or times (--newer)"
        )
    await ledger.check()
    return ledger.copied_versions


def ignored(settings: Settings) -> Callable[[ObjectRef], str | None]:
    """The ignore list of the configuration: the pattern an object matches, or None."""
    if settings.ignore_list is None:
        return lambda _ref: None
    file = IgnoreFile(settings.ignore_list, clock=SystemClock(), report=_report)
    return lambda ref: file.current().match(ref.bucket, ref.key)


def _report(text: str) -> None:
    write(logging.WARNING, text, {"event": "ignore-list", "message": text})


def _require(settings: Settings, options: JobsenderOptions) -> None:
    faults = list(settings.require_keys())
    if not settings.queue_name and not options.dry_run:
        faults.insert(0, "[Basic] sqs_queue_name is empty: name the queue to send jobs to")
    if faults:
        raise ConfigError(*faults)
