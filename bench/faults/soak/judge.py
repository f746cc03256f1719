"""What a soak has to show: nothing lost, nothing grown, no long lag."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from faults.soak.driver import Done
from faults.soak.lean_queue import Messages
from faults.soak.plan import Soak
from faults.soak.samples import Inside, Sample, Told
from faults.soak.slopes import Points, Trend, medians, quantile, trend
from faults.tally import Tally

MB: Final = 1e-6
_PERCENT_AN_HOUR: Final = 1.0
_MORE_MB: Final = 24.0
_MORE_FILES: Final = 48.0
_P99: Final = 60.0
_LONGEST: Final = 180.0
_LAG_AN_HOUR: Final = 0.5
_MINUTE: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Everything that is known of a soak. ``queue``, ``dead``, ``uploads``: what was left;
    ``uploads_left``: after ``3gsync uploads abort``.
    """

    soak: Soak
    began: float
    ended: float
    samples: Sequence[Sample]
    inside: Sequence[Inside]
    told: Told
    done: Sequence[Done]
    fired: Mapping[str, Counter[str]]
    code: int | None
    summary: Mapping[str, Any]
    queue: Messages
    dead: int
    uploads: int
    creates_struck: int
    uploads_left: int
    equal: bool

    @property
    def warm(self) -> float:
        """From when on it counts."""
        return self.began + self.soak.warm_up

    def series(self) -> dict[str, Points]:
        """What must not grow, from the warm-up's end to the last change."""
        last = self.began + self.soak.seconds
        outside = [one for one in self.samples if self.warm <= one.at <= last]
        inside = [one for one in self.inside if self.warm <= one.at <= last]
        return {
            "memory": [(one.at, one.memory) for one in outside],
            "threads": [(one.at, one.threads) for one in outside],
            "files": [(one.at, one.files) for one in inside],
            "sockets": [(one.at, one.sockets) for one in inside],
            "tasks": [(one.at, one.tasks) for one in inside],
            "blocks": [(one.at, one.blocks) for one in inside],
        }

    def lags(self) -> list[tuple[float, float]]:
        """Of all jobs that ended after the warm-up."""
        return [(at, lag) for at, lag in self.told.lags if at >= self.warm]


def judge(tally: Tally, m: Measured, *, kept: Path | None = None) -> None:
    """Put it into the tally; where it grew, with the numbers."""
    tally.events += m.summary.get("messages", 0)
    tally.unhandled += len(m.told.bugs)
    for fired in m.fired.values():
        tally.faults.update(fired)
    lags = [lag for _, lag in m.lags()]
    faults = [*_ending(m), *_flat(m), *_prompt(lags)]
    trends = _trends(m) if m.soak.judged else {}
    faults += _slopes(trends)
    _rows(tally, m, lags, trends)
    if faults:
        tally.failures.append("\n  ".join([f"soak: {m.soak.command}", *faults]))
    table = list(_table(m))
    if kept:
        kept.parent.mkdir(exist_ok=True)
        kept.write_text("\n".join(",".join(row) for row in table) + "\n")
    if m.soak.seconds > 2 * _MINUTE:
        print("\n".join("".join(f"{cell:>14}" for cell in row) for row in table), flush=True)


def _ending(m: Measured) -> Iterator[str]:
    told, done = sum(hand.told for hand in m.done), m.summary.get("messages", 0)
    wanted: list[tuple[str, Any, Any]] = [
        ("the worker's exit code", m.code, 0),
        ("destination equals source", m.equal, True),
        ("messages sent", m.queue.sent, told),
        ("messages deleted", m.queue.deleted, told),
        ("dead letters", m.dead, 0),
        ("uploads open, more than creations struck", max(0, m.uploads - m.creates_struck), 0),
        ("uploads left by 3gsync uploads abort", m.uploads_left, 0),
        ("jobs still failing", m.summary.get("failing"), []),
        ("every message reached the worker", m.queue.deliveries >= done >= told > 0, True),
        ("some were written in parts", m.told.parts > 0, True),
        ("the driver's errors", [error for hand in m.done for error in hand.errors], []),
        ("servers without faults", [name for name, fired in m.fired.items() if not fired], []),
    ]
    for what, got, want in wanted:
        if got != want:
            yield f"{what}: {got!r}, not {want!r}"
    for line in m.told.bugs[:20]:
        yield f"the worker said: {line[:2000]}"


def _flat(m: Measured) -> Iterator[str]:
    """At any length: the last third is not far above the first."""
    bounds = {"memory": _MORE_MB / MB, "files": _MORE_FILES, "sockets": _MORE_FILES}
    bounds |= {"threads": 4.0, "tasks": 2.0 * 10 + _MORE_FILES}
    for name, points in m.series().items():
        values = [value for _, value in points]
        third = len(values) // 3
        if not third:
            yield f"{name}: {len(values)} samples are too few"
        elif name in bounds:
            first, last = statistics.median(values[:third]), statistics.median(values[-third:])
            if last > first + bounds[name]:
                yield f"{name}: {first:,.0f} at first, {last:,.0f} at last"


