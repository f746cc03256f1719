"""``3gsync explain``: the configuration put to the explain core."""

from __future__ import annotations

from pathlib import Path

from sync.config import Settings
from sync.errors import ConfigError
from sync.explain import explain
from sync.ignore import IgnoreList
from sync.messages import DestinationRule
from sync.wiring import destination_dialect


def explain_body(body: str, settings: Settings) -> list[dict[str, object]]:
    """What a worker with these settings would do with a message body, one dict a record.

    Their shape is that of `sync.explain.explain`. ConfigError where the ignore list is there
    and cannot be read; one that is missing is empty, as it is for the worker.
    """
    return explain(
        body,
        rule=DestinationRule(settings.default_bucket, settings.default_prefix),
        ignore=_ignore_list(settings.ignore_list),
        sync_deletes=settings.sync_deletes,
        key_fault=destination_dialect(settings).key_fault,
    )


def _ignore_list(path: Path | None) -> IgnoreList:
    if path is None:
        return IgnoreList()
    try:
        return IgnoreList.parse(path.read_bytes().decode())
    except FileNotFoundError:
        return IgnoreList()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"ignore list {path} cannot be read: {error}; make it readable UTF-8"
        ) from None
