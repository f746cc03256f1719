"""``3gsync config check``: whether the configuration is well and what it names works.

Exit codes: 0 all well; 1 something failed or differs; 2 the configuration has faults.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sync.adapters.clock import SystemClock
from sync.adapters.credentials import providers
from sync.config import Settings, load
from sync.errors import ConfigError, SyncError
from sync.ports import Clock
from sync.probes.destination import TRAFFIC, probe_destination
from sync.probes.keys import probe_keys
from sync.probes.queue import probe_queue, probe_table
from sync.probes.report import Report
from sync.probes.source import probe_source
from sync.wiring import Stores, open_stores

WELL: Final = 0
FAILED: Final = 1
CONFIGURATION: Final = "configuration"
_show: Final = functools.partial(print, flush=True)


def check(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    online: bool,
    as_json: bool,
    source_bucket: str = "",
    show: Callable[[str], None] = _show,
    clock: Clock | None = None,
) -> int:
    """Check the configuration, and with ``online`` all it names; returns the exit code.

    One line for each thing tried, as it is tried; with ``as_json`` the last line is
    ``{"ok": bool, "results": [{"what", "state", "detail"}]}``. ConfigError where the
    configuration has faults, or is not enough for a worker to start.
    """
    report = Report(show)
    try:
        settings = _loaded(path, environ, report)
    except ConfigError as error:
        if as_json:
            show(json.dumps(_faulty(error), ensure_ascii=False))
        raise
    if online:
        _quieten()
        online_check = _Online(settings, environ, report, source_bucket, clock or SystemClock())
        asyncio.run(online_check.run())
    if as_json:
        show(json.dumps(report.to_json()))
    return WELL if report.well else FAILED


def _loaded(path: Path | None, environ: Mapping[str, str], report: Report) -> Settings:
    settings = load(path, environ)
    if faults := settings.require_worker():
        raise ConfigError(*(f"{settings.path or 'configuration'}: {fault}" for fault in faults))
    for note in settings.notes:
        report.warn(CONFIGURATION, note)
    report.ok(CONFIGURATION, f"{settings.path or 'the defaults'}: well")
    return settings


def _faulty(error: ConfigError) -> dict[str, object]:
    report = Report(lambda _line: None)
    for fault in error.faults:
        report.fail(CONFIGURATION, fault)
    return report.to_json()


def _quieten() -> None:
    """What the adapters would log is in the lines already."""
    logging.getLogger("sync").addHandler(logging.NullHandler())


def _end_on_sigterm() -> None:
    """As Ctrl-C does: what was written is removed before the program ends."""
    task = asyncio.current_task()
    assert task is not None
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


@dataclass(frozen=True, slots=True)
class _Online:
    """One run of everything that is tried."""

    settings: Settings
    environ: Mapping[str, str]
    report: Report
    source_bucket: str
    clock: Clock

    async def run(self) -> None:
        """Try the keys, then each side whose keys are there."""
        _end_on_sigterm()
        keys = providers(self.settings, self.environ)
        source_well, destination_well = await probe_keys(keys, self.report)
        try:
            async with open_stores(self.settings, self.environ, keys=keys) as stores:
                if source_well:
                    await self._source_side(stores)
                if destination_well:
                    await self._destination_side(stores)
        except SyncError as error:
            self.report.fail("endpoints", str(error))

    async def _source_side(self, stores: Stores) -> None:
        settings, report = self.settings, self.report
        await probe_queue(settings, self.environ, stores, report)
        await probe_table(settings, self.environ, stores, report)
        bucket = self.source_bucket
        if bucket:
            await probe_source(settings, bucket, stores.source, report, self.clock)
        else:
            report.warn("source", "not tried: name a bucket of it with --source-bucket")

    async def _destination_side(self, stores: Stores) -> None:
        settings, store = self.settings, stores.destination
        where = f"bucket {settings.default_bucket}, as dialect {store.dialect.name}"
        self.report.ok("destination", f"{where}; {TRAFFIC} will be moved")
        await probe_destination(settings, store, self.report, self.clock)
