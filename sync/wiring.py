"""Settings -> objects. The one place that knows every part and the order they are put together.

Cloud SDKs are imported by the adapters when they are first used, so a worker that needs none
of them does not pay for them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sync import wiring_queues
from sync.adapters.clock import SystemClock
from sync.adapters.credentials import Providers, aws_endpoint, providers
from sync.adapters.dialects import BY_NAME, S3Dialect, dialect_for
from sync.adapters.dynamodb import DynamoLedger
from sync.adapters.metadata import instance_name
from sync.adapters.s3 import S3Store
from sync.adapters.s3_copy import S3Copies
from sync.config import JobType, Settings
from sync.config.settings import CHECK
from sync.engine.budget import AutoBudget, Budget
from sync.engine.copier import Copier
from sync.engine.options import MOST_RECEIVERS, CopyOptions, Mode, RunnerOptions
from sync.engine.pacing import CEILING, FLOOR, Bounds, Pace
from sync.engine.runner import Runner
from sync.engine.several_queues import SeveralQueues
from sync.engine.soft_ledger import SoftLedger
from sync.engine.transfer import Context, Sides
from sync.messages import DestinationRule, decode
from sync.model import MIB, ObjectRef
from sync.ports import Clock, CredentialProvider, JobLedger, JobQueue, TransferObserver
from sync.telemetry.lines import write
from sync.telemetry.observers import LogObserver, Observers
from sync.telemetry.statistics import Statistics
from sync.wire.client import Client
from sync.wire.proxy import Proxies
from sync.wire.tls import tls_context

if TYPE_CHECKING:
    from sync.adapters.ignore_file import IgnoreFile

open_queue = wiring_queues.open_queue
open_queues = wiring_queues.open_queues

_PER_CONNECTION: Final = MIB
_PROCESS_BASE: Final = 96 * MIB
# A message is held while it is received, waits, is relayed by two requests and looked at by one.
_MESSAGES_PER_CONNECTION: Final = 3
# One receive brings ten messages in the time of one request; ten relays take two requests each.
_CONNECTIONS_PER_RECEIVER: Final = 16


@dataclass(frozen=True, slots=True)
class Stores:
    """Both sides, over one client."""

    client: Client
    source: S3Store
    destination: S3Store
    keys: Providers


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """A worker ready to run."""

    runner: Runner
    statistics: Statistics
    instance: str


def connections(settings: Settings) -> int:
    """The most transfers at a time of one process.

    What the file says; else MaxThread x MaxParallelFile where both are given; else what
    MemoryLimit has room for at 1 MiB each beside 96 MiB for the process itself, at most 512.
    """
    fixed = _fixed_connections(settings)
    return bounds(settings).ceiling if fixed is None else fixed


def _fixed_connections(settings: Settings) -> int | None:
    if settings.connections is not None:
        return settings.connections
    if settings.max_thread is not None and settings.max_parallel_file is not None:
        return settings.max_thread * settings.max_parallel_file
    return None


def bounds(settings: Settings) -> Bounds:
    """Between what `auto` may move the number of transfers at a time."""
    room = (settings.memory_limit - _PROCESS_BASE) // _PER_CONNECTION
    return Bounds(FLOOR, max(FLOOR, min(CEILING, room)))


def transfer_budget(
    settings: Settings, *, clock: Clock | None = None, observer: TransferObserver | None = None
) -> Budget:
    """The transfers at a time: as many as the file says, or as prove to be best."""
    fixed = _fixed_connections(settings)
    if fixed is not None:
        return Budget(fixed)

    def changed(pace: Pace) -> None:
        if observer is not None:
            observer.event("connections", {"limit": pace.base})

    clock = clock or SystemClock()
    return AutoBudget(bounds(settings), clock=clock.monotonic, changed=changed)


def copy_options(settings: Settings) -> CopyOptions:
    """The engine's options for copying."""
    fixed = _fixed_connections(settings)
    per_object = settings.max_thread
    if fixed is not None:
        per_object = min(per_object or max(1, fixed * 3 // 4), fixed)
    return CopyOptions(
        threshold=settings.resumable_threshold,
        chunk=settings.chunk_size,
        max_retry=settings.max_retry,
        job_timeout=float(settings.job_timeout),
        parts_per_object=per_object,
        preserve_metadata=settings.preserve_metadata,
        storage_class=settings.destination_class,
        copy_tags=settings.copy_tags,
        provenance=settings.provenance,
        sync_deletes=settings.sync_deletes,
        verify_twice=settings.verify_md5_twice,
        clean_unfinished=settings.clean_unfinished_upload,
        read_by_version=settings.get_with_version_id,
        update_version=settings.update_version_id,
        late_write_grace=float(settings.late_write_grace),
        mode=Mode(settings.transfer_mode),
        verify_first=settings.verify_first,
        modified_since=settings.modified_since,
        not_modified_since=settings.not_modified_since,
    )


def runner_options(
    settings: Settings, budget: Budget, *, until_empty: bool = False, max_jobs: int | None = None
) -> RunnerOptions:
    """The engine's options for serving the queue; what is held follows the budget."""
    objects = settings.max_parallel_file

    def in_flight() -> int:
        return max(10, objects or budget.limit * _MESSAGES_PER_CONNECTION)

    def receivers() -> int:
        return max(1, min(MOST_RECEIVERS, budget.limit // _CONNECTIONS_PER_RECEIVER))

    return RunnerOptions(
        in_flight=in_flight,
        receivers=receivers,
        wait=float(settings.receive_wait),
        lease=float(settings.lease_seconds),
        max_receives=settings.max_receives,
        drain=float(settings.drain_seconds),
        breaker_failures=settings.circuit_breaker,
        breaker_pause=float(settings.circuit_pause),
        until_empty=until_empty,
        max_jobs=max_jobs,
    )


@asynccontextmanager
async def open_stores(
    settings: Settings, environ: Mapping[str, str], *, keys: Providers | None = None
) -> AsyncIterator[Stores]:
    """The two stores. Keys are read here only where an endpoint depends on their region;
    ``keys`` are the providers to use in place of the configured ones.
    """
    bundle = str(settings.ca_bundle or environ.get("AWS_CA_BUNDLE") or "")
    client = Client(
        # All that were open at once may be needed again: a handshake costs as much as ten requests.
        max_idle=_MESSAGES_PER_CONNECTION * connections(settings),
        tls=tls_context(bundle),
        proxies=Proxies.from_environment(environ),
    )
    try:
        keys = keys or providers(settings, environ)
        source = await _source_store(settings, environ, client, keys.source)
        destination = await _destination_store(settings, environ, client, keys.destination)
        yield Stores(client, source, destination, keys)
    finally:
        await client.close()


async def _source_store(
    settings: Settings, environ: Mapping[str, str], client: Client, keys: CredentialProvider
) -> S3Store:
    """AWS's endpoint variables hold where the configuration leaves the source's to its default."""
    endpoint, dialect = settings.src_endpoint, settings.src_dialect
    given = settings.given.get("SrcEndPointURL")
    own = given is None or given.where == "default"
    overridden = "AWS_ENDPOINT_URL_S3" in environ or "AWS_ENDPOINT_URL" in environ
    if not endpoint or (own and overridden):
        region = (await keys.credentials()).region
        endpoint, _ = await aws_endpoint("s3", region, settings.src_profile, environ)
        if settings.given["SrcDialect"].text.lower() == "auto":
            dialect = dialect_for(endpoint).name
    return _store(settings, client, keys, endpoint, dialect)


async def _destination_store(
    settings: Settings, environ: Mapping[str, str], client: Client, keys: CredentialProvider
) -> S3Store:
    endpoint = settings.dest_endpoint
    if not endpoint:  # AWS's own
        region = (await keys.credentials()).region
        endpoint, _ = await aws_endpoint("s3", region, settings.dest_profile, environ)
    return _store(settings, client, keys, endpoint, settings.dest_dialect)


def _store(
    settings: Settings, client: Client, keys: CredentialProvider, endpoint: str, dialect: str
) -> S3Store:
    return S3Store(
        client=client,
        credentials=keys,
        endpoint=endpoint,
        dialect=BY_NAME[dialect],
        addressing=settings.addressing_style,
        clock=SystemClock(),
    )


def destination_dialect(settings: Settings) -> S3Dialect:
    """The facts about the configured destination."""
    return BY_NAME[settings.dest_dialect]


async def open_ledger(
    settings: Settings,
    environ: Mapping[str, str],
    client: Client,
    keys: CredentialProvider,
    *,
    instance: str,
) -> DynamoLedger | None:
    """The job table, or None where none is configured."""
    if not settings.table_name:
        return None
    region = (await keys.credentials()).region
    endpoint, region = await aws_endpoint("dynamodb", region, settings.src_profile, environ)
    return DynamoLedger(
        table=settings.table_name,
        client=client,
        credentials=keys,
        endpoint=endpoint,
        region=region,
        instance=instance,
        clock=SystemClock(),
    )


@asynccontextmanager
async def open_worker(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    until_empty: bool = False,
    max_jobs: int | None = None,
    observers: Sequence[TransferObserver] = (),
) -> AsyncIterator[WorkerParts]:
    """Everything a worker process needs, connected and looked up."""
    statistics = Statistics()
    observer = Observers((LogObserver(), statistics, *observers))
    async with open_stores(settings, environ) as stores:
        queue, (instance, ledger) = await asyncio.gather(
            wiring_queues.job_queue(
                settings,
                environ,
                stores.client,
                stores.keys.queue,
                observer=observer,
                insist=until_empty,
            ),
            _named_ledger(settings, environ, stores, observer),
        )
        budget = transfer_budget(settings, observer=observer)
        options = runner_options(settings, budget, until_empty=until_empty, max_jobs=max_jobs)
        context = transfer_context(
            settings, stores, ledger=ledger, budget=budget, observer=observer
        )
        runner = _runner(settings, context, queue=queue, options=options)
        try:
            yield WorkerParts(runner, statistics, instance)
        finally:
            if isinstance(queue, SeveralQueues):
                await queue.close()


async def _named_ledger(
    settings: Settings, environ: Mapping[str, str], stores: Stores, observer: TransferObserver
) -> tuple[str, JobLedger | None]:
    local = settings.job_type is JobType.ENV
    environ_for_name = {"NO_GCE_CHECK": "true", "AWS_EC2_METADATA_DISABLED": "true"}
    instance = await instance_name(environ_for_name if local else environ)
    ledger = None
    if settings.transfer_mode != CHECK:  # which only looks, and leaves no rows
        ledger = await open_ledger(
            settings, environ, stores.client, stores.keys.table, instance=instance
        )
    if ledger is None:
        return instance, None
    for remark in await ledger.check():
        write(logging.INFO, f"ledger: {remark}", {"event": "ledger", "remark": remark})
    return instance, SoftLedger(ledger, observer)


def transfer_context(
    settings: Settings,
    stores: Stores,
    *,
    ledger: JobLedger | None,
    budget: Budget,
    observer: TransferObserver,
) -> Context:
    """What the copier needs of the configuration and the stores."""
    return Context(
        source=stores.source,
        destination=stores.destination,
        ledger=ledger,
        options=copy_options(settings),
        observer=observer,
        clock=SystemClock(),
        slots=budget,
        sides=_sides(stores),
    )


def _sides(stores: Stores) -> Sides:
    target = stores.destination
    return Sides(stores.source, target, S3Copies(target.session, target.dialect))


def _runner(
    settings: Settings, context: Context, *, queue: JobQueue, options: RunnerOptions
) -> Runner:
    rule = DestinationRule(settings.default_bucket, settings.default_prefix)
    ignored = _Ignored(settings)
    return Runner(
        queue=queue,
        copier=Copier(context),
        ledger=context.ledger,
        decode=lambda body: decode(body, rule),
        ignored=ignored,
        options=options,
        write_interval=context.destination.dialect.write_interval,
        late_write_grace=context.options.late_write_grace,
        clock=context.clock,
        observer=context.observer,
    )


class _Ignored:
    """The pattern that keeps an object from being copied, or None."""

    def __init__(self, settings: Settings) -> None:
        self._file: IgnoreFile | None = None
        if settings.ignore_list is not None:
            from sync.adapters.ignore_file import IgnoreFile  # noqa: PLC0415  start-up time

            loop = asyncio.get_running_loop()
            self._file = IgnoreFile(
                settings.ignore_list,
                clock=SystemClock(),
                report=_report,
                # Parsing a long list takes a second that the transfers must not wait for.
                run=lambda look: loop.run_in_executor(None, look),
            )

    def __call__(self, ref: ObjectRef) -> str | None:
        """Look the object up."""
        return None if self._file is None else self._file.current().match(ref.bucket, ref.key)


def _report(text: str) -> None:
    write(logging.WARNING, text, {"event": "ignore-list", "message": text})
