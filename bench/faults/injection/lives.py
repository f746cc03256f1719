"""The lives of the campaign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from faults.injection import changes, refusals, services, stores, ways
from faults.injection.scene import Life, Plan
from faults.tally import Effort

_PLANS_A_LIFE = 40
STORES: Final[dict[str, object]] = {"LateWriteGrace": 3, "CircuitBreaker": 1000}
"""The circuit breaker would end a batch run in which so much is denied on purpose."""


def lives(effort: Effort) -> list[Life]:
    """All lives of this effort; what waits longest comes first, to wait beside the others."""
    if effort is Effort.SHORT:
        return [*_own_lives(effort), *_store_lives("stores", stores.short_plans())]
    found = list(_own_lives(effort))
    for ledger in (True, False):
        for tls in (False, True):
            name = f"stores-{'ledger' if ledger else 'bare'}-{'tls' if tls else 'plain'}"
            found += _store_lives(name, stores.full_plans(), ledger=ledger, tls=tls)
    return found


def _store_lives(
    name: str, plans: Sequence[Plan], *, ledger: bool = True, tls: bool = False
) -> Iterator[Life]:
    for number, start in enumerate(range(0, len(plans), _PLANS_A_LIFE)):
        yield Life(
            name=f"{name}-{number}",
            plans=plans[start : start + _PLANS_A_LIFE],
            ledger=ledger,
            tls=tls,
            options=STORES,
        )


def _own_lives(effort: Effort) -> Iterator[Life]:
    queue: dict[str, object] = {"LateWriteGrace": 1, "CircuitBreaker": 1000}
    yield Life(name="services", plans=services.plans(), options=queue, arguments=())
    yield Life(
        name="refusals", plans=refusals.plans(), options={"MaxReceives": 2, **STORES}, code=1
    )
    yield Life(name="poison", plans=refusals.poison_alone(), code=1)
    yield Life(
        name="revoked",
        plans=refusals.revoked(),
        options={"CircuitBreaker": 3, "CircuitPause": 1},
        drive=refusals.until_restored,
    )
    yield Life(name="limit", plans=ways.limited(), options=STORES)
    yield Life(name="tls", plans=ways.impostors(), options=STORES, tls=True)
    yield Life(name="reads", plans=ways.damaged_reads(), options=STORES, source="gcs")
    yield Life(
        name="stalls", plans=ways.stalls(), options={**STORES, "JobTimeout": 5}, arguments=()
    )
    yield Life(name="blind", plans=ways.blind(), options=STORES)
    yield Life(
        name="copies",
        plans=ways.copies(),
        options={**STORES, "TransferMode": "copy"},
        source="gcs",
        drive=ways.at_one_end_point,
    )
    for name, ahead in (("fast", "3600"), ("slow", "-3600")):
        if name == "fast" or effort is Effort.FULL:
            clock = ("--deadline", "10", "--clock", ahead)
            plans = ways.skewed(f"the clock is {name}")
            yield Life(name=f"clock-{name}", plans=plans, options=STORES, arguments=clock)
    yield Life(
        name="names",
        plans=ways.by_name(),
        options=STORES,
        arguments=("--deadline", "10"),
        drive=ways.resolved_later,
    )
    # Changes take their time, and a worker that gave up on the read would miss them.
    yield Life(
        name="changes",
        plans=changes.plans(),
        options={**STORES, "SyncDeletes": True},
        arguments=(),
    )
