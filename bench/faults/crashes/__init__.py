"""Crashes: workers die at every step of an object's way and at random moments, of no memory, of
logs that nobody takes, under their supervisor. Nothing may be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from faults.crashes.logs import run_logs
from faults.crashes.memory import run_memory
from faults.crashes.moments import run_moments
from faults.crashes.rounds import run_steps
from faults.crashes.steps import Step, Way
from faults.crashes.supervision import run_supervision
from faults.stage import Stage
from faults.tally import Effort, Tally

__all__ = ["logs", "memory", "moments", "run", "steps", "supervision"]

TIMES: Final = 50
"""SIGKILLs at each step in the full campaign."""

AGAIN: Final = 5
"""How often each other kind of death is tried."""
SEGMENTS: Final = 20
KILLS: Final = 50
"""1,000 at random moments, with a judgement after every fifty."""


def run(tally: Tally, effort: Effort, stage: Stage) -> None:
    """The whole section."""
    for part in PARTS:
        part(tally, effort, stage)


def steps(tally: Tally, effort: Effort, stage: Stage) -> None:
    """SIGKILL at every named step."""
    full = effort is Effort.FULL
    times = TIMES if full else 1
    run_steps(tally, stage, times=times, ledger=True)
    wanted = _of_large_objects if full else _of_the_mark
    run_steps(tally, stage, times=times, ledger=False, wanted=wanted)


def _of_large_objects(step: Step) -> bool:
    """The ledger plays its part in these; the others are the same without."""
    return step.way is Way.LARGE


def _of_the_mark(step: Step) -> bool:
    """There are none of these with a ledger."""
    return step.ledger is False


def moments(tally: Tally, effort: Effort, stage: Stage) -> None:
    """SIGKILL at random moments over a mixed load."""
    full = effort is Effort.FULL
    for seed in range(SEGMENTS if full else 1):
        run_moments(tally, stage, kills=KILLS if full else 8, seed=seed)


def logs(tally: Tally, effort: Effort, stage: Stage) -> None:
    """Logs that nobody takes."""
    run_logs(
        tally, stage, times=AGAIN if effort is Effort.FULL else 1, short=effort is Effort.SHORT
    )


def supervision(tally: Tally, effort: Effort, stage: Stage) -> None:
    """A supervisor and its children."""
    run_supervision(
        tally, stage, times=AGAIN if effort is Effort.FULL else 1, short=effort is Effort.SHORT
    )


def memory(tally: Tally, effort: Effort, stage: Stage) -> None:
    """Workers without memory."""
    run_memory(
        tally, stage, times=AGAIN if effort is Effort.FULL else 1, short=effort is Effort.SHORT
    )


Part = Callable[[Tally, Effort, Stage], None]
PARTS: Final[tuple[Part, ...]] = (steps, moments, memory, logs, supervision)
