"""Log lines of a program, as the configuration wants them."""

from __future__ import annotations

import logging

from sync.config import Settings
from sync.telemetry.lines import set_up, write


def set_up_logs(settings: Settings, role: str) -> None:
    """Log as the configuration says, into files named after ``role``, and tell its notes."""
    set_up(
        level=settings.logging_level,
        form=settings.log_format,
        folder=settings.log_folder,
        role=role,
    )
    for note in settings.notes:
        write(logging.INFO, f"config: {note}", {"event": "config", "note": note})
