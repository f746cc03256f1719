"""Section 1 of the fault bench: a fault proxy on every way, and real workers that have to cope.

Again alone: ``PYTHONPATH=bench:tests python -m faults.injection [--full | LIFE ...]``
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from faults.injection.judge import Verdict
from faults.injection.lives import lives
from faults.injection.running import live_all
from faults.injection.scene import Life
from faults.stage import Stage
from faults.tally import FORBIDDEN, Effort, Tally

SECTION = "injection"


def run(tally: Tally, effort: Effort, stage: Stage) -> None:
    """Every kind once, or at every place that makes sense."""
    play(tally, lives(effort), stage)


def play(tally: Tally, chosen: Sequence[Life], stage: Stage) -> list[Verdict]:
    """Have these lives, and enter what came of them."""
    verdicts = live_all(stage, chosen, at_once=4)
    tried: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for verdict in verdicts:
        tried += verdict.tried
        survived += verdict.survived
        faults += verdict.tally.faults
        tally.events += verdict.tally.events
        tally.failures += verdict.tally.failures
        for name in FORBIDDEN:
            setattr(tally, name, getattr(tally, name) + getattr(verdict.tally, name))
    tally.faults += faults
    for kind in tried:
        tally.row(SECTION, kind, tried[kind], survived[kind], f"struck {faults[kind]} times")
    return verdicts
