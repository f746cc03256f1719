"""The jobsender looks closer: stored checksums of objects of equal size, where both have any."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sync.engine.comparing.closer_look import CloserLook, Look, Open
from sync.engine.comparing.compare import Difference, Finding, Pair, Window


class ChecksumLook:
    """Looks at pairs of equal size, each by a HEAD on both sides, within the look's budget.

    ``unverified`` counts those whose checksums cannot be compared; they count as equal. An
    error of a store is raised, and ends the comparison as one of a listing does.
    """

    def __init__(self, look: CloserLook) -> None:
        self._look = look
        self.unverified = 0

    async def refine(self, pairs: Sequence[Pair]) -> Window:
        """Those whose checksums differ, and the rest."""
        looks = await asyncio.gather(*(self._look.at(pair) for pair in pairs))
        findings: list[Finding] = []
        equal: list[Pair] = []
        for pair, look in zip(pairs, looks, strict=True):
            finding = _finding(pair, look)
            if finding is None:
                equal.append(pair)
                self.unverified += look.open is Open.UNVERIFIED
            else:
                findings.append(finding)
        return Window(findings, equal)


def _finding(pair: Pair, look: Look) -> Finding | None:
    if look.changed:  # copying it once more is cheaper than to wait until it stands still
        detail = "it changed while it was looked at"
        return Finding(Difference.CHECKSUM, pair[0].key, *pair, detail)
    return look.finding
