"""Fixtures every test may ask for: real S3 servers on loopback, started once a session."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

from support import ceph, servers
from support.servers import S3Server
from support.stores import SUBJECTS, Subject
from sync import cli, jobsender, worker

settings.register_profile("ours", deadline=None)  # how fast a machine is proves nothing
settings.load_profile("ours")


@pytest.fixture(autouse=True, scope="session")
def core_dumps_of_the_tests_as_they_were() -> Iterator[None]:
    """Programs that run in this process would forbid them for all tests behind."""
    with pytest.MonkeyPatch.context() as patch:
        for program in (cli, jobsender, worker):
            patch.setattr(program, "forbid_core_dumps", lambda: None)
        yield


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    """Verbs that run in this process log to the stderr of their test, which is closed then."""
    yield
    for logger in (logging.getLogger("3gsync"), logging.getLogger("sync")):
        for handler in logger.handlers:
            handler.close()
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def seaweedfs_server() -> Iterator[S3Server]:
    """SeaweedFS: verifies signatures and checksums."""
    with servers.seaweedfs() as server:
        yield server


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """moto's S3 (and the other services it has) in a process of its own."""
    with servers.moto_s3() as server:
        yield server


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[S3Server]:
    """The strict stand-in for Cloud Storage."""
    with servers.gcs_standin() as server:
        yield server


@pytest.fixture(scope="session")
def ceph_server() -> Iterator[S3Server]:
    """Ceph's RADOS gateway; skips where it is not installed and cannot be."""
    reason = ceph.why_unavailable()
    if reason:
        pytest.skip(reason)
    with ceph.ceph_rgw() as server:
        yield server


@pytest.fixture(scope="session", params=sorted(SUBJECTS))
def subject(request: pytest.FixtureRequest) -> Subject:
    """Each store of the contract suite in turn, with a bucket of its own."""
    name: str = request.param
    return SUBJECTS[name](request)
