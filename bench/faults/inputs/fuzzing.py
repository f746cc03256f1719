"""The fuzzer's rows: random changes of valid inputs everywhere, coverage-guided ones besides."""

from __future__ import annotations

import importlib.util
import os
from typing import Final

from faults.inputs.campaign import Found, Task, divided, run_all, shares, texts
from faults.inputs.targets import TABLE
from faults.tally import Effort, Tally

_SECTION: Final = "inputs"
_GUIDABLE: Final = tuple(name for name, entry in TABLE.items() if entry.guided)
_RANDOM: Final = {Effort.SHORT: 17_000, Effort.FULL: 1_000_000}
_CHILDREN: Final = {Effort.SHORT: 2, Effort.FULL: 12}
_GUIDED: Final = {Effort.SHORT: ("messages",), Effort.FULL: _GUIDABLE}
_GUIDED_RUNS: Final = {Effort.SHORT: 3_000, Effort.FULL: 500_000}
_GUIDED_SECONDS: Final = {Effort.SHORT: 10.0, Effort.FULL: 30.0}


def has_atheris() -> bool:
    """Atheris has wheels for some platforms only."""
    return importlib.util.find_spec("atheris") is not None


def tasks_of(effort: Effort, seed: int) -> list[Task]:
    """What is run, the longest first."""
    costs = {name: entry.cost for name, entry in TABLE.items()}
    hands = divided(shares(_RANDOM[effort]), costs, _CHILDREN[effort])
    tasks = [Task(runs=hand, seed=seed) for hand in hands]
    if has_atheris():
        runs, seconds = _GUIDED_RUNS[effort], _GUIDED_SECONDS[effort]
        tasks += [
            Task(runs={name: runs}, engine="atheris", seed=seed, seconds=seconds)
            for name in _GUIDED[effort]
        ]
    return tasks


def fuzz(tally: Tally, effort: Effort) -> None:
    """Count every input; add a row for each target.

    The seed is fixed, so that a run can be repeated; ``FAULTS_SEED`` sets another.
    """
    seed = int(os.environ.get("FAULTS_SEED", "1"))
    found = run_all(tasks_of(effort, seed))
    for name in TABLE:
        _row(tally, name, found, seed)


def _row(tally: Tally, name: str, found: Found, seed: int) -> None:
    count, faults = found.counts[name], texts(found.faults, name)
    tally.bad_inputs += count
    tally.unhandled += len(faults)
    tally.failures += faults
    note = f"seed {seed}"
    if found.guided[name]:
        note += f", {found.guided[name]:,} of them coverage-guided"
    elif TABLE[name].guided and not has_atheris():
        note += ", random only: there is no atheris for this platform"
    if found.slowest.get(name, 0.0) > 0.5:  # noqa: PLR2004  else it is not worth a word
        note += f", slowest {found.slowest[name]:.1f} s"
    tally.row(_SECTION, f"fuzzed: {name}", count, count - len(faults), note)
