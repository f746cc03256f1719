"""AWS's queues and tables for tools that call them a few times: one client, the configured keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sync.adapters.aws_errors import Service
from sync.adapters.aws_json import JsonApi
from sync.adapters.clock import SystemClock
from sync.adapters.credentials import Providers, aws_endpoint, providers
from sync.adapters.ledger_scan import LedgerScan, ledger_service
from sync.adapters.queue_admin import SQS, QueueAdmin
from sync.adapters.sqs import SqsQueue
from sync.config import Settings
from sync.ports import CredentialProvider
from sync.wire.client import Client
from sync.wire.proxy import Proxies
from sync.wire.tls import tls_context


@dataclass(frozen=True, slots=True)
class AwsTools:
    """Opens queues and the table. Nothing is asked of either store, nor of its keys."""

    settings: Settings
    environ: Mapping[str, str]
    client: Client
    keys: Providers

    async def queues(self) -> QueueAdmin:
        """What makes, describes and empties queues."""
        return QueueAdmin(await self._api(SQS, self.keys.queue))

    async def queue(self, name_or_url: str, *, dead_letter: str = "") -> SqsQueue:
        """A queue to receive from and send to. NoSuchBucket where there is none."""
        endpoint, region = await self._place("sqs", self.keys.queue)
        return await SqsQueue.open(
            name_or_url=name_or_url,
            client=self.client,
            credentials=self.keys.queue,
            endpoint=endpoint,
            region=region,
            dead_letter=dead_letter,
            clock=SystemClock(),
        )

    async def ledger(self, table: str) -> LedgerScan:
        """The job table, to be read."""
        _, region = await self._place("dynamodb", self.keys.table)
        api = await self._api(ledger_service(table, region), self.keys.table)
        return LedgerScan(table=table, api=api)

    async def _api(self, service: Service, keys: CredentialProvider) -> JsonApi:
        endpoint, region = await self._place(service.name, keys)
        return JsonApi(
            service=service,
            client=self.client,
            credentials=keys,
            endpoint=endpoint,
            region=region,
            clock=SystemClock(),
        )

    async def _place(self, service: str, keys: CredentialProvider) -> tuple[str, str]:
        region = (await keys.credentials()).region
        return await aws_endpoint(service, region, self.settings.src_profile, self.environ)


@asynccontextmanager
async def open_aws(settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[AwsTools]:
    """The tools, with connections that end with the context."""
    bundle = str(settings.ca_bundle or environ.get("AWS_CA_BUNDLE") or "")
    client = Client(tls=tls_context(bundle), proxies=Proxies.from_environment(environ))
    try:
        yield AwsTools(settings, environ, client, providers(settings, environ))
    finally:
        await client.close()
