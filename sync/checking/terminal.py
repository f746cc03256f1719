"""The report for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from sync.checking.classes import EQUAL_BY, KINDS
from sync.checking.findings import IN_TERMINAL, Entry
from sync.checking.lines import instant
from sync.checking.result import CheckResult, PairResult
from sync.checking.words import aside, counted, headline, lasted
from sync.telemetry.amounts import size
from sync.telemetry.lines import printable


def lines(result: CheckResult) -> Iterator[str]:
    """The whole report, safe to print whatever the keys hold."""
    for text in _report(result):
        yield printable(text)


def _report(result: CheckResult) -> Iterator[str]:
    yield f"Compared by {result.options.said}, in {lasted(result.seconds)}."
    for pair in result.pairs:
        yield from _pair(pair)
    yield from _classes(result)
    for title, entries in (
        ("The largest", result.findings.largest),
        ("The oldest", result.findings.oldest),
    ):
        if entries:
            yield ""
            yield f"{title} that differ:"
            yield from (f"  {_at_length(entry)}" for entry in entries)
    for kind in result.findings.classes():
        yield from _first(result, kind)
    for error in result.errors:
        yield ""
        yield f"FAILED: {error}"
    yield ""
    yield headline(result)


def _pair(result: PairResult) -> Iterator[str]:
    tally = result.tally
    yield ""
    yield str(result.pair)
    yield f"  source       {counted(tally.source_objects)}, {size(tally.source_bytes)}"
    yield f"  destination  {counted(tally.destination_objects)}, {size(tally.destination_bytes)}"
    yield f"  equal        {counted(result.equal)}"
    for name, count in result.equal_by.most_common():
        yield f"    {count:>12,}  {EQUAL_BY[name]}"
    if result.settled:
        yield f"    {result.settled:>12,}  differed at first, and no more at the second look"
    for name, count in sorted(result.set_aside.items()):
        yield f"  left out     {counted(count)}: {aside(name)}"
    if result.bytes_read:
        yield f"  read         {size(result.bytes_read)}"
    if result.queued:
        yield f"  repair       {counted(result.queued)} queued to be copied"


def _classes(result: CheckResult) -> Iterator[str]:
    findings = result.findings
    if not findings.counts:
        return
    yield ""
    yield f"{'CLASS':<12}  {'OBJECTS':>12}  {'BYTES':>10}"
    for kind in findings.classes():
        count, total = findings.counts[kind], size(findings.bytes[kind])
        yield f"{kind:<12}  {count:>12,}  {total:>10}  {KINDS[kind].means}"


def _first(result: CheckResult, kind: str) -> Iterator[str]:
    count, kept = result.findings.counts[kind], result.findings.kept[kind][:IN_TERMINAL]
    yield ""
    yield f"{kind}: {counted(count)}" + (f", the first {len(kept)}" if count > len(kept) else "")
    for entry in kept:
        yield f"  {entry.place}" + (f"  ({entry.detail})" if entry.detail else "")


def _at_length(entry: Entry) -> str:
    at = instant(entry.modified) or "-"
    return f"{size(entry.size):>10}  {at:20}  {entry.kind:<11}  {entry.place}"
