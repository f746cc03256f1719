"""The servers of the fault bench: the ones of the tests, started here where pytest does not."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from support import servers
from support.moto_aws import MotoAws
from support.rig import Queue, Rig
from support.servers import S3Server
from support.side import Side


class CachedAws(MotoAws):
    """Clients are made once: each costs a fifth of a second."""

    @cached_property
    def sqs(self) -> Any:
        return super().sqs

    @cached_property
    def dynamodb(self) -> Any:
        return super().dynamodb


@dataclass
class Stage:
    """A source (SeaweedFS), a destination (the stand-in for Cloud Storage), SQS and DynamoDB."""

    source: S3Server
    target: S3Server
    aws: MotoAws
    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextlib.contextmanager
    def rig(
        self, *, ledger: bool = True, dead_letter: bool = True, **options: Any
    ) -> Iterator[Rig]:
        """Fresh buckets, queue and table; checked and removed at the end."""
        folder = self.folder / f"rig-{next(self._numbers)}"
        folder.mkdir()
        rig = Rig(
            source=Side(self.source, "generic"),
            target=Side(self.target, "gcs"),
            queue=Queue(self.aws, dead_letter=dead_letter),
            aws=self.aws,
            folder=folder,
            ledger=ledger,
            options=options,
        )
        try:
            yield rig
        except BaseException:
            with contextlib.suppress(AssertionError):
                rig.close()
            raise
        rig.close()


@contextlib.contextmanager
def open_stage(folder: Path) -> Iterator[Stage]:
    """Start the servers on free loopback ports; they end with the context."""
    with servers.seaweedfs() as source, servers.gcs_standin() as target, servers.moto_s3() as moto:
        yield Stage(source, target, CachedAws(moto.endpoint), folder)
