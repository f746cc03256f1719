"""Whether the keys of both sides can be read."""

from __future__ import annotations

from typing import Final

from sync.adapters.credentials import Providers, SideProvider
from sync.errors import SyncError
from sync.ports import CredentialProvider
from sync.probes.report import Report

_SHOWN: Final = 4
_LONG_ENOUGH: Final = 12


async def probe_keys(providers: Providers, report: Report) -> tuple[bool, bool]:
    """Whether the source's and the destination's keys can be read."""
    source = await _probe("source keys", providers.source, report)
    return source, await _probe("destination keys", providers.destination, report)


async def _probe(what: str, provider: CredentialProvider, report: Report) -> bool:
    try:
        keys = await provider.credentials()
    except SyncError as error:
        report.fail(what, str(error))
        return False
    where = provider.where if isinstance(provider, SideProvider) else ""
    facts = [f"from {where}" if where else "", f"key id {_shortened(keys.access_key)}"]
    facts.append(f"region {keys.region}" if keys.region else "")
    report.ok(what, ", ".join(fact for fact in facts if fact))
    return True


def _shortened(key_id: str) -> str:
    """Its last letters: enough to tell keys apart, and nothing of a short one."""
    return f"…{key_id[-_SHOWN:]}" if len(key_id) >= _LONG_ENOUGH else "…"
