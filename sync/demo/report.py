"""The end of a run: the comparison, a short table, and the line for machines."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Collection
from typing import Any, Final

from sync.demo.contents import Catalogue
from sync.demo.names import DESTINATION, SOURCE
from sync.demo.screen import Reading, Screen
from sync.demo.stage import Stage
from sync.demo.story import Story
from sync.demo.verify import Verdict, Verification, listing
from sync.demo.watch import Figures, quantile
from sync.telemetry.lines import printable

_MB: Final = 1_000_000
_LISTED: Final = 10
_WIDTH: Final = 78


def conclude(story: Story, items: Catalogue, screen: Screen) -> int:
    """Verify, print, and give the exit code: 1 if anything is lost or stale."""
    check = Verification(story.stage, left_out=story.ignored | {items.forbidden.key})
    screen.step("comparing every object, byte by byte, without 3GSync")
    with screen.showing(lambda: _reading(check.verdict)):
        verdict = check.run()
    there = listing(story.stage.source, SOURCE)
    faults = _load_faults(there, story.source.present)
    figures, letters = story.watch.update(), dead_letters(story.stage)
    summary = _summary(verdict, figures, len(story.ignored & there.keys()), len(letters))
    screen.step(f"compared {verdict.bytes / _MB:.0f} MB on both sides")
    _table(screen, story, verdict, figures, summary)
    _tell(screen, verdict, letters, faults, resumed=figures.resumed_parts)
    screen.print(json.dumps(summary, separators=(",", ":")))
    return 1 if verdict.lost or verdict.stale or faults else 0


def _reading(verdict: Verdict) -> Reading:
    return Reading(
        noun="compared",
        done=verdict.verified,
        total=verdict.objects,
        copies=verdict.verified,
        moved=verdict.bytes_read,
    )


def _load_faults(there: dict[str, int], present: dict[str, int]) -> list[str]:
    """The comparison is worth nothing if the source lost something by itself."""
    keys = sorted(there.keys() ^ present.keys())
    sizes = sorted(key for key in there.keys() & present.keys() if there[key] != present[key])
    return [f"{key!r}: the source does not hold what was loaded" for key in (*keys, *sizes)]


def dead_letters(stage: Stage) -> list[str]:
    """The reasons of all messages in the dead-letter queue, one for each."""
    reasons: list[str] = []
    while True:
        reply = stage.queue.receive_message(
            QueueUrl=stage.dead_letters_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=600,
            MessageAttributeNames=["All"],
        )
        messages = reply.get("Messages", [])
        if not messages:
            return reasons
        reasons += [_reason(message) for message in messages]


def _reason(message: dict[str, Any]) -> str:
    attributes = message.get("MessageAttributes", {})
    return printable(attributes.get("reason", {}).get("StringValue", "no reason given"))


def _summary(
    verdict: Verdict, figures: Figures, ignored: int, dead_lettered: int
) -> dict[str, int | float]:
    return {
        "objects": verdict.objects,
        "bytes": verdict.bytes,
        "verified": verdict.verified,
        "lost": len(verdict.lost),
        "stale": len(verdict.stale),
        "ignored": ignored,
        "dead_lettered": dead_lettered,
        "resumed_parts": figures.resumed_parts,
        "lag_p50_s": round(quantile(figures.lags, 0.5), 3),
        "lag_p99_s": round(quantile(figures.lags, 0.99), 3),
    }


def _table(
    screen: Screen,
    story: Story,
    verdict: Verdict,
    figures: Figures,
    summary: dict[str, int | float],
) -> None:
    source = story.source
    ignored = summary["ignored"]
    rows = [
        ("verified", verdict.verified, f"of {verdict.objects}, {verdict.bytes / _MB:.0f} MB"),
        ("lost", len(verdict.lost), ""),
        ("stale", len(verdict.stale), ""),
        (
            "overwritten",
            source.rewritten,
            f"{figures.converged} during the copy, which began anew",
        ),
        ("deleted", len(source.deleted), _still_there(verdict, source.deleted)),
        ("announced twice", source.duplicates, ""),
        ("resumed parts", figures.resumed_parts, "sent by the killed worker, kept by the next"),
        ("ignored", ignored, f"by the ignore list, {_still_there(verdict, story.ignored)}"),
        ("dead-lettered", summary["dead_lettered"], "each with its reason, below"),
    ]
    screen.print()
    for name, number, remark in rows:
        screen.print(f"  {name:<16}{number:>6}  {remark}".rstrip())
    lag = f"{summary['lag_p50_s']:.2f} s (median), {summary['lag_p99_s']:.2f} s (99 %)"
    screen.print(f"  {'lag':<16}  {lag}, S3 event to verified object")
    screen.print()


def _still_there(verdict: Verdict, keys: Collection[str]) -> str:
    """What the destination says of objects that it must not hold."""
    found = sum(key in verdict.stale for key in keys)
    return f"{found} STILL at the destination" if found else "not at the destination"


def _tell(
    screen: Screen, verdict: Verdict, letters: list[str], faults: list[str], *, resumed: int
) -> None:
    for reason in letters:
        screen.print(_wrapped(f"  dead-lettered: {reason}"))
    for kind, keys in (("lost", verdict.lost), ("stale", verdict.stale)):
        for key, why in list(keys.items())[:_LISTED]:
            screen.print(f"  {kind}: {DESTINATION}/{key!r} {why}")
    for fault in faults[:_LISTED]:
        screen.print(f"  {fault}")
    if not resumed:
        screen.print("  Warning: no part was resumed; the kill came too early or too late.")
    screen.print()


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=" " * 17)
