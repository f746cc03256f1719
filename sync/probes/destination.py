"""Everything 3GSync relies on at the destination, tried on the user's own bucket."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

from sync.adapters.s3 import S3Store
from sync.config import Settings
from sync.messages import DestinationRule
from sync.ports import Clock
from sync.probes.attempts import Attempts, HopelessError
from sync.probes.bench import Bench
from sync.probes.litter import Litter
from sync.probes.objects import probe_objects
from sync.probes.parts import probe_parts
from sync.probes.report import Report

TRAFFIC: Final = "about 15 MB"


async def probe_destination(
    settings: Settings, store: S3Store, report: Report, clock: Clock
) -> None:
    """Write, read and delete below a prefix of its own; cleaned up whatever happens."""
    bucket = settings.default_bucket
    rule = DestinationRule(bucket, settings.default_prefix)
    litter = Litter(store, rule, uuid4().hex, clock=clock)
    attempts = Attempts(report, store.dialect, bucket, clock)
    bench = Bench(settings, store, attempts, litter, clock)
    try:
        await probe_objects(bench)
        await probe_parts(bench)
    except HopelessError:
        pass
    finally:
        await litter.clear(report)
