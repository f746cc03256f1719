"""One run of the load alone; its command stands in the text of a failure.

python -m faults.load --objects N [--refuse PER_MILLE] [--duplicates N] [--large-every N]
    [--processes P] [--connections C] [--ledger]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from faults.load import native
from faults.load.accounts import Load
from faults.tally import Tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults.load")
    parser.add_argument("--objects", type=int, required=True)
    for name in ("refuse", "duplicates", "large-every"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--ledger", action="store_true")
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="3gsync-load-") as folder:
        native.run(tally, Load(**vars(parser.parse_args())), Path(folder))
    print(tally.text())
    return 0 if tally.well else 1


if __name__ == "__main__":
    sys.exit(main())
