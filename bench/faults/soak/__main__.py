"""One soak alone; its command stands in the text of a failure.

python -m faults.soak --minutes M [--rate CHANGES_A_SECOND] [--faults SHARE] [--seed N] [--trace]

``--trace`` keeps, beside the samples, which objects there are most of and where memory was asked
for: slow, and its figures are not the worker's alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path

from faults.soak import of_minutes
from faults.soak.play import play
from faults.stage import open_stage
from faults.tally import Tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults.soak")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--faults", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--csv", type=Path, help="where the samples go, a line for each minute")
    parser.add_argument("--folder", type=Path, help="keeps what the worker wrote")
    given = parser.parse_args()
    soak = dataclasses.replace(
        of_minutes(given.minutes),
        rate=given.rate,
        faults=given.faults,
        seed=given.seed,
        trace=given.trace,
    )
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="3gsync-soak-") as folder:
        where = given.folder or Path(folder)
        where.mkdir(exist_ok=True)
        with open_stage(where) as stage:
            play(tally, soak, stage, kept=given.csv)
    print(tally.text())
    return 0 if tally.well else 1


if __name__ == "__main__":
    sys.exit(main())
