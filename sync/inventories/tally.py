"""What a run over an inventory has done: the numbers, and what nobody may overlook."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from sync.adapters.inventory import DataFile, InventoryRow, RowFault
from sync.errors import ConfigError

_TOLD: Final = 20


@dataclass(slots=True)
class Tally:
    """Counts; ``skipped`` is by reason."""

    rows: int = 0
    sent: int = 0
    messages: int = 0
    unreadable: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Count the other's as well."""
        self.rows += other.rows
        self.sent += other.sent
        self.messages += other.messages
        self.unreadable += other.unreadable
        self.skipped += other.skipped


class Notices:
    """Tells of rows and files that need an operator's eyes: all of them as JSON lines in
    ``path``, where given; the first unreadable ones, and every file, to ``show``.
    """

    def __init__(self, show: Callable[[str], None], path: Path | None, *, append: bool) -> None:
        self._show = show
        self._told = 0
        self._file: TextIO | None = None
        if path is not None:
            try:
                self._file = path.open("a" if append else "w", encoding="utf-8")
            except OSError as error:
                raise ConfigError(f"--report {path}: {error.strerror}") from None

    def unreadable(self, fault: RowFault) -> None:
        """A row that nobody can read."""
        self._told += 1
        if self._told <= _TOLD:
            self._show(f"{fault.file}, row {fault.number}: {fault.reason}")
        elif self._told == _TOLD + 1:
            self._show("more rows cannot be read; --report FILE lists them all")
        self._write(what="unreadable", file=fault.file, row=fault.number, reason=fault.reason)

    def left_out(self, file: DataFile, row: InventoryRow, reason: str) -> None:
        """A row that is left out though it is an object that is there."""
        key, storage = row.object.key, row.object.storage_class
        self._write(
            what=reason,
            file=file.name,
            row=row.number,
            bucket=row.bucket,
            key=key,
            storage_class=storage,
            **({"access_tier": row.access_tier} if row.access_tier else {}),
        )

    def failed(self, name: str, reason: str) -> None:
        """A data file that could not be read, or not to its end."""
        self._show(f"file not read: {reason}")
        self._write(what="file-failed", file=name, reason=reason)

    def note(self, text: str) -> None:
        """Anything else."""
        self._show(text)

    def close(self) -> None:
        """Nothing more comes."""
        if self._file is not None:
            self._file.close()

    def _write(self, **fields: object) -> None:
        if self._file is not None:
            self._file.write(f"{json.dumps(fields)}\n")