def _prompt(lags: Sequence[float]) -> Iterator[str]:
    if not lags:
        yield "no job ended after the warm-up"
    if quantile(lags, 0.99) > _P99 or max(lags, default=0.0) > _LONGEST:
        yield f"lag: p99 {quantile(lags, 0.99):.1f} s, at most {max(lags):.1f} s"


def _trends(m: Measured) -> dict[str, Trend]:
    found = {name: trend(medians(points, _MINUTE)) for name, points in m.series().items()}
    found["lag"] = trend(medians(m.lags(), _MINUTE))
    return found


def _slopes(trends: Mapping[str, Trend]) -> Iterator[str]:
    """Memory by its line alone. Of twenty sockets that come and go one percent is less than one:
    counts grow where the line's whole interval does.
    """
    for name in ("memory", "files", "sockets", "threads", "tasks"):
        found = trends.get(name)
        if found is None or found.percent < _PERCENT_AN_HOUR:
            continue
        if name == "memory" or found.low > 0:
            yield f"{name} grows: {found.text('')}"
    if "lag" in trends and trends["lag"].slope >= _LAG_AN_HOUR:
        yield f"the median lag grows: {trends['lag'].text('s')}"


# --- the report ---------------------------------------------------------------------------


def _rows(tally: Tally, m: Measured, lags: Sequence[float], trends: Mapping[str, Trend]) -> None:
    told = sum(hand.told for hand in m.done)
    kinds = sum((hand.kinds for hand in m.done), Counter())
    tally.row(
        "soak", f"messages in {m.soak.seconds / _MINUTE:.1f} minutes", told, m.queue.deleted,
        f"{m.queue.deliveries} deliveries; {dict(kinds)}; {m.told.retries} retries; "
        f"{_struck(m)} faults",
    )  # fmt: skip
    oldest = max((one.age for one in m.samples), default=0.0)
    late, again = max(hand.late for hand in m.done), sum(hand.again for hand in m.done)
    tally.row(
        "soak", "lag from a change to its verified copy", len(lags),
        sum(lag <= _LONGEST for lag in lags),
        f"p50 {quantile(lags, 0.5):.2f} s, p99 {quantile(lags, 0.99):.1f} s, at most "
        f"{max(lags, default=0):.1f} s; oldest message at most {oldest:.1f} s; "
        f"driver at most {late:.1f} s late, {again} times again; "
        f"servers alone {_servers(m.samples)}",
    )  # fmt: skip
    series = m.series()
    for name, scale, unit in (("memory", MB, "MB"), ("files", 1, ""), ("tasks", 1, "")):
        values = [value * scale for _, value in series[name]]
        slope = f", {trends[name].text(unit, scale)}" if name in trends else ""
        ends = f"{min(values, default=0):.1f} to {max(values, default=0):.1f} {unit}"
        tally.row("soak", f"samples of {name}", len(values), len(values), ends + slope)


def _struck(m: Measured) -> str:
    return ", ".join(f"{name} {fired.total()}" for name, fired in m.fired.items())


def _servers(samples: Sequence[Sample]) -> str:
    """Their small requests' median, in the first and in the last quarter of the soak."""
    quarter = max(1, len(samples) // 4)
    found = []
    for name in samples[0].servers if samples else ():
        ends = [
            1000 * statistics.median(one.servers[name] for one in part)
            for part in (samples[:quarter], samples[-quarter:])
        ]
        found.append(f"{name} {ends[0]:.0f} -> {ends[1]:.0f} ms")
    return ", ".join(found)


def _table(m: Measured) -> Iterator[list[str]]:
    """One line for each minute, or each tenth of a shorter soak."""
    yield ["minute", "memory MB", "files", "sockets", "threads", "tasks", "blocks", "queue",
           "oldest s", "lag p50 s", "lag max s"]  # fmt: skip
    width = min(_MINUTE, m.soak.seconds / 10)
    start = m.began
    while start < m.ended:
        end = start + width
        outside = [one for one in m.samples if start <= one.at < end]
        inside = [one for one in m.inside if start <= one.at < end]
        lags = [lag for at, lag in m.told.lags if start <= at < end]
        yield [
            f"{(start - m.began) / _MINUTE:.1f}",
            _middle((one.memory * MB for one in outside), 2),
            _middle((one.files for one in inside), 0),
            _middle((one.sockets for one in inside), 0),
            _middle((one.threads for one in outside), 0),
            _middle((one.tasks for one in inside), 0),
            _middle((one.blocks for one in inside), 0),
            _middle((one.depth for one in outside), 0),
            _middle((one.age for one in outside), 1),
            f"{quantile(lags, 0.5):.3f}",
            f"{max(lags, default=0):.1f}",
        ]
        start = end


def _middle(values: Iterable[float], digits: int) -> str:
    found = list(values)
    return f"{statistics.median(found):.{digits}f}" if found else "-"
