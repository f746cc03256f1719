"""What a check came to: the counts of each pair, and of all of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sync.checking.classes import CHANGING, FAILED
from sync.checking.findings import Findings
from sync.checking.options import CheckOptions
from sync.engine.comparing.closer_look import Open
from sync.engine.comparing.compare import Tally
from sync.model import BucketPair


@dataclass(slots=True)
class PairResult:
    """``equal_by`` counts equal objects by what they are equal by; ``settled`` those that were
    so at the second look. ``set_aside`` counts what was not to be compared, by the reason. With
    ``error`` the pair was not compared to its end: the counts are of what was done until then.
    """

    pair: BucketPair
    tally: Tally = field(default_factory=Tally)
    equal_by: Counter[str] = field(default_factory=Counter)
    proven_bytes: int = 0
    settled: int = 0
    told: Counter[str] = field(default_factory=Counter)
    set_aside: Counter[str] = field(default_factory=Counter)
    bytes_read: int = 0
    queued: int = 0
    waiting: int = 0
    pages: int = 0
    seconds: float = 0.0
    error: str = ""

    @property
    def equal(self) -> int:
        """Objects that equal their source, as far as they were looked at."""
        return self.equal_by.total() + self.settled


@dataclass(slots=True)
class CheckResult:
    """All pairs of a run. ``begun`` is a POSIX timestamp."""

    options: CheckOptions
    findings: Findings
    pairs: list[PairResult] = field(default_factory=list)
    begun: float = 0.0
    seconds: float = 0.0

    @property
    def errors(self) -> list[str]:
        """Why pairs were not compared to their end."""
        return [one.error for one in self.pairs if one.error]

    @property
    def incomplete(self) -> bool:
        """True where something was not compared as it was asked for."""
        counts = self.findings.counts
        open_ones = counts[Open.UNVERIFIED] and not self.options.allow_unverified
        archived = counts[Open.NOT_RESTORED] and not self.options.ignore_archived
        return bool(self.errors or counts[FAILED] or open_ones or archived)

    @property
    def verdict(self) -> str:
        """``incomplete``, ``different`` or ``equal``: the first that holds."""
        if self.incomplete:
            return "incomplete"
        return "different" if self.findings.differences else "equal"

    @property
    def equal_by(self) -> Counter[str]:
        """Over all pairs."""
        return sum((one.equal_by for one in self.pairs), Counter[str]())

    @property
    def set_aside(self) -> Counter[str]:
        """Over all pairs."""
        return sum((one.set_aside for one in self.pairs), Counter[str]())

    @property
    def totals(self) -> Tally:
        """What the listings held, over all pairs."""
        total = Tally()
        for one in self.pairs:
            total.source_objects += one.tally.source_objects
            total.source_bytes += one.tally.source_bytes
            total.destination_objects += one.tally.destination_objects
            total.destination_bytes += one.tally.destination_bytes
        return total

    def figures(self) -> dict[str, Any]:
        """For machines; the names are explained in docs/check.md."""
        findings, totals = self.findings, self.totals
        return {
            "verdict": self.verdict,
            "pairs": len(self.pairs),
            "source_objects": totals.source_objects,
            "source_bytes": totals.source_bytes,
            "destination_objects": totals.destination_objects,
            "destination_bytes": totals.destination_bytes,
            "equal": sum(one.equal for one in self.pairs),
            "equal_by": dict(self.equal_by),
            "proven_bytes": sum(one.proven_bytes for one in self.pairs),
            "settled": sum(one.settled for one in self.pairs),
            "differences": findings.differences,
            "classes": {
                kind: {"objects": findings.counts[kind], "bytes": findings.bytes[kind]}
                for kind in findings.classes()
            },
            "changing": findings.counts[CHANGING],
            "unverified": findings.counts[Open.UNVERIFIED],
            "failed": findings.counts[FAILED],
            "set_aside": dict(self.set_aside),
            "sample": self.options.sample,
            "bytes_read": sum(one.bytes_read for one in self.pairs),
            "queued": sum(one.queued for one in self.pairs),
            "pages": sum(one.pages for one in self.pairs),
            "errors": self.errors,
            "seconds": round(self.seconds, 1),
        }
