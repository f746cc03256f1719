"""AWS Lambda: the jobsender as a function, started by a schedule or by hand.

Handler: ``sync.lambda_handler.jobsender``. The configuration comes from variables
``THREEGSYNC_<KEY>`` or from the file that ``THREEGSYNC_CONFIG`` names.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from sync.backfill.logs import set_up_logs
from sync.backfill.options import JobsenderOptions, moment
from sync.config import load
from sync.config.bucket_list import parse_bucket_list
from sync.errors import ConfigError, SyncError
from sync.jobsender import send_jobs

_SPARE: Final = 15.0


class _Context(Protocol):
    """What is used of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is ended."""
        ...


class JobsenderFailed(SyncError):
    """A pair failed; the text lists what did. Lambda counts the invocation as failed."""


def jobsender(event: Mapping[str, Any], context: _Context) -> dict[str, Any]:
    """Compare and send; returns the summary of ``3gsync jobsender --json``.

    ``event`` holds options by their names in `JobsenderOptions` (times as on the command line)
    and ``pairs`` as in the bucket list; of a schedule's event its ``detail`` counts, which is
    empty unless an input is set. JobsenderFailed where a pair failed or the time ran out: what
    was sent until then is in the queue, and does no harm when it is sent again.
    """
    asked = dict(event.get("detail") or {}) if "detail-type" in event else dict(event)
    pairs = asked.pop("pairs", None)
    named = [] if pairs is None else parse_bucket_list(json.dumps(pairs), "event: pairs")
    options = _options(asked)
    settings = load(None, os.environ)
    set_up_logs(settings, "jobsender")
    seconds = context.get_remaining_time_in_millis() / 1000 - _SPARE

    async def main() -> dict[str, Any]:
        try:
            async with asyncio.timeout(seconds):
                return (await send_jobs(settings, os.environ, options, named)).figures()
        except TimeoutError:
            raise JobsenderFailed(
                f"not done in the {seconds:.0f} s that the function may take: give it more time, "
                "fewer pairs or a prefix each, or run the jobsender on a machine"
            ) from None

    figures = asyncio.run(main())
    if figures["errors"]:
        raise JobsenderFailed("; ".join(figures["errors"]))
    return figures


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "dry_run": bool,
    "only_if_empty": bool,
    "etag": bool,
    "modified": bool,
    "checksum": bool,
    "archived_too": bool,
    "since": lambda text: moment(str(text)),
    "until": lambda text: moment(str(text)),
    "delete_extraneous": int,
    "connections": int,
    "keys_per_message": int,
    "sort": bool,
}


def _options(asked: Mapping[str, Any]) -> JobsenderOptions:
    unknown = sorted(asked.keys() - _READERS.keys())
    if unknown:
        known = ", ".join(sorted((*_READERS, "pairs")))
        raise ConfigError(f"event: {', '.join(unknown)}: unknown; known are {known}")
    values = {name: _READERS[name](value) for name, value in asked.items()}
    return JobsenderOptions(progress=0.0, **values)
