"""The sections of the fault bench, in the order they run."""

from __future__ import annotations

import importlib
import traceback
from typing import Final

from faults.stage import Stage
from faults.tally import Effort, Tally

_MODULES: Final = {
    "injection": "faults.injection",
    "crashes": "faults.crashes",
    "histories": "faults.histories",
    "inputs": "faults.inputs",
    "load": "faults.load",
    "soak": "faults.soak",
    "guards": "faults.mutants",
}
NAMES: Final = tuple(_MODULES)


def run_section(name: str, tally: Tally, effort: Effort, stage: Stage) -> None:
    """Run one section; what it cannot do to its end is a failure in the tally."""
    try:
        importlib.import_module(_MODULES[name]).run(tally, effort, stage)
    except Exception:  # noqa: BLE001  the other sections are to run all the same
        tally.unhandled += 1
        tally.failures.append(f"{name}: {traceback.format_exc()}")
