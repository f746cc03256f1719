"""`python -m faults.mutants [TEXT ...]`: remove the guards whose names contain a TEXT, or all."""

from __future__ import annotations

import sys

from faults.mutants import GUARDS, remove_all
from faults.tally import Tally

chosen = [g for g in GUARDS if not sys.argv[1:] or any(text in g.name for text in sys.argv[1:])]
tally = Tally()
remove_all(tally, chosen)
print(tally.text())
sys.exit(0 if tally.well else 1)
