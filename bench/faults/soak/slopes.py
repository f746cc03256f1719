"""How much something grows: a robust line through samples, and how sure that is. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

Points = Sequence[tuple[float, float]]
_SURE: Final = 1.96
_HOUR: Final = 3600.0


@dataclass(frozen=True, kw_only=True)
class Trend:
    """``slope`` for an hour, with ``low`` and ``high`` around it, between which it lies with 95 %;
    ``level``: the samples' median.
    """

    slope: float
    low: float
    high: float
    level: float

    @property
    def percent(self) -> float:
        """The slope as a share of the level, percent for an hour."""
        return 100.0 * self.slope / self.level if self.level else 0.0

    def text(self, unit: str, scale: float = 1.0) -> str:
        """For people; ``scale`` of the values makes them ``unit``."""
        return (
            f"{self.slope * scale:+.3f} {unit}/h "
            f"({self.low * scale:+.3f} to {self.high * scale:+.3f}), {self.percent:+.2f} %/h"
        )


def medians(points: Points, width: float) -> list[tuple[float, float]]:
    """One point for each ``width`` seconds: neighbouring samples are not independent."""
    rows: dict[int, list[tuple[float, float]]] = {}
    for at, value in points:
        rows.setdefault(int(at // width), []).append((at, value))
    return [
        (statistics.median(at for at, _ in row), statistics.median(value for _, value in row))
        for _, row in sorted(rows.items())
    ]


def trend(points: Points) -> Trend:
    """The line of Theil and Sen: the median of the slopes between all pairs of points.

    The interval is Sen's, from the variance of Kendall's statistic (P. K. Sen, Estimates of the
    regression coefficient based on Kendall's tau, 1968). ValueError with fewer than three points.
    """
    if len(points) < 3:  # noqa: PLR2004  two points have no doubt about them
        raise ValueError("a trend needs three points at least")
    slopes = sorted(
        (after - before) / (later - earlier) * _HOUR
        for (earlier, before), (later, after) in combinations(points, 2)
        if later != earlier
    )
    count = len(points)
    doubt = _SURE * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, round((len(slopes) - doubt) / 2))
    high = min(len(slopes) - 1, round((len(slopes) + doubt) / 2))
    return Trend(
        slope=statistics.median(slopes),
        low=slopes[low],
        high=slopes[high],
        level=statistics.median(value for _, value in points),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed; 0.0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
