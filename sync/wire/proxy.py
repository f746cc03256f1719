"""HTTP proxies by the usual environment variables."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from sync.errors import ConfigError
from sync.wire.request import Origin


@dataclass(frozen=True, slots=True, repr=False)
class Proxy:
    """A proxy spoken to in plain HTTP. ``authorization`` is the header's value, or ""."""

    host: str
    port: int
    authorization: str = ""

    def __repr__(self) -> str:
        """Without the password."""
        return f"Proxy({self.host}:{self.port})"


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which proxy leads where. ``bypass`` holds NO_PROXY's entries."""

    http: Proxy | None = None
    https: Proxy | None = None
    bypass: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Proxies:
        """HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; the lower-case spelling wins.

        HTTP_PROXY in capitals is not believed in a CGI program, where a request can set it.
        ConfigError for a proxy of another kind.
        """
        cgi = "REQUEST_METHOD" in environ
        both = _read(environ, "ALL_PROXY")
        http = _read(environ, "HTTP_PROXY", lower_only=cgi) or both
        https = _read(environ, "HTTPS_PROXY") or both
        names = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        bypass = tuple(name for name in names.replace(",", " ").lower().split() if name)
        return cls(http=http, https=https, bypass=bypass)

    def for_origin(self, origin: Origin) -> Proxy | None:
        """The proxy to go through, or None."""
        proxy = self.https if origin.scheme == "https" else self.http
        if proxy is None or any(_covers(entry, origin) for entry in self.bypass):
            return None
        return proxy


def _read(environ: Mapping[str, str], name: str, *, lower_only: bool = False) -> Proxy | None:
    text = environ.get(name.lower()) or ("" if lower_only else environ.get(name, ""))
    return _parse(name, text.strip()) if text.strip() else None


def _parse(name: str, text: str) -> Proxy:
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if parts.scheme != "http" or not host:
        # The value may hold a password, so it is not shown.
        raise ConfigError(f"{name}: only proxies of the form http://host:port can be used")
    return Proxy(host, port, _basic(parts.username, parts.password))


def _basic(user: str | None, password: str | None) -> str:
    if user is None:
        return ""
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"


def _covers(entry: str, origin: Origin) -> bool:
    """Does this NO_PROXY entry name the origin: ``*``, host, .suffix, host:port, address, net."""
    host = origin.host.lower().rstrip(".")
    if entry == "*":
        return True
    address = _address(host)
    if address is not None:
        return _covers_address(entry, address, origin.port)
    name, _, port = entry.partition(":")
    name = name.removeprefix("*").strip(".")
    if not name or (port and port != str(origin.port)):
        return False
    return host == name or host.endswith(f".{name}")


def _covers_address(
    entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> bool:
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        text, _, entry_port = entry.rpartition(":")
        return _address(text.strip("[]")) == address and entry_port == str(port)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
