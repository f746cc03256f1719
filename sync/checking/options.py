"""What a run of `check` is told beside the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sync.engine.comparing.closer_look import Depth, Reading
from sync.engine.comparing.compare import Comparing


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """Times are POSIX timestamps. ``sample`` is the part (above 0, up to 1) of the objects that
    get the closer look; ``settle`` the seconds between a difference and the second look at it,
    None for no second look; ``connections`` how many ranges of a pair are listed at once;
    ``progress`` the seconds between two lines of it (0: none).
    """

    depth: Depth = field(default_factory=Depth)
    how: Comparing = field(default_factory=Comparing)
    sample: float = 1.0
    seed: str = ""
    settle: float | None = 10.0
    since: float | None = None
    until: float | None = None
    prefix: str = ""
    ignore_extraneous: bool = False
    ignore_archived: bool = False
    allow_unverified: bool = False
    repair: bool = False
    keys_per_message: int = 1
    report: Path | None = None
    html: Path | None = None
    sort: bool = False
    connections: int = 8
    progress: float = 10.0
    expect: int = 0

    @property
    def said(self) -> str:
        """How it is compared, in one line for people."""
        words = ["listings (size"]
        words += ["ETag"] if self.how.etag else []
        words += ["time"] if self.how.modified else []
        levels = [", ".join(words) + ")"]
        if self.depth.checksum:
            levels.append("stored checksums")
        if self.depth.reading:
            sides = "the source" if self.depth.reading is Reading.SOURCE else "both sides"
            rest = " of what checksums leave open" if self.depth.checksum else ""
            levels.append(f"reading {sides}{rest}")
        text = ", ".join(levels)
        if self.sample < 1:
            seed = f", seed {self.seed}" if self.seed else ""
            text += f"; closer looks at a sample of {100 * self.sample:g}%{seed}"
        return text
