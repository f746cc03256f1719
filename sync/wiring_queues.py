"""The queues of a worker: one, several, the dead-letter queues among them or alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from sync.adapters.clock import SystemClock
from sync.adapters.credentials import aws_endpoint
from sync.adapters.sqs import SqsQueue
from sync.config import Settings
from sync.config.settings import ONLY_DEAD, WITH_DEAD
from sync.engine.several_queues import SeveralQueues
from sync.errors import ConfigError
from sync.ports import CredentialProvider, TransferObserver
from sync.telemetry.lines import write
from sync.wire.client import Client

Opener = Callable[[str, str], Awaitable[SqsQueue]]


async def open_queue(
    settings: Settings, environ: Mapping[str, str], client: Client, keys: CredentialProvider
) -> SqsQueue:
    """The one queue that ``queue_name`` names, looked up."""
    opener = await _opener(settings, environ, client, keys)
    return await opener(settings.queue_name, settings.dead_letter_queue)


async def open_queues(
    settings: Settings, environ: Mapping[str, str], client: Client, keys: CredentialProvider
) -> list[SqsQueue]:
    """All queues that ``sqs_queue_name`` names, in its order, looked up."""
    opener = await _opener(settings, environ, client, keys)
    return await _opened(opener, settings)


async def job_queue(
    settings: Settings,
    environ: Mapping[str, str],
    client: Client,
    keys: CredentialProvider,
    *,
    observer: TransferObserver,
    insist: bool,
) -> SqsQueue | SeveralQueues:
    """What a worker takes its messages from; see `SeveralQueues` for ``insist``.

    Dead-letter queues are opened without one of their own: what fails there again stays there.
    """
    opener = await _opener(settings, environ, client, keys)
    queues = await _opened(opener, settings)
    dead = list(dict.fromkeys(q.dead_letter_queue for q in queues if q.dead_letter_queue))
    _tell(queues)
    if settings.dead_queue in {ONLY_DEAD, WITH_DEAD}:
        if not dead:
            raise ConfigError(
                f"IncludeDeadQueue = {settings.dead_queue}: {settings.queue_name} has no "
                "dead-letter queue; give it a redrive policy or set dead_letter_queue_name"
            )
        alive = queues if settings.dead_queue == WITH_DEAD else []
        queues = [*alive, *await asyncio.gather(*(opener(url, "") for url in dead))]
    if len(queues) == 1:
        return queues[0]
    named = {queue.url: queue for queue in queues}
    return SeveralQueues(named, clock=SystemClock(), observer=observer, insist=insist)


async def _opener(
    settings: Settings, environ: Mapping[str, str], client: Client, keys: CredentialProvider
) -> Opener:
    """Looks up a queue by name, URL or ARN, and its dead-letter queue ("": the policy's)."""
    region = (await keys.credentials()).region
    endpoint, region = await aws_endpoint("sqs", region, settings.src_profile, environ)

    async def opened(name: str, dead_letter: str) -> SqsQueue:
        return await SqsQueue.open(
            name_or_url=name,
            client=client,
            credentials=keys,
            endpoint=endpoint,
            region=region,
            dead_letter=dead_letter,
            clock=SystemClock(),
        )

    return opened


async def _opened(opener: Opener, settings: Settings) -> list[SqsQueue]:
    names = settings.queue_names
    return list(await asyncio.gather(*(opener(n, settings.dead_letter_queue) for n in names)))


def _tell(queues: Sequence[SqsQueue]) -> None:
    for queue in queues:
        if not queue.dead_letter_queue:
            name = queue.url.rpartition("/")[2]
            text = (
                f"the queue {name} has no dead-letter queue: messages that cannot be carried out "
                "stay in it; give it a redrive policy or set dead_letter_queue_name"
            )
            write(logging.WARNING, text, {"event": "no-dead-letter-queue", "message": text})
