"""The rig's servers, and a maker of rigs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("support.rig", "support.side", "support.worker_process")

from faults.stage import CachedAws, Stage  # noqa: E402

from support.gcs import running_gcs  # noqa: E402  its asserts are to be rewritten
from support.moto_aws import MotoAws  # noqa: E402
from support.rig import Queue, Rig, Side  # noqa: E402
from support.servers import S3Server  # noqa: E402
from sync.standins.gcs import HmacIdentity  # noqa: E402

RigMaker = Callable[..., Rig]


@pytest.fixture(scope="session")
def aws(moto_server: S3Server) -> MotoAws:
    """SQS and DynamoDB."""
    return CachedAws(moto_server.endpoint)


@pytest.fixture(scope="session")
def gcs_spare() -> HmacIdentity:
    """A second key of the stand-in, to change over to."""
    return HmacIdentity.made_up()


@pytest.fixture(scope="session")
def gcs_server(gcs_spare: HmacIdentity) -> Iterator[S3Server]:
    """The stand-in for Cloud Storage."""
    with running_gcs(identities=(HmacIdentity.made_up(), gcs_spare)) as gcs:
        yield S3Server("gcs", gcs.url, gcs.identity.access_id, gcs.identity.secret)


@pytest.fixture
def stage(seaweedfs_server: S3Server, gcs_server: S3Server, aws: MotoAws, tmp_path: Path) -> Stage:
    """The fault bench's, on the servers of this session."""
    return Stage(seaweedfs_server, gcs_server, aws, tmp_path)


@pytest.fixture
def make_rig(request: pytest.FixtureRequest, aws: MotoAws, tmp_path: Path) -> Iterator[RigMaker]:
    """Makes rigs: from SeaweedFS to the GCS stand-in, with a ledger, unless told otherwise."""
    rigs: list[Rig] = []

    def side(name: str) -> Side:
        dialect = "gcs" if name == "gcs" else "generic"
        return Side(request.getfixturevalue(f"{name}_server"), dialect)

    def make(
        *,
        source: str = "seaweedfs",
        target: str = "gcs",
        ledger: bool = True,
        dead_letter: bool = True,
        **options: Any,
    ) -> Rig:
        folder = tmp_path / f"rig-{len(rigs)}"
        folder.mkdir()
        rig = Rig(
            source=side(source),
            target=side(target),
            queue=Queue(aws, dead_letter=dead_letter),
            aws=aws,
            folder=folder,
            ledger=ledger,
            options=options,
        )
        rigs.append(rig)
        return rig

    yield make
    for rig in rigs:
        rig.close()


@pytest.fixture
def rig(make_rig: RigMaker) -> Rig:
    """The usual rig."""
    return make_rig()
