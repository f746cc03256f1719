"""Numbers and outcomes in words, the same in the terminal and on the page."""

from __future__ import annotations

from typing import Final

from sync.checking.classes import FAILED
from sync.checking.result import CheckResult
from sync.engine.comparing.closer_look import Open

_MINUTE: Final = 60
_ASIDE: Final = {
    "ignored": "on the ignore list",
    "out_of_time": "modified outside --since and --until",
    "extraneous": "only at the destination (--ignore-extraneous)",
    "archived": "archived (--ignore-archived)",
}


def lasted(seconds: float) -> str:
    """``0.4 s``, ``2 min 5 s``, ``3 h 20 min``."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), _MINUTE)
    if minutes < _MINUTE:
        return f"{minutes} min {rest} s"
    return f"{minutes // _MINUTE} h {minutes % _MINUTE} min"


def counted(count: int, noun: str = "object") -> str:
    """``1 object``, ``2,000 objects``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def aside(reason: str) -> str:
    """Why objects were left out."""
    return _ASIDE[reason]


def headline(result: CheckResult) -> str:
    """What came of it, in one sentence or two."""
    differing = counted(result.findings.differences)
    if result.verdict == "equal":
        how = " in the listings"
        if result.options.depth.closer:
            proven = result.equal_by.total() - result.equal_by["size"]
            how = f"; {proven:,} of them proven by checksums or by reading"
        return f"EQUAL: {counted(sum(one.equal for one in result.pairs))}, none differs{how}."
    if result.verdict == "different":
        differ = "differs" if result.findings.differences == 1 else "differ"
        return f"DIFFERENT: {differing} {differ}."
    return f"NOT PROVEN: {_open(result)}. Differences found: {result.findings.differences:,}."


def _open(result: CheckResult) -> str:
    counts, options = result.findings.counts, result.options
    said = []
    if result.errors:
        said.append(f"{counted(len(result.errors), 'pair')} not compared to the end")
    if counts[FAILED]:
        said.append(f"{counted(counts[FAILED])} could not be compared")
    if counts[Open.UNVERIFIED] and not options.allow_unverified:
        said.append(
            f"{counted(counts[Open.UNVERIFIED])} not verifiable by checksum "
            "(add --read, or accept them with --allow-unverified)"
        )
    if counts[Open.NOT_RESTORED] and not options.ignore_archived:
        said.append(
            f"{counted(counts[Open.NOT_RESTORED])} archived and not readable "
            "(restore them, or leave them out with --ignore-archived)"
        )
    return "; ".join(said)
