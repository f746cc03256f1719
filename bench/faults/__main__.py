"""`make faults` and `make faults-short`: try to break 3GSync, and say what survived.

    python -m faults [--short] [--only SECTION ...] [--list]

Prints a table; the last line is JSON (see ``faults.tally.Tally.summary``). Exit code 1 where
anything forbidden was seen.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from faults.sections import NAMES, run_section
from faults.stage import open_stage
from faults.tally import Effort, Tally


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="faults", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--short", action="store_true", help="minutes instead of hours")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES), metavar="SECTION")
    parser.add_argument("--list", action="store_true", help="name the sections and end")
    given = parser.parse_args(arguments)
    if given.list:
        print("\n".join(NAMES))
        return 0
    tally = Tally()
    effort = Effort.SHORT if given.short else Effort.FULL
    with (
        tempfile.TemporaryDirectory(prefix="3gsync-faults-") as folder,
        open_stage(Path(folder)) as stage,
    ):
        for name in given.only:
            began = time.monotonic()
            run_section(name, tally, effort, stage)
            seconds = time.monotonic() - began
            print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
    print(tally.text())
    return 0 if tally.well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
