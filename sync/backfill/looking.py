"""A closer look at objects of one pair, within the workers' budget."""

from __future__ import annotations

from sync.backfill.opening import Parts
from sync.engine.comparing.closer_look import CloserLook, Depth, KnownCopy
from sync.engine.comparing.compare import Comparing
from sync.engine.retry import Retry
from sync.model import BucketPair
from sync.wiring import transfer_budget


def closer_look(
    parts: Parts,
    pair: BucketPair,
    *,
    how: Comparing,
    depth: Depth,
    known: KnownCopy | None = None,
) -> CloserLook:
    """The look at both of the pair's stores, with the configuration's retries and connections."""
    slots = transfer_budget(parts.settings, observer=parts.observer)
    retry = Retry(
        retries=max(1, parts.settings.max_retry),
        clock=parts.clock,
        observer=parts.observer,
        throttled=slots.throttled,
    )
    return CloserLook(
        pair,
        parts.stores.source,
        parts.stores.destination,
        how=how,
        depth=depth,
        slots=slots,
        retry=retry,
        known=known,
    )
