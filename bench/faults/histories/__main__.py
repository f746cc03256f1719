"""Play one history again, or some.

    python -m faults.histories --seed N [--without GUARD] [--shrink]
    python -m faults.histories --script FILE [--without GUARD] [--shrink]
    python -m faults.histories --first N --count N

Prints what was forbidden and what was reached; exit code 1 where anything was forbidden.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from faults.histories import situations
from faults.histories.drawing import draw
from faults.histories.guards import GUARDS
from faults.histories.many import failed, play_many, reported
from faults.histories.play import play
from faults.histories.script import History


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="faults.histories", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="the history of this seed")
    what.add_argument("--script", type=Path, help="a printed history")
    what.add_argument("--first", type=int, help="the first of many seeds")
    parser.add_argument("--count", type=int, default=100, help="how many, from --first on")
    parser.add_argument("--without", choices=sorted(GUARDS), help="take a guard out of the engine")
    parser.add_argument("--shrink", action="store_true", help="make a failing history small")
    parser.add_argument(
        "--orphans", action="store_true", help="end workers whose message is in other hands too"
    )
    given = parser.parse_args(arguments)
    with GUARDS[given.without]() if given.without else contextlib.nullcontext():
        if given.first is not None:
            return _many(given.first, given.count)
        history = History.parse(given.script.read_text()) if given.script else draw(given.seed)
        return _one(history, given)


def _many(first: int, count: int) -> int:
    sums = play_many(first, count)
    print("\n\n".join(sums.texts))
    print(f"{sums.histories} histories, {sums.failed} failed; {situations(sums.seen)}")
    return 1 if sums.failed else 0


def _one(history: History, given: argparse.Namespace) -> int:
    played = play(history, orphans=given.orphans)
    if not failed(played):
        print(f"{len(history.ops)} operations, nothing forbidden; {situations(played.seen)}")
        return 0
    if given.shrink:
        print(reported(played, given.without or ""))
    else:
        print(history)
        for one in played.failures:
            print(f"# {one.kind} at {one.when:.2f}: {one.text}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
