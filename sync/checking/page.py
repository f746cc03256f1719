"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

import sync
from sync.checking.classes import EQUAL_BY, KINDS
from sync.checking.findings import IN_PAGE, Entry
from sync.checking.lines import instant
from sync.checking.result import CheckResult
from sync.checking.words import aside, counted, headline, lasted
from sync.errors import ConfigError
from sync.telemetry.amounts import size
from sync.telemetry.lines import printable

_OPTION: Final = re.compile(r"--[a-z][a-z-]*")


def write_page(result: CheckResult, path: Path) -> None:
    """Write it. ConfigError where the file cannot be written."""
    try:
        path.write_text(page(result), "utf-8")
    except OSError as error:
        raise ConfigError(f"--html {path}: cannot be written: {error}") from None


def page(result: CheckResult) -> str:
    """The whole page, every value escaped."""
    return _template().render(_values(result)) + "\n"


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("sync.checking", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["marked"] = _marked
    return environment.get_template("page.html")


def _marked(text: str) -> Markup:
    """Options of the command set off, so that none is broken over two lines."""
    marked = _OPTION.sub(r"<code>\g<0></code>", str(escape(text)))
    return Markup(marked)  # noqa: S704  escaped  # nosec B704


def _values(result: CheckResult) -> dict[str, Any]:
    findings, totals = result.findings, result.totals
    rows = list(_fairly(result))
    equal = sum(one.equal for one in result.pairs)
    return {
        "verdict": result.verdict,
        "headline": headline(result),
        "said": result.options.said,
        "begun": instant(result.begun) or "",
        "seconds": lasted(result.seconds),
        "version": sync.__version__,
        "totals": [
            ("Source", counted(totals.source_objects), size(totals.source_bytes)),
            ("Destination", counted(totals.destination_objects), size(totals.destination_bytes)),
            ("Equal", counted(equal), _share(equal, totals.source_objects)),
            ("Different", counted(findings.differences), size(_differing_bytes(result))),
        ],
        "classes": [
            {
                "name": kind,
                "means": KINDS[kind].means,
                "tone": _tone(kind),
                "count": f"{findings.counts[kind]:,}",
                "bytes": size(findings.bytes[kind]),
                "share": _bar(findings.counts[kind], findings.counts.total()),
            }
            for kind in findings.classes()
        ],
        "equal_by": _equal_by(result),
        "aside": [(aside(name), f"{count:,}") for name, count in sorted(result.set_aside.items())],
        "pairs": [_pair(one) for one in result.pairs],
        "errors": [printable(error) for error in result.errors],
        "largest": [_row(entry) for entry in findings.largest],
        "oldest": [_row(entry) for entry in findings.oldest],
        "rows": [_row(entry) for entry in rows],
        "shown": f"{len(rows):,}",
        "told": f"{findings.counts.total():,}",
        "all_shown": len(rows) == findings.counts.total(),
    }


def _equal_by(result: CheckResult) -> list[tuple[str, str]]:
    found = [(EQUAL_BY[name], f"{count:,}") for name, count in result.equal_by.most_common()]
    settled = sum(one.settled for one in result.pairs)
    if settled:
        found.append(("differed at first, and no more at the second look", f"{settled:,}"))
    return found


def _differing_bytes(result: CheckResult) -> int:
    return sum(n for kind, n in result.findings.bytes.items() if KINDS[kind].differs)


def _share(count: int, total: int) -> str:
    """Rounded down: 100% is said of all only."""
    return f"{min(count, total) * 1000 // total / 10}% of the source" if total else ""


def _bar(count: int, total: int) -> int:
    return max(1, round(100 * count / total))


def _tone(kind: str) -> str:
    return "bad" if KINDS[kind].differs else "open"


def _pair(one: Any) -> dict[str, str]:
    tally = one.tally
    return {
        "name": printable(str(one.pair)),
        "source": f"{tally.source_objects:,}",
        "source_bytes": size(tally.source_bytes),
        "destination": f"{tally.destination_objects:,}",
        "destination_bytes": size(tally.destination_bytes),
        "equal": f"{one.equal:,}",
        "told": f"{one.told.total():,}",
        "read": size(one.bytes_read),
        "queued": f"{one.queued:,}",
        "seconds": lasted(one.seconds),
    }


def _row(entry: Entry) -> dict[str, str]:
    source, destination = entry.source, entry.destination
    return {
        "kind": entry.kind,
        "tone": _tone(entry.kind),
        "place": printable(str(entry.place)),
        "source": size(source.size) if source else "",
        "destination": size(destination.size) if destination else "",
        "modified": instant(entry.modified) or "",
        "size": size(entry.size),
        "detail": printable(entry.detail),
    }


def _fairly(result: CheckResult) -> Iterator[Entry]:
    """At most so many of all classes together, none of which crowds out the others."""
    findings = result.findings
    left, room = findings.classes(), IN_PAGE
    share: dict[str, int] = dict.fromkeys(left, 0)
    while left and room:
        each = max(1, room // len(left))
        for kind in list(left):
            more = min(each, room, len(findings.kept[kind]) - share[kind])
            share[kind] += more
            room -= more
            if share[kind] == len(findings.kept[kind]):
                left.remove(kind)
    for kind, count in share.items():
        yield from findings.kept[kind][:count]
