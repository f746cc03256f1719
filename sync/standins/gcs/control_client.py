"""The control API from outside: put faults in place, see what was asked. Blocking, stdlib only."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any, Final

from sync.errors import ConfigError
from sync.standins.gcs.faults import Fault

_SECONDS: Final = 30.0


class Control:
    """Talks to a stand-in's control API. ``ca_file`` where it speaks TLS."""

    def __init__(self, url: str, token: str, *, ca_file: str = "") -> None:
        self._url = url
        self._token = token
        self._tls = ssl.create_default_context(cafile=ca_file) if ca_file else None

    def add(self, *faults: Fault) -> list[int]:
        """Put faults in place; their numbers."""
        numbers: list[int] = self._ask("POST", "faults", [fault.to_json() for fault in faults])
        return numbers

    def faults(self) -> dict[int, dict[str, Any]]:
        """By number: ``seen``, ``fired`` and the fault itself."""
        return {entry["id"]: entry for entry in self._ask("GET", "faults")}

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._ask("DELETE", "faults")

    def unfired(self) -> list[int]:
        """Numbers of the faults that struck nothing so far."""
        return [number for number, entry in self.faults().items() if not entry["fired"]]

    def requests(self, *, since: int = 0, operation: str = "") -> list[dict[str, Any]]:
        """Requests after that number, oldest first, of one operation or of all."""
        found = self._ask("GET", f"requests?since={since}")
        return [entry for entry in found if operation in {"", entry["operation"]}]

    def clear_requests(self) -> None:
        """Forget the requests so far."""
        self._ask("DELETE", "requests")

    def stats(self) -> dict[str, Any]:
        """Counts: operations, statuses, codes, bytes, connections, what is stored."""
        counts: dict[str, Any] = self._ask("GET", "stats")
        return counts

    def _ask(self, method: str, place: str, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310  the URL is the stand-in's own
            f"{self._url}/_standin/{place}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"x-standin-token": self._token},
        )
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls)
        )
        try:
            with opener.open(request, timeout=_SECONDS) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as refused:
            with refused:
                raise ConfigError(refused.read().decode("utf-8", "replace")) from None
