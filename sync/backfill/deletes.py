"""Deleting what only the destination has: after a whole listing, within a cap, each looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sync.backfill.opening import Parts
from sync.config.settings import DOWNUP
from sync.engine.copier import Copier
from sync.engine.transfer import JobState
from sync.errors import SyncError
from sync.messages import destination_key
from sync.model import BucketPair, JobKind, ObjectRef, Outcome, TransferJob
from sync.wiring import transfer_budget, transfer_context

_AT_ONCE: Final = 16


@dataclass(slots=True)
class Deleted:
    """How many objects were deleted; why others were not, each with its key."""

    count: int = 0
    kept: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


async def delete_extraneous(parts: Parts, pair: BucketPair, keys: Sequence[str]) -> Deleted:
    """Delete the copies of these source keys, of those that the source really does not have.

    Each goes the way of a delete event: the source is asked for the object first and once more
    afterwards, and what turns out to exist is copied instead.
    """
    # Whatever the workers are told to do beside it: here something is to be deleted.
    settings = replace(
        parts.settings,
        sync_deletes=True,
        transfer_mode=DOWNUP,
        verify_first=False,
        modified_since=None,
        not_modified_since=None,
    )
    budget = transfer_budget(settings)
    context = transfer_context(
        settings, parts.stores, ledger=None, budget=budget, observer=parts.observer
    )
    copier, deleted, waiting = Copier(context), Deleted(), iter(keys)

    async def work() -> None:
        for key in waiting:
            await _delete(copier, pair, key, deleted)

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return deleted


async def _delete(copier: Copier, pair: BucketPair, key: str, deleted: Deleted) -> None:
    target = ObjectRef(pair.destination_bucket, destination_key(pair.destination_prefix, key))
    job = TransferJob(JobKind.DELETE, ObjectRef(pair.source_bucket, key), target)
    try:
        result = await copier.run(job, JobState())
    except SyncError as error:
        deleted.failures.append(f"{target} was not deleted: {error}")
        return
    if result.outcome is Outcome.DELETED:
        deleted.count += 1
    else:
        deleted.kept.append(f"{target}: {result.reason or 'its source object exists again'}")
