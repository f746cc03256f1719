"""What the store contract runs over: one `Subject` for each store.

To join another store, add a maker to ``SUBJECTS``. A maker gets pytest's request, so that it
can ask for a server fixture, and returns a `Subject` with a bucket of its own.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import boto3
import pytest
from botocore.config import Config

from support.buckets import make_bucket
from support.servers import GCS_VERSIONED, S3Server
from sync.adapters.dialects import GCS, GENERIC, S3Dialect
from sync.adapters.memory import MEMORY_DIALECT, MemoryStore
from sync.adapters.s3 import S3Store
from sync.model import Dialect
from sync.ports import Credentials, DestinationStore, SourceStore
from sync.wire.client import Client

T = TypeVar("T")


class Store(SourceStore, DestinationStore, Protocol):
    """Both sides at once, as every store here is."""


@dataclass(frozen=True)
class Traits:
    """What a server does not do as S3 does, so that the contract asks only what it can."""

    checks_md5: bool = True
    checks_signatures: bool = True
    tells_aborted_uploads: bool = True
    keeps_tags: bool = True
    keeps_expires: bool = True
    keeps_raw_metadata: bool = True
    versions: bool = True
    lost_keys: frozenset[str] = frozenset()
    makes_missing_buckets: bool = False


@dataclass(frozen=True)
class Subject:
    """A store under the contract. ``connect`` opens it in the running loop, optionally with
    other keys; ``version_bucket`` makes a versioned bucket.
    """

    name: str
    bucket: str
    dialect: Dialect
    connect: Callable[[Credentials | None], AbstractAsyncContextManager[Any]]
    version_bucket: Callable[[], str]
    traits: Traits = Traits()

    def run(self, test: Callable[[Any], Awaitable[T]], credentials: Credentials | None = None) -> T:
        """Run a test's coroutine with an open store."""

        async def main() -> T:
            async with self.connect(credentials) as store:
                return await test(store)

        return asyncio.run(main())


async def many(calls: Iterable[Coroutine[Any, Any, T]], *, at_once: int = 16) -> list[T]:
    """Await calls, a few at a time."""
    slots = asyncio.Semaphore(at_once)

    async def one(call: Coroutine[Any, Any, T]) -> T:
        async with slots:
            return await call

    return await asyncio.gather(*map(one, calls))


class FixedCredentials:
    """The same keys always; counts how often they were refused."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self.invalidated = 0

    async def credentials(self) -> Credentials:
        return self._credentials

    def invalidate(self) -> None:
        self.invalidated += 1


def boto_for(server: S3Server) -> Any:
    """A client nobody here wrote, to set buckets up and to look from outside."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"max_attempts": 5},
        ),
    )


@asynccontextmanager
async def connected(
    server: S3Server, dialect: S3Dialect, credentials: Credentials | None = None
) -> AsyncIterator[S3Store]:
    """An `S3Store` on a server of its own connections."""
    client = Client()
    keys = credentials or Credentials(server.access_key, server.secret_key)
    try:
        yield S3Store(
            client=client,
            credentials=FixedCredentials(keys),
            endpoint=server.endpoint,
            dialect=dialect,
        )
    finally:
        await client.close()


def s3_subject(server: S3Server, dialect: S3Dialect, traits: Traits) -> Subject:
    """A subject on an S3 server, with a fresh bucket."""
    boto = boto_for(server)

    def fresh(*, versioned: bool) -> str:
        bucket = f"contract-{uuid.uuid4().hex[:12]}"
        make_bucket(boto, bucket)
        if versioned:
            boto.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        return bucket

    return Subject(
        name=server.name,
        bucket=fresh(versioned=False),
        dialect=dialect,
        connect=lambda credentials: connected(server, dialect, credentials),
        version_bucket=lambda: fresh(versioned=True),
        traits=replace(traits, checks_signatures=server.checks_signatures),
    )


# It keeps objects as files: empty and dotted path segments are folded or refused, and a name
# that ends in a slash is a folder without content.
_NO_PATHS = frozenset(
    {
        *("a//b", "/a", "//", "./a", "a/../b", "a/./b", "../up", "folder/", "folder//"),
        *("back\\slash", "x" * 1024, "é" * 512),
    }
)


def _seaweedfs(request: pytest.FixtureRequest) -> Subject:
    traits = Traits(lost_keys=_NO_PATHS, makes_missing_buckets=True)
    return s3_subject(request.getfixturevalue("seaweedfs_server"), GENERIC, traits)


def _moto(request: pytest.FixtureRequest) -> Subject:
    traits = Traits(checks_md5=False, tells_aborted_uploads=False)
    return s3_subject(request.getfixturevalue("moto_server"), GENERIC, traits)


def _ceph(request: pytest.FixtureRequest) -> Subject:
    traits = Traits(tells_aborted_uploads=False)
    return s3_subject(request.getfixturevalue("ceph_server"), GENERIC, traits)


def _gcs(request: pytest.FixtureRequest) -> Subject:
    traits = Traits(keeps_expires=False)
    subject = s3_subject(request.getfixturevalue("gcs_server"), GCS, traits)
    return replace(subject, version_bucket=lambda: GCS_VERSIONED)


def _memory(_request: pytest.FixtureRequest) -> Subject:
    plain, versioned = MemoryStore("plain"), MemoryStore("versioned", versioned=True)

    @asynccontextmanager
    async def connect(_credentials: Credentials | None) -> AsyncIterator[MemoryStore]:
        yield plain

    plain.buckets["versioned"] = versioned.buckets["versioned"]
    traits = Traits(checks_signatures=False, versions=False)
    return Subject("memory", "plain", MEMORY_DIALECT, connect, lambda: "versioned", traits)


SUBJECTS: dict[str, Callable[[pytest.FixtureRequest], Subject]] = {
    "memory": _memory,
    "seaweedfs": _seaweedfs,
    "moto": _moto,
    "ceph-rgw": _ceph,
    "gcs": _gcs,
}
