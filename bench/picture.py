"""Bars as SVG, by hand: no library is worth its weight for twelve rectangles."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

BAR, GAP, LEFT, WIDE = 20, 8, 150, 420
OWN, OTHER = "#2563eb", "#9ca3af"


def _bars(title: str, values: Mapping[str, float], top: int) -> tuple[list[str], int]:
    most = max(values.values()) or 1.0
    out = [f'<text x="8" y="{top}" font-weight="bold">{escape(title)}</text>']
    y = top + 12
    for name, value in values.items():
        length = max(1, round(WIDE * value / most))
        colour = OWN if name.startswith("3GSync") else OTHER
        middle = y + BAR * 3 // 4
        out += [
            f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{length}" height="{BAR}" fill="{colour}"/>',
            f'<text x="{LEFT + length + 6}" y="{middle}">{value:.2f}</text>',
        ]
        y += BAR + GAP
    return out, y + 20


def svg(charts: Mapping[str, Mapping[str, float]], note: str) -> str:
    """One block of bars for each chart, a remark below."""
    body: list[str] = []
    y = 24
    for title, values in charts.items():
        bars, y = _bars(title, values, y)
        body += bars
    body.append(f'<text x="8" y="{y}" fill="#6b7280">{escape(note)}</text>')
    width, height = LEFT + WIDE + 70, y + 14
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">'
        f'<rect width="{width}" height="{height}" fill="white"/>' + "".join(body) + "</svg>\n"
    )
