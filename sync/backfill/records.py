"""The jobsender's backup files: JSON arrays of what was queued and of what was left out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from sync.engine.comparing.compare import Finding
from sync.messages import encode_job
from sync.model import BucketPair, JobKind, TransferJob

_FILES: Final = {
    "queue": "job-list",
    "ignore": "ignore-records",
    "archived": "archived-records",
}


class Records:
    """Writes ``job-list-<bucket>-<time>.json`` (job bodies), ``ignore-records-...json`` and
    ``archived-records-...json`` (what must be restored first) into ``folder``, one entry a line.
    A file is begun when there is something to write into it.
    """

    def __init__(self, folder: Path, pair: BucketPair) -> None:
        self._folder = folder
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
        self._name = f"{pair.source_bucket}-{stamp}.json"
        self._open: dict[str, IO[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._open.values():
            file.write("\n]\n")
            file.close()

    def told(self, action: str, finding: Finding, job: TransferJob) -> None:
        """Record what was done about a difference."""
        if action not in _FILES or job.kind is not JobKind.COPY:
            return
        body = encode_job(job)
        if action != "queue":
            body = json.dumps({**json.loads(body), "reason": finding.kind.value})
        self._write(_FILES[action], body)

    def _write(self, kind: str, line: str) -> None:
        file = self._open.get(kind)
        if file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = _unused(self._folder, f"{kind}-{self._name}")
            file = self._open[kind] = path.open("w", encoding="utf-8")
            file.write("[\n")
        else:
            file.write(",\n")
        file.write(line)


def _unused(folder: Path, name: str) -> Path:
    """Two pairs may have one source bucket in one second."""
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / name.replace(".json", f"-{number}.json")
    return path
