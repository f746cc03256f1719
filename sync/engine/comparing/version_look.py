"""JobsenderCompareVersionId: what the ledger knows as copied, against the current version."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from sync.engine.comparing.compare import Difference, Finding, Pair, Window
from sync.model import ObjectRef

CopiedVersions = Callable[[Sequence[ObjectRef]], Awaitable[Mapping[ObjectRef, str]]]


class VersionLook:
    """Has a closer look at pairs of equal size. ``copied`` gives, of the source objects asked
    for, the version ids that are at the destination as far as the ledger knows; "null" where
    the bucket had no versions. An object it does not know counts as different.
    """

    def __init__(self, bucket: str, copied: CopiedVersions) -> None:
        self._bucket = bucket
        self._copied = copied

    async def refine(self, pairs: Sequence[Pair]) -> Window:
        """Those whose versions differ, and the rest."""
        refs = [ObjectRef(self._bucket, source.key) for source, _ in pairs]
        known = await self._copied(refs)
        findings: list[Finding] = []
        equal: list[Pair] = []
        for ref, pair in zip(refs, pairs, strict=True):
            current, copied = pair[0].version_id or "null", known.get(ref)
            if copied == current:
                equal.append(pair)
            else:
                detail = f"the source has version {current}, the ledger {copied or 'no copy'}"
                findings.append(Finding(Difference.VERSION, ref.key, *pair, detail))
        return Window(findings, equal)
