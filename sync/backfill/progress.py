"""How far a comparison has got, as a line every so often."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from sync.ports import Clock
from sync.telemetry.lines import write


async def tell_progress(
    look: Callable[[], Mapping[str, int]], *, every: float, expect: int, clock: Clock
) -> None:
    """For ever: objects looked at, the rate since the start, and, where it is known how many
    there are, the time left. ``look`` gives the counts, ``source_objects`` among them.
    """
    begun = clock.monotonic()
    first = look().get("source_objects", 0)
    while True:
        await clock.sleep(every)
        counts = dict(look())
        seen = counts.get("source_objects", 0)
        rate = (seen - first) / max(clock.monotonic() - begun, 1e-9)
        figures: dict[str, object] = {"event": "progress", **counts, "objects_per_s": round(rate)}
        if expect > seen and rate > 0:
            figures["eta_s"] = round((expect - seen) / rate)
        said = ", ".join(f"{name} {value}" for name, value in figures.items() if name != "event")
        write(logging.INFO, f"progress: {said}", figures)
