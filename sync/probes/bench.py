"""What the probes of a destination share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sync.adapters.dialects import S3Dialect
from sync.adapters.s3 import S3Store
from sync.checksums import Digester, disagreement
from sync.config import Settings
from sync.model import Checksums, Digest, ObjectRef, WriteReceipt
from sync.ports import Clock
from sync.probes.attempts import Attempts
from sync.probes.litter import Litter
from sync.probes.report import Report

CARRIERS: Final = {
    Digest.CRC32C: "CRC32C (x-goog-hash)",
    Digest.CRC64NVME: "CRC64NVME (x-amz-checksum-crc64nvme)",
    Digest.MD5: "MD5 (as ETag)",
}
_BUFFERED: Final = (
    "so each {thing} is held in memory and sent with its Content-MD5, which is slower"
)


@dataclass(frozen=True, slots=True)
class Bench:
    """The store under probe and what is needed around it."""

    settings: Settings
    store: S3Store
    attempts: Attempts
    litter: Litter
    clock: Clock

    @property
    def report(self) -> Report:
        """Where the lines go."""
        return self.attempts.report

    @property
    def dialect(self) -> S3Dialect:
        """What the store is supposed to be."""
        return self.store.dialect

    def judge_reply(self, what: str, data: bytes, receipt: WriteReceipt, thing: str) -> None:
        """Whether the reply to a write proves the bytes as the dialect says."""
        sums = sums_of(data)
        wanted = " or ".join(CARRIERS[digest] for digest in sorted(self.dialect.digests))
        if algorithm := disagreement(sums, receipt.checksums):
            self.report.fail(
                what,
                f"the reply's {algorithm} is not that of the bytes sent: the store damages or "
                f"changes what it stores, or its replies mean something else than {wanted}; set "
                "DestDialect to what the store is, and set no encryption with keys of your own",
            )
        elif any(getattr(receipt.checksums, digest) is not None for digest in self.dialect.digests):
            self.report.ok(what, wanted)
        else:
            text = f"the reply carries no {wanted}, {_BUFFERED.format(thing=thing)}"
            self.report.differs(what, text)

    async def read_back(self, ref: ObjectRef) -> Checksums:
        """Checksums of all the bytes the store hands out for an object."""
        digester = Digester(Digest)
        async with self.store.open(ref) as read:
            async for chunk in read.body:
                digester.update(chunk)
        return digester.checksums()


def sums_of(data: bytes) -> Checksums:
    """All checksums of bytes at hand."""
    digester = Digester(Digest)
    digester.update(data)
    return digester.checksums()
