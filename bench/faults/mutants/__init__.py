"""Each guard is removed in turn: the tests have to notice.

Not one of the counts of the last line; a guard that nobody misses is a failure all the same.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from faults.mutants.guards import GUARDS, Guard
from faults.mutants.removal import failing_as_it_is, remove
from faults.stage import Stage
from faults.tally import Effort, Tally

__all__ = ["GUARDS", "run"]
_SHORT = ("pin: If-Match on ranged reads", "delete: the source is asked again afterwards")


def run(tally: Tally, effort: Effort, _stage: Stage) -> None:
    """Remove all of them; in the short form the two whose tests end soonest."""
    chosen = [g for g in GUARDS if effort is Effort.FULL or g.name in _SHORT]
    remove_all(tally, chosen)


def remove_all(tally: Tally, guards: Sequence[Guard]) -> None:
    """A row of the table for each. Where the tests fail anyway, nothing is removed."""
    if failing := failing_as_it_is(guards):
        tally.failures.append(f"guards: {failing} fails although nothing was removed")
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for verdict in pool.map(remove, guards):
            note = verdict.seen_by or "NOBODY MISSED IT"
            tally.row("guards", f"without {verdict.guard.name}", 1, bool(verdict.seen_by), note)
