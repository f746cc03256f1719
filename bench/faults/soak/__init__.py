"""An hour at a steady rate with faults in a twentieth of all requests: nothing grows.

The length is ``SOAK_MINUTES`` where that is set. One run alone, with more options:
``python -m faults.soak --minutes M``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from faults.soak.plan import Soak
from faults.soak.play import play
from faults.stage import Stage
from faults.tally import Effort, Tally

_SHORT: Final = Soak(seconds=18.0, warm_up=6.0, every=0.5, keys=60, large_every=60)
_RESULTS: Final = Path(__file__).resolve().parents[2] / "results"


def run(tally: Tally, effort: Effort, stage: Stage) -> None:
    """The soak of this effort."""
    minutes = os.environ.get("SOAK_MINUTES")
    if minutes:
        play(tally, of_minutes(float(minutes)), stage)
    elif effort is Effort.SHORT:
        play(tally, _SHORT, stage)
    else:
        play(tally, of_minutes(60.0), stage, kept=_RESULTS / "soak.csv")


def of_minutes(minutes: float) -> Soak:
    """A soak so long, behind a warm-up of half that: Python takes its memory by the MiB, a
    fiftieth of all there is, and the last step up was seen after 34 minutes.
    """
    return Soak(seconds=90 * minutes, warm_up=30 * minutes)
