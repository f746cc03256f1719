"""Keeps keys until they are about to expire or a store has refused them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from sync.errors import ConfigError, CredentialsRejected, SyncError
from sync.ports import Credentials

KeyRing = Mapping[str, Credentials]
"""Keys by side: ``source`` and ``destination``, or "" where there is one pair."""

REREAD_INTERVAL: Final = 5.0
EXPIRY_MARGIN: Final = 300.0  # the metadata service has new keys at least five minutes ahead
_log = logging.getLogger(__name__)


class KeyCache:
    """Reads keys with a blocking function, in a thread, one reading at a time.

    Reads again when ``EXPIRY_MARGIN`` seconds are left or after ``invalidate``, but never more
    than once in ``REREAD_INTERVAL`` seconds, also where reading fails. ``where`` names the
    origin in logs and errors.
    """

    def __init__(
        self,
        read: Callable[[], KeyRing],
        *,
        where: str,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._where = where
        self._now = now
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._keys: KeyRing | None = None
        self._refused = False
        self._tried_at = float("-inf")
        self._good_until = float("-inf")
        self._error: SyncError | None = None

    @property
    def where(self) -> str:
        """Where the keys come from, for people."""
        return self._where

    def at_hand(self) -> KeyRing | None:
        """The current keys where they need no look, else None: then ask ``get``.

        Every request asks, so it costs one reading of a clock; ``get`` looks at the rest at
        most ``REREAD_INTERVAL`` seconds later.
        """
        return self._keys if self._monotonic() < self._good_until else None

    async def get(self) -> KeyRing:
        """The current keys. ConfigError, AccessDenied or TransientStoreError where none are."""
        if self._keys is not None and not self._due():
            return self._keys
        async with self._lock:
            if self._due():
                await self._renew()
            return self._current()

    def invalidate(self) -> None:
        """Read again at the next chance."""
        self._refused = True
        self._good_until = float("-inf")

    def _due(self) -> bool:
        now = self._monotonic()
        if now - self._tried_at < REREAD_INTERVAL:
            # Whatever is wrong with the keys, they are not read again before.
            self._good_until = self._tried_at + REREAD_INTERVAL
            return False
        spare = self._left() - EXPIRY_MARGIN
        if self._keys is None or self._refused or spare < 0:
            return True
        # Seldom enough to cost nothing, often enough for a wall clock that is set.
        self._good_until = now + min(spare, REREAD_INTERVAL)
        return False

    def _left(self) -> float:
        """Seconds until the first of the keys expires."""
        ring = self._keys or {}
        ends = [key.expires_at for key in ring.values() if key.expires_at is not None]
        return min(ends, default=float("inf")) - self._now()

    async def _renew(self) -> None:
        first, refused = self._keys is None, self._refused
        self._tried_at = self._monotonic()
        # Lowered before reading: a refusal that comes in meanwhile is about the old keys or
        # the new, and only another reading can tell.
        self._refused = False
        try:
            self._keys = await asyncio.to_thread(self._read)
        except SyncError as error:
            self._refused = refused
            self._error = _while_running(error) if not first else error
            _log.warning("keys could not be read from %s: %s", self._where, error)
        else:
            self._error = None
            _log.info("keys read from %s", self._where)

    def _current(self) -> KeyRing:
        """Keys that may still be good, else why there are none."""
        if self._error and (self._keys is None or self._refused or self._left() <= 0):
            raise self._error.with_traceback(None)
        if self._keys is None:  # the reading was cancelled half way
            raise CredentialsRejected(f"keys from {self._where} are not read yet")
        return self._keys


def _while_running(error: SyncError) -> SyncError:
    """What was a fault of the configuration at the start is a refusal later: it may be mended."""
    return CredentialsRejected(str(error)) if isinstance(error, ConfigError) else error


class SideProvider:
    """CredentialProvider for one side of a key ring."""

    def __init__(self, cache: KeyCache, side: str) -> None:
        self._cache = cache
        self._side = side

    @property
    def where(self) -> str:
        """Where the keys come from, for people."""
        return self._cache.where

    async def credentials(self) -> Credentials:
        """The current keys of this side."""
        ring = self._cache.at_hand() or await self._cache.get()
        return ring[self._side]

    def invalidate(self) -> None:
        """A store refused them: read them anew next time."""
        self._cache.invalidate()
