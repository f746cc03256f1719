"""A whole check: all pairs, one after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from sync.backfill.opening import Parts, open_parts
from sync.backfill.options import JobsenderOptions
from sync.backfill.pairs import bucket_pairs
from sync.checking.findings import IN_PAGE, IN_TERMINAL, Findings
from sync.checking.lines import ReportFile
from sync.checking.options import CheckOptions
from sync.checking.pair import PairCheck
from sync.checking.result import CheckResult
from sync.config import Settings
from sync.engine.comparing.closer_look import KnownCopy
from sync.engine.comparing.evidence import Copied
from sync.engine.comparing.known_copies import KnownCopies
from sync.engine.comparing.sending import JobSender
from sync.errors import ConfigError, SyncError
from sync.model import BucketPair, ObjectRef
from sync.telemetry.lines import write
from sync.wiring import open_ledger


async def check(
    settings: Settings,
    environ: Mapping[str, str],
    options: CheckOptions,
    pairs: Sequence[BucketPair] = (),
    *,
    bucket_list: Path | None = None,
) -> CheckResult:
    """Compare the pairs, or those of the bucket list, limited to the prefix.

    A pair that fails ends there, with its error in the result, and the next one follows.
    """
    begun = time.monotonic()
    pairs = limited(list(pairs) or await bucket_pairs(settings, environ, bucket_list), options)
    # Versions are the jobsender's way; this compares what is there.
    settings = replace(settings, compare_version_id=False)
    with ExitStack() as stack:
        sinks = [stack.enter_context(ReportFile(options.report))] if options.report else []
        keep = IN_PAGE if options.html else IN_TERMINAL
        result = CheckResult(options, Findings(keep=keep, sinks=sinks), begun=time.time())
        opening = JobsenderOptions(dry_run=not options.repair)
        async with open_parts(settings, environ, opening) as parts:
            await _compare(parts, environ, result, pairs)
    result.seconds = time.monotonic() - begun
    return result


async def _compare(
    parts: Parts, environ: Mapping[str, str], result: CheckResult, pairs: Sequence[BucketPair]
) -> None:
    options = result.options
    sender = _sender(parts, options)
    known = await _known(parts, environ, options)
    for pair in pairs:
        run = PairCheck(parts, pair, options, result.findings, sender=sender, known=known)
        result.pairs.append(await run.run())
        if result.pairs[-1].error:
            write(logging.ERROR, result.pairs[-1].error, {"event": "failure", "pair": str(pair)})


def _sender(parts: Parts, options: CheckOptions) -> JobSender | None:
    if not options.repair:
        return None
    return JobSender(parts.queues, keys_per_message=options.keys_per_message)


async def _known(
    parts: Parts, environ: Mapping[str, str], options: CheckOptions
) -> KnownCopy | None:
    """The ledger, where checksums are compared and there is one."""
    if not options.depth.checksum:
        return None
    ledger = await open_ledger(
        parts.settings, environ, parts.stores.client, parts.stores.keys.table, instance="check"
    )
    if ledger is None:
        return None

    async def copies(refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, Copied]:
        rows = await ledger.copies(refs)
        return {ref: Copied(*row) for ref, row in rows.items()}

    def failed(error: SyncError) -> None:
        text = f"the ledger is left out of the proofs: {error}"
        write(logging.WARNING, text, {"event": "ledger", "reason": str(error)})

    return KnownCopies(copies, clock=parts.clock, failed=failed).get


def limited(pairs: Sequence[BucketPair], options: CheckOptions) -> list[BucketPair]:
    """The pairs that hold keys beginning with the prefix, limited to those."""
    wanted, found = options.prefix, []
    for pair in pairs:
        if pair.source_prefix.startswith(wanted):
            found.append(pair)
        elif wanted.startswith(pair.source_prefix):
            found.append(pair._replace(source_prefix=wanted))
    if not found:
        raise ConfigError(f"--prefix {wanted!r}: no pair of buckets has keys that begin so")
    return found
