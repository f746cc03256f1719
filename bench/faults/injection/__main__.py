"""Lives of the injection section by name: ``python -m faults.injection [--full | LIFE ...]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from faults.injection import play
from faults.injection.lives import lives
from faults.stage import open_stage
from faults.tally import Effort, Tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults.injection")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("names", nargs="*", metavar="LIFE", help="or its beginning; none: all")
    given = parser.parse_args()
    tally = Tally()
    found = lives(Effort.FULL if given.full else Effort.SHORT)
    if given.names:
        both = {life.name: life for effort in Effort for life in lives(effort)}
        found = [life for name, life in both.items() if name.startswith(tuple(given.names))]
    with (
        tempfile.TemporaryDirectory(prefix="3gsync-faults-") as name,
        open_stage(Path(name)) as stage,
    ):
        verdicts = play(tally, found, stage)
    for verdict in verdicts:
        print(f"{verdict.life.name}: {verdict.seconds:.0f} s", file=sys.stderr)
    print(tally.text())
    return 0 if tally.well else 1


if __name__ == "__main__":
    sys.exit(main())
