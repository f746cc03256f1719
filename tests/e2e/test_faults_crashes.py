"""Workers that die at every step and at random moments, and what is there afterwards."""

from __future__ import annotations

import pytest
from faults import crashes
from faults.stage import Stage
from faults.tally import Effort, Tally


@pytest.mark.parametrize("part", crashes.PARTS, ids=lambda part: part.__name__)
def test_nothing_is_lost(stage: Stage, part: crashes.Part) -> None:
    tally = Tally()
    part(tally, Effort.SHORT, stage)
    tally.verify()
    assert tally.rows
    assert tally.crashes + tally.faults.total() > 0
    assert tally.events > 0
