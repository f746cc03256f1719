"""The fault bench's first section in its short form: every kind of fault once, and all survived."""

from __future__ import annotations

import pytest
from faults.injection import run
from faults.injection.stores import CATALOGUE
from faults.stage import Stage
from faults.tally import Effort, Tally

KINDS = 100


@pytest.mark.timeout(400)
def test_nothing_is_lost_stale_or_mixed_whatever_strikes(stage: Stage) -> None:
    tally = Tally()
    run(tally, Effort.SHORT, stage)
    tally.verify()
    assert len(tally.faults) >= KINDS
    assert not CATALOGUE.keys() - tally.faults.keys()
    assert all(row.tried == row.survived > 0 for row in tally.rows)
    assert {row.what for row in tally.rows} == tally.faults.keys()
    assert tally.events > KINDS
