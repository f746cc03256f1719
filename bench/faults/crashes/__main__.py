"""One of the crashes alone, as often as wanted.

python -m faults.crashes --step "large: between parts" [--no-ledger] [--times N]
python -m faults.crashes --seed 7 [--kills N]
python -m faults.crashes --part memory|logs|supervision [--full]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from faults import crashes
from faults.crashes.moments import run_moments
from faults.crashes.rounds import run_steps
from faults.crashes.steps import RECEIVING, STEPS, Step
from faults.stage import Stage, open_stage
from faults.tally import Effort, Tally


def main(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    tally = Tally()
    with (
        tempfile.TemporaryDirectory(prefix="3gsync-crashes-") as folder,
        open_stage(Path(folder)) as stage,
    ):
        _run(given, tally, stage)
    print(tally.text())
    return 0 if tally.well else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="faults.crashes", description=(__doc__ or "")[:60])
    titles = [step.title for step in (RECEIVING, *STEPS)]
    parser.add_argument("--step", choices=titles, help="deaths at this step")
    parser.add_argument("--no-ledger", action="store_true", help="without a job table")
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, help="deaths at random moments")
    parser.add_argument("--kills", type=int, default=crashes.KILLS)
    parser.add_argument("--part", choices=[part.__name__ for part in crashes.PARTS])
    parser.add_argument("--full", action="store_true", help="as often as in the campaign")
    return parser


def _run(given: argparse.Namespace, tally: Tally, stage: Stage) -> None:
    if given.step:

        def wanted(step: Step) -> bool:
            return bool(step.title == given.step)

        run_steps(tally, stage, times=given.times, ledger=not given.no_ledger, wanted=wanted)
    if given.seed is not None:
        run_moments(tally, stage, kills=given.kills, seed=given.seed)
    if given.part:
        part = next(part for part in crashes.PARTS if part.__name__ == given.part)
        part(tally, Effort.FULL if given.full else Effort.SHORT, stage)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
