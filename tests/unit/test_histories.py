"""Random histories over several workers with accidents end with destination equal to source.

Puts, overwrites, metadata and deletes; events delayed, duplicated and out of order; workers
killed at any moment, their writes landing late; faults of stores, ledger and queue. The fault
bench plays ten thousand of them (``faults.histories``); here are the first.
"""

from __future__ import annotations

import pytest
from faults.histories.many import play_block

HISTORIES = 24
BLOCKS = 4


@pytest.mark.parametrize("block", range(BLOCKS))
def test_any_history_ends_with_destination_equal_to_source(block: int) -> None:
    each = HISTORIES // BLOCKS
    sums = play_block(range(100 + block * each, 100 + (block + 1) * each))
    assert sums.histories == each
    assert not sums.failed, "\n\n".join(sums.texts)
